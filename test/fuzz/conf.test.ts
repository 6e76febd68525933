import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.js";
import { SeededRandom } from "../../src/testing/index.js";
import { load } from "../config/load.js";
import { mutateBytes } from "./mutations.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** The sample with every key it shows as a comment set. */
const sample = Buffer.from(readFileSync(`${root}/bin/mprpc.conf`, "utf8").replace(/^#(?=[a-z]+=)/gm, ""));

/** Loads or refuses in words; anything else is a failure of the test, with what was read. */
function outcomeOf(conf: Uint8Array, what: string): string {
  try {
    load({ conf });
    return "loaded";
  } catch (error) {
    if (!(error instanceof ConfigError)) throw new Error(`${what}: ${String(error)}`, { cause: error });
    const lines = error.message.split("\n");
    // At most 20 problems and how many more there are, each short, nothing in it that moves a terminal's cursor.
    expect(lines.length, what).toBeLessThanOrEqual(21);
    for (const line of lines) {
      expect(line.length, what).toBeLessThan(1000);
      expect(line, what).toMatch(/^(?:mprpc\.conf|\/node\/mprpc\.conf)[:]|^\.\.\. and \d+ more$/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(line, what).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    }
    return "refused";
  }
}

test("any change of a good conf loads or is refused line by line", () => {
  const counts = { loaded: 0, refused: 0 };
  for (let seed = 1; seed <= 1500; seed++) {
    const random = SeededRandom.of(seed, "conf");
    let conf: Buffer = sample;
    for (let i = random.integer(1, 12); i > 0; i--) conf = mutateBytes(random, conf);
    counts[outcomeOf(conf, `seed ${seed}`) as keyof typeof counts]++;
  }
  expect(counts.loaded).toBeGreaterThan(20);
  expect(counts.refused).toBeGreaterThan(20);
});

test("random bytes, with and without line ends, are refused", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = SeededRandom.of(seed, "bytes");
    const bytes = Buffer.from(Array.from({ length: random.integer(1, 2000) }, () => random.integer(1, 255)));
    expect(["loaded", "refused"]).toContain(outcomeOf(bytes, `seed ${seed}`));
  }
});

const text = (content: string): Buffer => Buffer.from(content);
const gbk = (hex: string): Buffer =>
  Buffer.concat([text("rpcserverip="), Buffer.from(hex, "hex"), text("\n")]);
const million = 1_000_000;

describe("what is enormous or odd ends, and is told", () => {
  test.each<[what: string, conf: Uint8Array, outcome: string]>([
    ["a value of a megabyte", text(`rpcserverip=${"a".repeat(million)}`), "refused"],
    ["a number of a megabyte", text(`rpcserverport=${"9".repeat(million)}`), "refused"],
    ["a duration of a megabyte", text(`calltimeout=${"1".repeat(million)}s`), "refused"],
    ["a size beyond all numbers", text("[limits]\nbody=99999999999999999999999GiB"), "refused"],
    ["a key of a megabyte", text(`${"k".repeat(million)}=1`), "loaded"],
    ["a section of a megabyte", text(`[${"s".repeat(million)}]\na=1`), "loaded"],
    ["a bracket a million times", text("[".repeat(million)), "refused"],
    ["a backslash a million times", text(`rpcserverip=${"\\".repeat(million)}`), "refused"],
    ["a quote that never ends", text(`rpcserverip="${"\\a".repeat(million / 2)}`), "refused"],
    ["quotes and semicolons", text(`rpcserverip=${`"';#`.repeat(million / 8)}`), "refused"],
    ["a registry of a megabyte", text(`registry=static://${"h:1,".repeat(million / 8)}`), "loaded"],
    ["a list of half a million", text(`[log]\nredact=${"a,".repeat(million / 4)}`), "loaded"],
    ["the same key 60,000 times", text("rpcserverport=1\n".repeat(60_000)), "loaded"],
    ["a million empty lines", text("\n".repeat(million)), "loaded"],
    [
      "keys of objects",
      text("__proto__=1\nconstructor=2\n[__proto__]\npolluted=1\n[constructor]\nprototype=1"),
      "loaded",
    ],
    ["NULs", text("rpcserverport=80\u000000\n"), "refused"],
    ["BOM and CRLF", text("\ufeffrpcserverport=8000\r\n[log]\r\nlevel=warn\r\n"), "loaded"],
    ["GBK in a value", gbk("d6d0cec4"), "refused"],
    [
      "GBK in a comment",
      Buffer.concat([text("# "), Buffer.from("d6d0cec4", "hex"), text("\nrpcserverport=1\n")]),
      "loaded",
    ],
    ["UTF-16", Buffer.from("\ufeffrpcserverport=1\n", "utf16le"), "refused"],
    ["nothing", text(""), "loaded"],
  ])("%s", (what, conf, outcome) => {
    expect(outcomeOf(conf, what)).toBe(outcome);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

test("the command says it on stderr and ends with 1, without a stack trace", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-conf-fuzz-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, "bad.conf");
  for (const conf of [Buffer.alloc(3_000_000, 0x61), gbk("d6d0cec4"), text("[".repeat(1000))]) {
    await writeFile(file, conf);
    const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, [`${root}/bin/mprpc`, "config", "-i", file], (error, _stdout, stderr) => {
        resolve({ code: error?.code, stderr });
      });
    });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("bad.conf");
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    expect(ended.stderr.length).toBeLessThan(3000);
  }
}, 60_000);
