import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { stalledAfterMs } from "../../../../src/protocol/mprpc/arrivals.js";
import { defaultKeepalive } from "../../../../src/protocol/mprpc/keepalive.js";
import {
  creditMaxBytes,
  messageCostBytes,
  replyWindowMinBytes,
  requestStartBytes,
  windowBytes,
} from "../../../../src/protocol/mprpc/streams/credit.js";
import { Kind, settingsUnknown } from "../../../../src/protocol/mprpc/wire/header.js";
import { defaultWireLimits } from "../../../../src/protocol/mprpc/wire/limits.js";
import { hex, protoFolder, vectors } from "./vectors.js";

const spec = readFileSync(new URL("WIRE.md", protoFolder), "utf8");

/** The annotated examples: the name of the vector each shows, and its bytes without the remarks. */
const examples = [...spec.matchAll(/```hex (\S+)\n([\s\S]*?)```/g)].map(([, name = "", text = ""]) => ({
  name,
  bytes: text.replace(/#.*$/gm, "").replace(/\s/g, ""),
}));

describe("proto/WIRE.md", () => {
  test("has an example of each kind it explains and of the classic dialects", () => {
    expect(examples.length).toBeGreaterThanOrEqual(14);
  });

  test.each(examples)("its example $name is the golden vector of that name", ({ name, bytes }) => {
    const frame = vectors.frames.find((one) => one.name === name)?.hex;
    const classic = vectors.classic.find((one) => one.name === name)?.request;
    const several = vectors.decodeOnly.find((one) => one.name === name)?.hex;
    expect(bytes).toBe(frame ?? classic ?? several);
    expect(hex(bytes).toString("hex")).toBe(bytes);
  });

  test("every block of bytes names a vector", () => {
    expect([...spec.matchAll(/```hex\b/g)]).toHaveLength(examples.length);
  });

  test("its table of kinds is the code's", () => {
    const rows = [...spec.matchAll(/^\| ([A-Z_]+) \| (\d+) \| (?:caller|provider|both) \|/gm)];
    expect(Object.fromEntries(rows.map(([, name, number]) => [name, Number(number)]))).toEqual(Kind);
  });

  test("its numbers are the code's", () => {
    expect(defaultWireLimits).toEqual({
      headerMaxBytes: 65_536,
      bodyMaxBytes: 4 * 1024 * 1024,
      arrivingMax: 64,
      arrivingMaxBytes: 32 * 1024 * 1024,
      streamBufferBytes: 64 * 1024 * 1024,
    });
    const arriving = { arrivingMax: 64, arrivingMaxBytes: 32 * 1024 * 1024 };
    expect(settingsUnknown).toMatchObject({ headerMaxBytes: 65_536, maxInFlight: 1024, ...arriving });
    expect([messageCostBytes, requestStartBytes, windowBytes]).toEqual([32, 16_384, 262_144]);
    expect(replyWindowMinBytes).toBe(4096);
    expect(creditMaxBytes).toBe(2_147_483_647);
    expect(stalledAfterMs).toBe(10_000);
    expect(spec).toContain("makes no progress for 10 s");
    expect(spec).toContain("`arriving_max` 64, `arriving_bytes` 33,554,432");
    expect(defaultKeepalive).toEqual({ intervalMs: 10_000, timeoutMs: 4000 });
    expect(spec).toContain("header 65,536 bytes; 1,024 calls in flight;");
    expect(spec).toContain("PING after 10 s of silence, the connection counts as dead after 4 s more");
  });

  test("the files it links to are there", () => {
    const links = [...spec.matchAll(/\]\(([\w.-]+)\)/g)].map(([, link = ""]) => link);
    expect(links.sort()).toEqual(["health.proto", "reflection.proto", "rpcheader.proto", "vectors.json"]);
    for (const link of links) expect(readFileSync(new URL(link, protoFolder)).length).toBeGreaterThan(0);
  });
});
