import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/logger/logger.js";
import type { Endpoint } from "../../src/registry/registry.js";
import { SnapshotFile } from "../../src/registry/zookeeper/snapshot-file.js";

const service = "fixbug.UserServiceRpc";

function endpoint(port: number, more: object = {}): Endpoint {
  return {
    host: "127.0.0.1",
    port,
    protocol: "mprpc",
    weight: 1,
    attributes: {},
    incarnation: "aa",
    ...more,
  };
}

let folder: string;
let warnings: string[];
let snapshots: SnapshotFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mprpc-snapshots-"));
  warnings = [];
  snapshots = open();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): SnapshotFile {
  const warn = (text: string, fields?: object) => warnings.push(`${text} ${JSON.stringify(fields)}`);
  return new SnapshotFile(join(folder, "snapshots"), "zookeeper://h:1", { ...silentLogger, warn });
}

/** The folder of this registry among those that share the place. */
function inner(): string {
  const [name = ""] = readdirSync(join(folder, "snapshots"));
  return join(folder, "snapshots", name);
}
const file = () => join(inner(), `${service}.json`);

test("of lists that come faster than they are written the newest one stays", async () => {
  const lists = Array.from({ length: 50 }, (_, i) => [endpoint(8000 + i)]);
  await Promise.all(lists.map((list) => snapshots.save(service, list)));
  expect(await open().load(service)).toEqual(lists.at(-1));
  await Promise.all([...lists, lists[0] ?? []].map((list) => snapshots.save(service, list)));
  expect(await open().load(service)).toEqual(lists[0]);
  expect(readdirSync(inner())).toEqual([`${service}.json`]);
});

test("cut at any byte it is ignored with a warning", async () => {
  const text = `${JSON.stringify({ service, endpoints: [endpoint(8000), endpoint(8001)] }, undefined, 2)}\n`;
  await snapshots.save(service, [endpoint(1)]);
  for (let bytes = 0; bytes < text.length - 1; bytes++) {
    writeFileSync(file(), text.slice(0, bytes));
    expect([bytes, await open().load(service)]).toEqual([bytes, undefined]);
  }
  expect(warnings).toHaveLength(text.length - 1);
  writeFileSync(file(), text);
  expect(await open().load(service)).toHaveLength(2);
});

test.each([
  ["null", "null"],
  ["no list", '{"endpoints":{}}'],
  ["no attributes", { attributes: null }],
  ["attributes that are no texts", { attributes: { version: 1 } }],
  ["an endless weight", { weight: "1e999" }],
  ["a port that is none", { port: 0 }],
  ["methods that are no list", { classicMethods: "Login" }],
  ["an incarnation that is no text", { incarnation: 7 }],
])("with %s it is ignored with a warning", async (_, more) => {
  await snapshots.save(service, [endpoint(8000)]);
  const endpoints = typeof more === "string" ? [] : [endpoint(8000, more)];
  const text = typeof more === "string" ? more : JSON.stringify({ endpoints });
  writeFileSync(file(), text.replace('"1e999"', "1e999"));
  expect(await open().load(service)).toBeUndefined();
  expect(warnings.join()).toMatch(/^ignoring a snapshot file that cannot be read/);
});

test("on a full disk the last good one stays, with one warning; with room the next list is written", async () => {
  await snapshots.save(service, [endpoint(8000)]);
  const limit = (size: string) => execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${size}:`]);
  // No byte may be written to a file any more: what a full disk is, for one process.
  limit("0");
  try {
    await snapshots.save(service, [endpoint(8001)]);
    await snapshots.save(service, [endpoint(8002)]);
  } finally {
    limit("unlimited");
  }
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/^no snapshot file: .*EFBIG/);
  expect(readdirSync(inner())).toEqual([`${service}.json`]);
  expect(await open().load(service)).toEqual([endpoint(8000)]);
  await snapshots.save(service, [endpoint(8002)]);
  expect(await open().load(service)).toEqual([endpoint(8002)]);
});

test("its folder removed, or something in the way: written again when it can be", async () => {
  await snapshots.save(service, [endpoint(8000)]);
  rmSync(join(folder, "snapshots"), { recursive: true });
  writeFileSync(join(folder, "snapshots"), "in the way");
  await snapshots.save(service, [endpoint(8001)]);
  expect(warnings).toHaveLength(1);
  rmSync(join(folder, "snapshots"));
  await snapshots.save(service, [endpoint(8001)]);
  expect(await open().load(service)).toEqual([endpoint(8001)]);
  rmSync(file());
  mkdirSync(file());
  await snapshots.save(service, [endpoint(8002)]);
  rmSync(file(), { recursive: true });
  await snapshots.save(service, [endpoint(8002)]);
  expect(await open().load(service)).toEqual([endpoint(8002)]);
});
