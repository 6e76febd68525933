import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { silentLogger } from "../../src/logger/logger.js";
import { ownIdentity } from "../../src/registry/file/liveness.js";
import { FileRegistry, type FileRegistryOptions } from "../../src/registry/file/registry.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { Child, startScript } from "../tools/child.js";
import { eventually, guarded, Recorder, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";

const service = "fixbug.UserServiceRpc";
const providerProcess = new URL("provider-process.ts", import.meta.url);
const churnProcess = new URL("churn-process.ts", import.meta.url);

let folder: string;
let registries: FileRegistry[];
let children: Child[];
const serviceFolder = () => join(folder, service);
const entryFiles = () => readdirSync(serviceFolder()).filter((name) => name.endsWith(".json"));
const isStale = ({ stale }: Snapshot) => stale;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mprpc-file-failures-"));
  registries = [];
  children = [];
});
afterEach(async () => {
  await Promise.all(registries.map((registry) => registry.close()));
  await Promise.all(children.map((child) => child.kill()));
  rmSync(folder, { recursive: true, force: true });
});

function connect(options: FileRegistryOptions = {}): FileRegistry {
  const registry = new FileRegistry({ folder, pollMs: 20, ...options });
  registries.push(registry);
  return registry;
}

function follow(options: FileRegistryOptions = {}): Recorder<Snapshot> {
  const seen = new Recorder<Snapshot>();
  connect(options).watch(service, seen.push);
  return seen;
}

function start(script: URL, ...args: string[]): Child {
  const child = startScript(script, ...args);
  children.push(child);
  return child;
}

/** A log that keeps its warnings. */
function recordWarnings() {
  const warnings = new Recorder<string>();
  const warn = (text: string, fields?: object) => warnings.push(`${text} ${JSON.stringify(fields)}`);
  return { warnings, log: { ...silentLogger, warn } };
}

/** Like an entry another process of this machine wrote; it lives as long as this one. */
function entryText(incarnation: string, port: number, more: object = {}): string {
  const entry = {
    ...{ service, address: { host: "127.0.0.1", port }, weight: 1, startedAtMs: 0, attributes: {} },
    ...{ incarnation, sequence: 1, process: ownIdentity(), heartbeat: "00000000deadbeef", ...more },
  };
  return `${JSON.stringify(entry, undefined, 2)}\n`;
}

function writeEntry(incarnation: string, text: string): void {
  mkdirSync(serviceFolder(), { recursive: true });
  writeFileSync(join(serviceFolder(), `${incarnation}.json`), text);
}

