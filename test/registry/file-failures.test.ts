import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { ownIdentity } from "../../src/registry/file/liveness.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { eventually, timed } from "../tools/wait.js";
import { expectNoGap, registration, shows } from "./conformance.js";
import { entryText, recordWarnings, useFileBench } from "./file-bench.js";

const providerProcess = new URL("provider-process.ts", import.meta.url);
const churnProcess = new URL("churn-process.ts", import.meta.url);
const { root, serviceFolder, entryFiles, connect, follow, start, writeEntry } = useFileBench();

describe("writers that are killed", () => {
  test("in the middle of registering and leaving: nothing of them stays", async () => {
    const seen = follow();
    await connect().register(registration(8000));
    await seen.until("8000", shows(8000));
    const writers = [9000, 9010, 9020].map((port) => start(churnProcess, `file:${root()}`, String(port)));
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
    const script = compiled(new URL("no-descriptors-process.ts", import.meta.url));
    const identity = JSON.stringify(ownIdentity());
    const command = 'ulimit -n 100; exec "$@"';
    const args = ["-c", command, "sh", process.execPath, script, identity];
    const child = new Child("/bin/sh", args);
    try {
      expect(await child.line(/^with descriptors/)).toBe("with descriptors: true");
      expect(await child.line(/^EMFILE/)).toBe("EMFILE: undefined");
    } finally {
      await child.kill();
    }
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
  test("a registration is refused with the reason, leaves nothing, and works when there is room", async () => {
    const seen = follow();
    await seen.until("none", shows());
    const provider = connect();
    const limit = (size: string) =>
      execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${size}:`]);
    // No byte may be written to a file any more: what a full disk is, for one process.
    limit("0");
    try {
      await expect(provider.register(registration(8000))).rejects.toMatchObject({
        code: "unreachable",
        message: expect.stringMatching(/cannot write to the registry folder .*fixbug\.UserServiceRpc: EFBIG/),
      });
    } finally {
      limit("unlimited");
    }
    expect(readdirSync(serviceFolder())).toEqual([]);
    await seen.until("none", shows());
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
  });

  test("a provider that cannot write its lost entry again says so, sees the others, and is back with room", async () => {
    const child = start(providerProcess, `file:${root()}?poll=20ms`, "8000");
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
