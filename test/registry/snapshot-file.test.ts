import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { silentLogger } from "../../src/log/logger.js";
import type { Endpoint } from "../../src/registry/registry.js";
import { SnapshotFile } from "../../src/registry/snapshot-file.js";
import { eventually } from "../tools/wait.js";

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
  ["methods that are no list", { methods: "Login" }],
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

/** Where it is among other folders. */
function snapshotOf(name: string): string {
  const place = join(folder, "snapshots");
  const found = readdirSync(place).find((one) => existsSync(join(place, one, `${name}.json`)));
  return join(place, found ?? "none", `${name}.json`);
}

const dayMs = 24 * 3600_000;

/** A file last changed so many days ago, and its folder with it. */
function aged(days: number, ...path: string[]): string {
  const file = join(folder, "snapshots", ...path);
  mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
  writeFileSync(file, "{}");
  const then = new Date(Date.now() - days * dayMs);
  for (const one of [file, join(file, "..")]) utimesSync(one, then, then);
  return file;
}

test("what no process has used for 30 days is swept; what is in use, new or not ours stays", async () => {
  mkdirSync(join(folder, "snapshots"), { mode: 0o700 });
  const old = aged(31, "00000000000000aa", "a.B.json");
  const half = aged(31, "00000000000000ab", "a.B.0123abcd.tmp");
  const recent = aged(29, "00000000000000ac", "a.B.json");
  const mixed = aged(31, "00000000000000ad", "a.B.json");
  const beside = aged(1, "00000000000000ad", "c.D.json");
  const notes = aged(31, "00000000000000ae", "notes.txt");
  const others = aged(31, "backup", "a.B.json");
  const target = aged(31, "..", "elsewhere", "a.B.json");
  symlinkSync(join(folder, "elsewhere"), join(folder, "snapshots", "00000000000000af"));
  utimesSync(join(mixed, ".."), new Date(), new Date());
  await snapshots.save(service, [endpoint(8000)]);
  const isGone = (...files: string[]) => files.every((file) => !existsSync(file));
  await eventually("the old ones are gone", async () => isGone(join(old, ".."), join(half, ".."), mixed));
  expect([recent, beside, notes, others, target, snapshotOf(service)].map((one) => existsSync(one))).toEqual(
    Array(6).fill(true),
  );
});

test("a list that never changes is marked as used each day", async () => {
  let nowMs = 1_000_000;
  const startMs = Date.now();
  const clock = { ...systemClock, now: () => nowMs, wallNow: () => startMs + nowMs };
  const lasting = new SnapshotFile(join(folder, "snapshots"), "zookeeper://h:1", silentLogger, clock);
  await lasting.save(service, [endpoint(8000)]);
  const writtenMs = statSync(file()).mtimeMs;
  nowMs += dayMs - 1;
  await lasting.save(service, [endpoint(8000)]);
  expect(statSync(file()).mtimeMs).toBe(writtenMs);
  nowMs += 1;
  await lasting.save(service, [endpoint(8000)]);
  expect(statSync(file()).mtimeMs).toBeCloseTo(startMs + nowMs, -1);
  // Removed by somebody: written again with the next list.
  rmSync(file());
  nowMs += dayMs;
  await lasting.save(service, [endpoint(8000)]);
  await lasting.save(service, [endpoint(8000)]);
  expect(await open().load(service)).toEqual([endpoint(8000)]);
});

test("a link in its place is not followed, and nothing of it quoted", async () => {
  await snapshots.save(service, [endpoint(8000)]);
  const secret = join(folder, "secret");
  writeFileSync(secret, "hunter2");
  rmSync(file());
  symlinkSync(secret, file());
  expect(await open().load(service)).toBeUndefined();
  expect(warnings.at(-1)).toMatch(/it is a symbolic link/);
  rmSync(file());
  writeFileSync(file(), "hunter2");
  expect(await open().load(service)).toBeUndefined();
  expect(warnings.at(-1)).toMatch(/it is not JSON/);
  expect(warnings.join()).not.toContain("hunter2");
});