/** Root may do everything; what is to be forbidden is tried as somebody else. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe("writers that are killed", () => {
  test("in the middle of registering and leaving: nothing of them stays", async () => {
    const seen = follow();
    await connect().register(registration(8000));
    await seen.until("8000", shows(8000));
    const writers = [9000, 9010, 9020].map((port) => start(churnProcess, `file:${folder}`, String(port)));
    await Promise.all(writers.map((writer) => writer.line(/^churning$/)));
    await Promise.all(writers.map((writer) => writer.kill("SIGKILL")));
    await timed("file: writers killed while they write", () => seen.until("only 8000", shows(8000)));
    await eventually("their files are removed", async () => entryFiles().length === 1);
    expectNoGap(seen);
  });

  test("the file one of them was writing is removed a minute later, by any clock but the wall's", async () => {
    let skewMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + skewMs };
    const seen = follow({ clock });
    await seen.until("none", shows());
    const left = ".00000000deadbeef.tmp";
    writeFileSync(join(serviceFolder(), left), entryText("00000000deadbeef", 8000).slice(0, 100));
    const handle = await connect().register(registration(8001));
    await seen.until("8001, the file seen too", shows(8001));
    expect(readdirSync(serviceFolder())).toContain(left);
    skewMs = 60_001;
    await handle.unregister();
    await eventually("removed", async () => !readdirSync(serviceFolder()).includes(left));
  });

  test("without a file descriptor left nobody is taken for dead", async () => {
    const script = new URL("no-descriptors-process.ts", import.meta.url).pathname;
    const identity = JSON.stringify(ownIdentity());
    const command = 'ulimit -n 100; exec "$@"';
    const args = ["-c", command, "sh", process.execPath, "--import", "tsx", script, identity];
    const child = new Child("/bin/sh", args);
    children.push(child);
    expect(await child.line(/^with descriptors/)).toBe("with descriptors: true");
    expect(await child.line(/^EMFILE/)).toBe("EMFILE: undefined");
  });
});

describe("files that are not whole", () => {
  test("an entry cut at any byte is no entry, and harms no other", async () => {
    writeEntry("00000000000000aa", entryText("00000000000000aa", 8000));
    const text = entryText("00000000000000bb", 8001);
    const registry = connect();
    // Only the newline at the end may be missing.
    for (let bytes = 0; bytes < text.length - 1; bytes++) {
      writeEntry("00000000000000bb", text.slice(0, bytes));
      const [listing] = await registry.list();
      expect([bytes, listing?.endpoints.map(({ port }) => port)]).toEqual([bytes, [8000]]);
    }
    writeEntry("00000000000000bb", text);
    expect((await registry.list())[0]?.endpoints).toHaveLength(2);
  });

  test("one that is completed later is seen then", async () => {
    const seen = follow();
    await seen.until("none", shows());
    const text = entryText("00000000000000aa", 8000);
    writeEntry("00000000000000aa", text.slice(0, 50));
    await connect().register(registration(8001));
    await seen.until("8001", shows(8001));
    writeEntry("00000000000000aa", text);
    await timed("file: an entry is completed", () => seen.until("both", shows(8000, 8001)));
  });

  test.each([
    ["an endless weight", { weight: "1e999" }],
    ["no weight", { weight: 0 }],
    ["port 0", { address: { host: "127.0.0.1", port: 0 } }],
    ["a port that is none", { address: { host: "127.0.0.1", port: 80.5 } }],
    ["another's name", { incarnation: "00000000000000cc" }],
    ["no attributes", { attributes: null }],
  ])("one with %s is none", async (_, more) => {
    const text = entryText("00000000000000aa", 8000, more).replace('"1e999"', "1e999");
    writeEntry("00000000000000aa", text);
    await connect().register(registration(8001));
    const { warnings, log } = recordWarnings();
    await follow({ log }).until("8001", shows(8001));
    expect(warnings.values).toHaveLength(1);
    expect(warnings.last).toMatch(/^ignoring a file that is no registry entry .*00000000000000aa\.json/);
  });

  test("our own file, overwritten by another writer, is written again", async () => {
    await connect().register(registration(8000));
    const [name = ""] = entryFiles();
    const before = readFileSync(join(serviceFolder(), name), "utf8");
    for (const text of ["", before.slice(0, 100), entryText(name.slice(0, 16), 9999)]) {
      writeFileSync(join(serviceFolder(), name), text);
      await timed("file: an overwritten entry is restored", () =>
        eventually("restored", async () => readFileSync(join(serviceFolder(), name), "utf8") === before),
      );
    }
    await follow().until("8000", shows(8000));
  });
});

describe("a full disk", () => {
  /** What the entry of a registry with this randomness is written to first. */
  const random = () => 0;
  const temporary = ".0000000000000000.tmp";

  test("a registration is refused with the reason, leaves nothing, and works when there is room", async () => {
    mkdirSync(serviceFolder());
    symlinkSync("/dev/full", join(serviceFolder(), temporary));
    const seen = follow();
    const provider = connect({ random });
    await expect(provider.register(registration(8000))).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringMatching(/cannot write to the registry folder .*fixbug\.UserServiceRpc: ENOSPC/),
    });
    expect(readdirSync(serviceFolder())).toEqual([]);
    await seen.until("none", shows());
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
  });

  test("a provider that cannot write its lost entry again says so, sees the others, and is back with room", async () => {
    const child = start(providerProcess, `file:${folder}?poll=20ms`, "8000");
    await child.line(/^registered$/);
    const seen = follow();
    await connect().register(registration(8001));
    await seen.until("both", shows(8000, 8001));
    // No byte may be written to a file any more: what a full disk is, for one process.
    execFileSync("prlimit", ["--pid", String(child.pid), "--fsize=0:"]);
    const mine = entryFiles().find((name) =>
      readFileSync(join(serviceFolder(), name), "utf8").includes("8000"),
    );
    rmSync(join(serviceFolder(), mine ?? ""));
    await child.line(/^the registry folder cannot be used .*EFBIG/);
    await seen.until("the other one", shows(8001));
    await child.line(/^stale 8001$/);
    expect(readdirSync(serviceFolder()).filter((name) => name.endsWith(".json"))).toHaveLength(1);
    execFileSync("prlimit", ["--pid", String(child.pid), "--fsize=unlimited:"]);
    await timed("file: room again", () => seen.until("both", shows(8000, 8001)));
  });
});

