import { expect, test } from "vitest";
import { silentLogger } from "../../../src/log/logger.js";
import { FirstBytes } from "../../../src/protocol/detect/first-bytes.js";
import { defaultSettings } from "../../../src/runtime/runtime.js";
import { serverProtocols } from "../../../src/server/protocols.js";
import { ManualClock } from "../../../src/testing/index.js";
import type { Connection } from "../../../src/transport/transport.js";

/** A connection on which nothing is written; only its end is of interest. */
const unwritten = { setHandler: () => {}, reset: () => {}, destroy: () => {} } as unknown as Connection;

const runtime = { settings: defaultSettings, clock: new ManualClock(), log: silentLogger };

function begin() {
  const told: string[] = [];
  const first = new FirstBytes(unwritten, new ManualClock(), serverProtocols(runtime), {
    onProtocol: (protocol, variant, bytes) => told.push(`${protocol.name} ${variant}, ${bytes.length} bytes`),
    onRefused: (reason) => told.push(reason),
    onLeft: () => told.push("left"),
  });
  return { first, told };
}

/** A classic header of `size` bytes whose further fields have two bytes each. */
function longHeader(size: number): Buffer {
  const names = Buffer.from("0a0155120145", "hex");
  const bytes = Buffer.alloc(4 + size);
  bytes.writeUInt32LE(size);
  names.copy(bytes, 4);
  for (let i = 4 + names.length; i < bytes.length; i += 2) bytes.set([0x20, 1], i);
  return bytes;
}

test("a long classic header that comes a byte at a time is known when it is whole", () => {
  const { first, told } = begin();
  const bytes = longHeader(5000);
  for (const byte of bytes.subarray(0, -1)) first.onData(Buffer.of(byte));
  expect(told).toEqual([]);
  first.onData(bytes.subarray(-1));
  expect(told).toEqual(["classic le32, 5004 bytes"]);
});

test("what has come of it is looked at again only when it is twice as much, so that a byte costs no caller's time", () => {
  const { first, told } = begin();
  const bytes = longHeader(5000);
  bytes[1204] = 7;
  first.onData(bytes.subarray(0, 1200));
  for (let i = 1200; i < 2399; i++) first.onData(bytes.subarray(i, i + 1));
  expect(told).toEqual([]);
  first.onData(bytes.subarray(2399, 2400));
  expect(told).toEqual([expect.stringContaining("are no known protocol")]);
});
