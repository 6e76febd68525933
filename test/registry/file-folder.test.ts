import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { eventually, guarded, Recorder, timed } from "../tools/wait.js";
import { addresses, expectNoGap, registration, shows } from "./conformance.js";
import { entryText, recordWarnings, service, useFileBench } from "./file-bench.js";

const { root, serviceFolder, entryFiles, connect, follow, writeEntry } = useFileBench();
const isStale = ({ stale }: Snapshot) => stale;

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

describe("the folder", () => {
  test("removed and made again, it is listened to again, though it may have the number it had", async () => {
    const seen = follow({ pollMs: 3_600_000 });
    const provider = connect({ pollMs: 3_600_000 });
    await seen.until("none", shows());
    for (const round of [0, 1]) {
      rmSync(root(), { recursive: true });
      await eventually("made again", async () => readdirSync(serviceFolder()).length === 0);
      const handle = await provider.register(registration(8000 + round));
      await timed("file: seen after the folder was removed", () => seen.until("it", shows(8000 + round)));
      await handle.unregister();
      await seen.until("none", shows());
    }
  });

  test.each([true, false])(
    "moved away with all in it (file events: %s): no caller misses a provider",
    async (fileEvents) => {
      const seen = follow({ fileEvents });
      await connect({ fileEvents, pollMs: 200 }).register(registration(8000));
      await seen.until("8000", shows(8000));
      for (let round = 0; round < 3; round++) {
        // In one step: a reader in the middle of an `rm -r` sees entries removed, as by their providers.
        renameSync(root(), `${root()}-aside`);
        rmSync(`${root()}-aside`, { recursive: true });
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
    const aside = `${root()}-aside`;
    renameSync(root(), aside);
    await eventually("in the way, where it may have been made again", async () => {
      rmSync(root(), { recursive: true, force: true });
      writeFileSync(root(), "in the way");
      return true;
    });
    await seen.until("stale", isStale);
    expect(addresses(seen.last ?? { endpoints: [], stale: false })).toEqual(["127.0.0.1:8000"]);
    expect(warnings.last).toMatch(/^the registry folder cannot be used .*(ENOTDIR|EEXIST)/);
    rmSync(root());
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
    expect(named).toEqual(["binary", "dangling", "folder", "huge", "loop", "null", "pipe", "zeros"]);
  });

  test("links are refused and nothing is quoted of what they lead to; ours in their place is written again", async () => {
    mkdirSync(serviceFolder());
    const secret = join(root(), "secret.txt");
    writeFileSync(secret, entryText("00000000000000aa", 8001));
    symlinkSync(secret, join(serviceFolder(), "00000000000000aa.json"));
    const plain = join(serviceFolder(), "plain.json");
    writeFileSync(plain, "hunter2 is no JSON");
    const { warnings, log } = recordWarnings();
    const seen = follow({ log });
    await connect().register(registration(8000));
    await seen.until("8000", shows(8000));
    expect([...warnings.values].sort()).toEqual([
      expect.stringMatching(/00000000000000aa\.json.*it is a symbolic link/),
      expect.stringMatching(/plain\.json.*it is not JSON/),
    ]);
    expect(warnings.values.join()).not.toContain("hunter2");
    const [name = ""] = entryFiles().filter((one) => !/^(0{14}aa|plain)\.json$/.test(one));
    const own = join(serviceFolder(), name);
    const text = readFileSync(own, "utf8");
    rmSync(own);
    writeFileSync(secret, text);
    symlinkSync(secret, own);
    await eventually("a file again", async () => !lstatSync(own).isSymbolicLink());
    expect(readFileSync(own, "utf8")).toBe(text);
  });

  test("a service that is a link to another folder is refused", async () => {
    const elsewhere = join(root(), "elsewhere");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "00000000000000aa.json"), entryText("00000000000000aa", 8001));
    symlinkSync(elsewhere, serviceFolder());
    const { warnings, log } = recordWarnings();
    const seen = follow({ log });
    await eventually("told", async () => warnings.values.length > 0);
    expect(warnings.last).toMatch(/fixbug\.UserServiceRpc is a symbolic link/);
    expect(seen.values).toEqual([]);
    await expect(connect().register(registration(8000))).rejects.toThrow("is a symbolic link");
    expect(await connect({ log }).list()).toEqual([]);
    expect(warnings.values).toHaveLength(2);
  });
});

describe("permissions", () => {
  const openToAll = () => {
    mkdirSync(serviceFolder(), { recursive: true });
    for (const path of [root(), serviceFolder()]) chmodSync(path, 0o777);
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