describe("the folder", () => {
  test("removed and made again, it is listened to again, though it may have the number it had", async () => {
    const seen = follow({ pollMs: 3_600_000 });
    const provider = connect({ pollMs: 3_600_000 });
    await seen.until("none", shows());
    for (const round of [0, 1]) {
      rmSync(folder, { recursive: true });
      await eventually("made again", async () => readdirSync(serviceFolder()).length === 0);
      const handle = await provider.register(registration(8000 + round));
      await timed("file: seen after the folder was removed", () => seen.until("it", shows(8000 + round)));
      await handle.unregister();
      await seen.until("none", shows());
    }
  });

  test.each([true, false])(
    "removed with all in it (file events: %s): no caller misses a provider",
    async (fileEvents) => {
      const seen = follow({ fileEvents });
      await connect({ fileEvents, pollMs: 200 }).register(registration(8000));
      await seen.until("8000", shows(8000));
      for (let round = 0; round < 3; round++) {
        rmSync(folder, { recursive: true });
        await eventually("the entry is back", async () => entryFiles().length === 1);
        await seen.until("8000", shows(8000));
      }
      expectNoGap(seen);
    },
  );

  test("replaced by a file: the list stays, stale, and all is well when it is gone", async () => {
    const { warnings, log } = recordWarnings();
    const seen = follow({ log });
    await connect().register(registration(8000));
    await seen.until("8000", shows(8000));
    const aside = `${folder}-aside`;
    renameSync(folder, aside);
    try {
      writeFileSync(folder, "in the way");
    } catch {
      // It was made again in between.
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "in the way");
    }
    await seen.until("stale", isStale);
    expect(addresses(seen.last ?? { endpoints: [], stale: false })).toEqual(["127.0.0.1:8000"]);
    expect(warnings.last).toMatch(/^the registry folder cannot be used .*(ENOTDIR|EEXIST)/);
    rmSync(folder);
    await timed("file: the folder is back", () => seen.until("fresh", shows(8000)));
    rmSync(aside, { recursive: true });
    expectNoGap(seen);
  });

  test("holds pipes, devices, links, folders and huge files: none of them hinders", async () => {
    mkdirSync(serviceFolder());
    const at = (name: string) => join(serviceFolder(), name);
    execFileSync("mkfifo", [at("pipe.json")]);
    symlinkSync("/dev/zero", at("zeros.json"));
    symlinkSync(at("nowhere"), at("dangling.json"));
    symlinkSync(at("loop.json"), at("loop.json"));
    mkdirSync(at("folder.json"));
    writeFileSync(at("huge.json"), Buffer.alloc(1024 * 1024, " "));
    writeFileSync(at("binary.json"), Buffer.from([0, 255, 254, 0]));
    writeFileSync(at("null.json"), "null");
    const { warnings, log } = recordWarnings();
    const seen = follow({ log });
    await connect().register(registration(8000));
    await seen.until("8000", shows(8000));
    expect((await connect().list()).map(({ endpoints }) => endpoints.length)).toEqual([1]);
    const named = warnings.values.map((text) => /(\w+)\.json/.exec(text)?.[1]).sort();
    expect(named).toEqual(["binary", "folder", "huge", "loop", "null", "pipe", "zeros"]);
  });
});

