import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { encodeMessage } from "../src/codec.js";
import { findProgramsBy } from "./bench/src/child.js";
import { Piece } from "./bench/src/gen/streams.js";
import { main } from "./bench/src/main.js";
import { Meter } from "./bench/src/meter.js";
import { streamLoads } from "./bench/src/streams/command.js";
import { type StreamResults, type StreamRow, streamGoals } from "./bench/src/streams/report.js";
import { pieceOf, type StreamLoad, type StreamTarget } from "./bench/src/streams/target.js";
import { target as mprpc } from "./bench/src/streams/targets/mprpc.js";
import { target as raw } from "./bench/src/streams/targets/raw.js";
import { compiled } from "./tools/compiled.js";

findProgramsBy((program) => compiled(`test/bench/src/${program}.ts`));

test.each([64, 1024, 65_536])("a message of the streams has exactly %i bytes", (bytes) => {
  expect(encodeMessage(Piece, pieceOf(bytes))).toHaveLength(bytes);
});

test("the loads of the streams are all kinds, sizes and numbers, but 256 MiB at a time", () => {
  expect(streamLoads).toHaveLength(4 * 3 * 2 - 1);
  expect(streamLoads.filter(({ outstanding, streams }) => outstanding === 64 && streams === 64)).toEqual([
    { kind: "bidi", payloadBytes: 64, streams: 64, outstanding: 64 },
    { kind: "bidi", payloadBytes: 1024, streams: 64, outstanding: 64 },
  ]);
});

/** Runs a load until the side where its messages end up has had `least`; returns the counts of both sides. */
async function driven(target: StreamTarget, load: StreamLoad, least: number) {
  const provider = await target.startProvider();
  const caller = await target.startCaller(provider.endpoint);
  const received = () => provider.received(load.payloadBytes);
  try {
    const meter = new Meter();
    const ended = caller.drive(meter, load);
    const count = load.kind === "client" ? received : () => meter.completed;
    while (count() < least) await setImmediate();
    meter.running = false;
    await ended;
    return { completed: meter.completed, received: received() };
  } finally {
    await caller.close();
    await provider.close();
  }
}

describe.each([
  ["mprpc", mprpc],
  ["raw", raw],
] as const)("streams of %s", (name, target) => {
  test.each([
    { kind: "server", payloadBytes: 64, streams: 3 },
    { kind: "server", payloadBytes: 65_536, streams: 1 },
    { kind: "client", payloadBytes: 64, streams: 3 },
    { kind: "client", payloadBytes: 65_536, streams: 1 },
    { kind: "bidi", payloadBytes: 64, streams: 3, outstanding: 1 },
    { kind: "bidi", payloadBytes: 65_536, streams: 2, outstanding: 8 },
  ] as const)("$kind, $payloadBytes B, $streams at a time", async (load) => {
    const { completed, received } = await driven(target, load, 300);
    if (load.kind === "client") expect(received).toBeGreaterThanOrEqual(300);
    else expect(completed).toBeGreaterThanOrEqual(300);
    // The raw echo counts nothing that it sends.
    if (name === "mprpc") expect(received).toBe(load.kind === "client" ? completed : 0);
  });
});

const measured = { clientCpuUsPerMessage: 1, serverCpuUsPerMessage: 1 };

test("what is sought of streams is judged by rows of one load, and not where one is missing", () => {
  const small = { kind: "server", payloadBytes: 64, streams: 1, ...measured } as const;
  const rows: StreamRow[] = [
    { target: "mprpc", ...small, messagesPerSecond: 600, cpuUsPerMessage: 2 },
    { target: "grpc-js", ...small, messagesPerSecond: 20, cpuUsPerMessage: 40 },
    { target: "grpc-js", ...small, payloadBytes: 65_536, messagesPerSecond: 20, cpuUsPerMessage: 40 },
  ];
  const goals = streamGoals({ rows, idle: [], stalled: [] }).filter(({ value }) => value !== undefined);
  expect(goals.map(({ value, isMet }) => [value, isMet(value ?? 0)])).toEqual([
    [30, true],
    [2, false],
  ]);
});

/** Real processes; how long they take to start is the machine's affair. */
const commandTimeoutMs = 180_000;

describe("the command streams", () => {
  let folder = "";

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-test-"));
    vi.spyOn(console, "log").mockReturnValue();
    vi.spyOn(console, "error").mockReturnValue();
  });

  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs the command; what its JSON file and its report say. */
  async function run(options: string) {
    const json = path.join(folder, "rows.json");
    const args = `streams ${options} --json ${json} --report ${folder}`;
    await main(args.split(" "), performance.now());
    expect(process.exitCode).toBeUndefined();
    const file: unknown = JSON.parse(readFileSync(json, "utf8"));
    const report = JSON.parse(readFileSync(path.join(folder, "streams.json"), "utf8")) as {
      results: StreamResults;
      sections: { title: string }[];
    };
    return { file, ...report, titles: report.sections.map(({ title }) => title) };
  }

  function expectAllRows(rows: readonly StreamRow[], targets: readonly string[]): void {
    expect(
      rows.map(({ target, kind, payloadBytes, streams, outstanding }) => [
        target,
        { kind, payloadBytes, streams, ...(outstanding === undefined ? {} : { outstanding }) },
      ]),
    ).toEqual(streamLoads.flatMap((load) => targets.map((target) => [target, load])));
    for (const { messagesPerSecond, cpuUsPerMessage } of rows) {
      expect(messagesPerSecond).toBeGreaterThan(0);
      expect(cpuUsPerMessage).toBeGreaterThan(0);
    }
  }

  test("reports every target under every load, and streams at rest", {
    timeout: commandTimeoutMs,
  }, async () => {
    const few = "--targets mprpc,raw --rounds 1 --measure-ms 20 --idle-max 100 --no-pin";
    const { file, results, titles } = await run(few);
    expectAllRows((file as StreamResults).rows, ["mprpc", "raw"]);
    expect(results.idle).toMatchObject([
      { target: "mprpc", kind: "bidi", streams: 100 },
      { target: "mprpc", kind: "server", streams: 100 },
    ]);
    expect(results.stalled).toMatchObject([{ target: "mprpc", streams: 99, payloadBytes: 1024 }]);
    for (const { messagesPerSecondBeside } of results.stalled)
      expect(messagesPerSecondBeside).toBeGreaterThan(0);
    expect(titles).toEqual(["Messages", "Idle streams", "A stalled stream", "Sought"]);
  });

  test("--quick has every row, and the file is their list", { timeout: commandTimeoutMs }, async () => {
    const { file, titles } = await run(
      "--quick --targets mprpc --measure-ms 20 --idle-max 0 --no-stalled --no-pin",
    );
    expectAllRows(file as StreamRow[], ["mprpc"]);
    expect(titles).toEqual(["Messages", "Sought"]);
  });
});
