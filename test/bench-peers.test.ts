import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { findProgramsBy } from "./bench/src/child.js";
import { fetchCommand, prepareCpp } from "./bench/src/cpp.js";
import { main } from "./bench/src/main.js";
import { type Data, tableOf } from "./bench/src/report/data.js";
import type { Target } from "./bench/src/target.js";
import { countCalls } from "./support/count-calls.js";
import { compiled } from "./tools/compiled.js";

findProgramsBy((program) => compiled(`test/bench/src/${program}.ts`));

/** What imports a peer is loaded by its address: the types of peers are there only once they are installed. */
const bring = (file: string) => import(new URL(`./bench/src/${file}`, import.meta.url).href);

describe("with the peers", () => {
  beforeAll(async () => (await bring("../install.mjs")).installPeers(), 300_000);

  test.each([
    { payloadBytes: 20, inFlight: 64 },
    { payloadBytes: 65_536, inFlight: 16 },
  ])("Thrift answers every call of $payloadBytes B, $inFlight at a time", async (load) => {
    const { target }: { target: Target } = await bring("targets/thrift.ts");
    const { made, served } = await countCalls(target, load, 500);
    expect(made).toBeGreaterThanOrEqual(500);
    expect(served).toBe(made);
  });

  test("the codecs write the same bytes for every message, and each is timed both ways", async () => {
    const { runCodec } = await bring("codec/command.ts");
    const table: Data = await runCodec({ rounds: 1, sliceMs: 0.01, only: "" });
    const { codecCases } = await bring("codec/cases.ts");
    expect(table.rows).toHaveLength(2 * codecCases().length);
    expect(table.columns).toHaveLength(13);
    for (const row of table.rows) {
      expect(row).toHaveLength(table.columns.length);
      expect(row.slice(2).every((cell) => typeof cell === "number" && cell > 0)).toBe(true);
    }
    expect(table.rows.find(([name]) => name === "Login")?.slice(0, 3)).toEqual(["Login", "encode", 18]);
  });

  test("the command codec writes a table of what was asked for", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-codec-"));
    vi.spyOn(console, "log").mockReturnValue();
    vi.spyOn(console, "error").mockReturnValue();
    const file = path.join(folder, "codec.json");
    await main(["codec", "--rounds", "1", "--slice-ms", "1", "--only", "8", "--json", file], 0);
    vi.restoreAllMocks();
    const { command, tables } = JSON.parse(readFileSync(file, "utf8")) as { command: string; tables: Data[] };
    rmSync(folder, { recursive: true });
    expect([command, process.exitCode]).toEqual(["codec", undefined]);
    expect(tables[0]?.rows.map(([name, direction]) => [name, direction])).toEqual([
      ["string, 8 ASCII", "encode"],
      ["string, 8 ASCII", "decode"],
      ["string, 8 CJK", "encode"],
      ["string, 8 CJK", "decode"],
    ]);
  });

  test("what is logged right before an end is in the file", async () => {
    const { exitTable } = await bring("logger/exits.ts");
    const table: Data = await exitTable(500, ["mprpc json"]);
    expect(table.columns).toEqual(["", "end", "logged", "in the file", "lost"]);
    expect(table.rows.map((row) => row.slice(1))).toEqual([
      ["process.exit()", 500, 500, 0],
      ["uncaught exception", 500, 500, 0],
      ["SIGTERM", 500, 500, 0],
    ]);
  }, 120_000);

  test("lines reach the file of every logger, timed and counted", async () => {
    const { throughputTable } = await bring("logger/throughput.ts");
    const table: Data = await throughputTable(1, 2);
    expect(table.rows.map(([name]) => name)).toHaveLength(7);
    for (const [name, ...figures] of table.rows) {
      const expected = String(name).endsWith("off") ? 2 : 3;
      expect(figures.filter((figure) => typeof figure === "number" && figure > 0)).toHaveLength(expected);
    }
  });

  test("both sides log each call once", async () => {
    const { callsTables } = await bring("logger/calls.ts");
    const window = { warmMs: 1, measureMs: 1 };
    const targets = ["mprpc", "mprpc-log"];
    const [cost, lines]: Data[] = await callsTables({
      rounds: 1,
      window,
      inFlight: [4],
      pin: false,
      targets,
    });
    expect(cost?.rows).toHaveLength(2);
    for (const [, calls, written, dropped, lost] of lines?.rows ?? []) {
      expect(calls).toBeGreaterThan(0);
      expect([written, dropped, lost]).toEqual([calls, 0, 0]);
    }
  }, 120_000);
});

test("a cell of data is text, a whole number, a figure with the digits that matter, or a dash", () => {
  const rows = [
    ["a", 1234, 1.5],
    ["b", 3, null],
  ];
  expect(tableOf({ title: "T", columns: ["name", "n", "x"], rows })).toEqual({
    head: ["name", "n", "x"],
    lines: [
      ["a", "1,234", "1.50"],
      ["b", "3", "-"],
    ],
  });
});

describe("the C++ target", () => {
  let folder: string;
  const prepare = () => {
    const env = { PATH: path.join(folder, "bin"), MPRPC_TEST_CACHE: path.join(folder, "cache") };
    return prepareCpp({ fetch: false, env, log: () => {} });
  };
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-cpp-"));
    mkdirSync(path.join(folder, "bin"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("says in one line that there is no compiler, and how to get one", () => {
    expect(prepare()).toBe("g++ is not on the PATH; get it: sudo apt-get install g++");
  });

  test("says in one line that there is no gRPC, and the command that gets it without being root", () => {
    writeFileSync(path.join(folder, "bin", "g++"), "");
    expect(prepare()).toBe(`gRPC for C++ is not there; get it: ${fetchCommand}`);
    expect(fetchCommand).toContain(" libprotobuf-dev ");
    expect(fetchCommand).toMatch(/^scripts\/debian-packages\.sh --with-dependencies [-+ a-z]+$/);
  });

  test.each(["bin", "cache/debian/root/usr/bin"])(
    "gRPC in %s without protobuf's headers is no gRPC",
    (bin) => {
      const put = (...names: string[]) => {
        const file = path.join(folder, ...names);
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, "");
      };
      put("bin", "g++");
      put(bin, "protoc");
      put(bin, "grpc_cpp_plugin");
      put(bin, "..", "include", "grpcpp", "grpcpp.h");
      put(bin, "..", "lib", "x86_64-linux-gnu", "libgrpc++.so");
      expect(prepare()).toBe(`gRPC for C++ is not there; get it: ${fetchCommand}`);
    },
  );
});