describe("permissions", () => {
  const openToAll = () => {
    mkdirSync(serviceFolder(), { recursive: true });
    for (const path of [folder, serviceFolder()]) chmodSync(path, 0o777);
  };

  test("an entry that cannot be read is passed over with one warning, and seen when it can", async () => {
    openToAll();
    writeEntry("00000000000000aa", entryText("00000000000000aa", 8000));
    const file = join(serviceFolder(), "00000000000000aa.json");
    chmodSync(file, 0o000);
    const { warnings, log } = recordWarnings();
    let seen = new Recorder<Snapshot>();
    await asNobody(async () => {
      seen = follow({ log });
      await connect().register(registration(8001));
      await seen.until("8001", shows(8001));
      expect(warnings.values).toHaveLength(1);
      expect(warnings.last).toMatch(/00000000000000aa\.json.*EACCES/);
    });
    chmodSync(file, 0o644);
    await timed("file: an entry may be read again", () => seen.until("both", shows(8000, 8001)));
  });

  test("a folder that cannot be read leaves the list, stale", async () => {
    openToAll();
    const { warnings, log } = recordWarnings();
    await connect().register(registration(8000));
    let seen = new Recorder<Snapshot>();
    await asNobody(async () => {
      seen = follow({ log, probe: () => true });
    });
    chmodSync(join(serviceFolder(), entryFiles()[0] ?? ""), 0o644);
    await seen.until("8000", shows(8000));
    chmodSync(serviceFolder(), 0o000);
    await asNobody(() => seen.until("stale", isStale).then(() => {}));
    expect(warnings.last).toMatch(/^the registry folder cannot be used .*EACCES/);
    chmodSync(serviceFolder(), 0o777);
    await timed("file: the folder may be read again", () => seen.until("fresh", shows(8000)));
    expectNoGap(seen);
  });

  test("an entry that cannot be removed when its provider leaves is removed when it can be", async () => {
    openToAll();
    const seen = follow();
    const { warnings, log } = recordWarnings();
    const own = new Recorder<Snapshot>();
    let unregister = async () => {};
    await asNobody(async () => {
      const provider = connect({ log });
      const handle = await provider.register(registration(8000));
      provider.watch(service, own.push);
      unregister = () => handle.unregister();
    });
    await seen.until("8000", shows(8000));
    chmodSync(serviceFolder(), 0o555);
    await asNobody(async () => {
      await guarded(unregister(), "unregister");
      await own.until("itself it knows", shows());
      expect(warnings.last).toMatch(/^the registry folder cannot be used .*EACCES/);
      expect(entryFiles()).toHaveLength(1);
    });
    chmodSync(serviceFolder(), 0o777);
    await timed("file: a withdrawn entry may be removed", () => seen.until("gone", shows()));
  });
});

describe("clocks that jump", () => {
  const dayMs = 86_400_000;
  const wall = (skewMs: () => number) => ({ ...systemClock, wallNow: () => Date.now() + skewMs() });

  test("a day forwards or back, on either side, changes nothing", async () => {
    let providerSkewMs = 0;
    let consumerSkewMs = 0;
    const seen = follow({ clock: wall(() => consumerSkewMs) });
    const provider = connect({ clock: wall(() => providerSkewMs) });
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
    for (const [mine, yours] of [
      [dayMs, 0],
      [-dayMs, 0],
      [0, dayMs],
      [0, -dayMs],
    ] as const) {
      providerSkewMs = mine;
      consumerSkewMs = yours;
      const handle = await provider.register(registration(8001));
      await seen.until("both", shows(8000, 8001));
      await handle.unregister();
      await seen.until("8000", shows(8000));
    }
    expectNoGap(seen);
  });

  test("of two providers of one address the later one wins, whatever their clocks say", async () => {
    const seen = follow();
    const lost = new Recorder<Error>();
    const versions = ["first", "second", "third"];
    for (const [i, version] of versions.entries()) {
      const clock = wall(() => -i * dayMs);
      await connect({ clock }).register(registration(8000, { attributes: { version }, onLost: lost.push }));
      await seen.until(version, ({ endpoints }) => endpoints[0]?.attributes.version === version);
      expect(lost.values).toHaveLength(i === 0 ? 0 : Math.min(i, lost.values.length));
    }
    await eventually("both older ones are told", async () => lost.values.length === 2);
    await eventually("one file", async () => entryFiles().length === 1);
  });

  test("where heartbeats decide: ahead by a day it is hidden until its next beat, behind it is seen at once", async () => {
    const probe = () => undefined;
    await connect({ probe }).register(registration(8000));
    const behind = follow({ probe, clock: wall(() => -dayMs) });
    await timed("file: seen by a clock a day behind", () => behind.until("8000", shows(8000)));
    const ahead = follow({ probe, clock: wall(() => dayMs) });
    await timed("file: seen by a clock a day ahead", () => ahead.until("8000", shows(8000)));
  });
});

describe("two writers", () => {
  test("ten registrations of one address at once, again and again: one is left, the others are told", async () => {
    const seen = follow();
    for (let round = 0; round < 10; round++) {
      const lost = new Recorder<Error>();
      const rivals = Array.from({ length: 10 }, () => connect());
      const outcomes = await Promise.allSettled(
        rivals.map((rival) => rival.register(registration(8000, { onLost: lost.push }))),
      );
      const refused = outcomes.filter(({ status }) => status === "rejected").length;
      await eventually("nine know", async () => refused + lost.values.length === 9);
      expect(entryFiles()).toHaveLength(1);
      await seen.until("8000", shows(8000));
      await Promise.all(rivals.map((rival) => rival.close()));
      await seen.until("none", shows());
    }
  });
});
