import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { encodeMessage } from "../src/codec.js";
import { findProgramsBy } from "./bench/src/child.js";
import { fixedPort, tooManyText } from "./bench/src/connections/limits.js";
import { runEvents } from "./bench/src/events/command.js";
import { LoginRequest } from "./bench/src/gen/bench.js";
import { type GrowthAxis, growthAxes } from "./bench/src/growth/axes.js";
import { growthTarget } from "./bench/src/growth/target.js";
import { runLocal } from "./bench/src/local/command.js";
import { loginRequest, loginResponse } from "./bench/src/login.js";
import { main } from "./bench/src/main.js";
import { driveCalls, Meter } from "./bench/src/meter.js";
import { loopbackAddress } from "./bench/src/node.js";
import { measurePairs } from "./bench/src/pairs.js";
import { scaleAxis, tickText } from "./bench/src/report/axis.js";
import { figure } from "./bench/src/report/plot.js";
import { goalTable, median, type Row, ratios } from "./bench/src/report.js";
import { target as raw } from "./bench/src/targets/raw.js";
import { countCalls } from "./support/count-calls.js";
import { compiled } from "./tools/compiled.js";

findProgramsBy((program) => compiled(`test/bench/src/${program}.ts`));

function row(target: Row["target"], values: Partial<Row>): Row {
  const measured = { callsPerSecond: 1, p50Us: 1, p99Us: 1, clientCpuUsPerCall: 1, serverCpuUsPerCall: 1 };
  return { target, payloadBytes: 20, inFlight: 16, ...measured, clientRssMib: 1, serverRssMib: 1, ...values };
}

describe("the meter", () => {
  test("gives quantiles of the window alone, in microseconds", () => {
    const meter = new Meter();
    meter.record(1000);
    meter.startWindow(1000);
    for (let ms = 1; ms <= 100; ms += 1) meter.record(ms);
    meter.endWindow();
    meter.record(5000);
    expect(meter.quantilesUs([0, 0.5, 0.99])).toEqual([1000, 51_000, 100_000]);
  });

  test("takes few samples of a fast caller, and as many whether asked for one call or for many", () => {
    const [one, many] = [new Meter(), new Meter()];
    for (const meter of [one, many]) meter.startWindow(500_000);
    expect(one.stride).toBe(17);
    let samples = 0;
    for (let call = 0; call < 17_000; call += 1) if (one.takesSample()) samples += 1;
    expect(samples).toBe(1000);
    expect(many.samplesOf(17_000)).toBe(1000);
  });

  test("a driver keeps exactly the wanted calls in flight until told to stop", async () => {
    const meter = new Meter();
    let inFlight = 0;
    let most = 0;
    await driveCalls(meter, 7, async () => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      await Promise.resolve();
      inFlight -= 1;
      if (meter.completed >= 100) meter.running = false;
    });
    expect([most, inFlight]).toEqual([7, 0]);
    expect(meter.completed).toBeGreaterThan(100);
  });
});

describe("the Login of the benchmark", () => {
  test.each([20, 127, 140, 142, 1000, 65_536])("has a request of exactly %i bytes", (bytes) => {
    expect(encodeMessage(LoginRequest, loginRequest(bytes))).toHaveLength(bytes);
  });

  test("is answered with the classic four bytes, or with the payload when it is large", () => {
    expect(loginResponse(loginRequest(20)).result.errmsg).toHaveLength(0);
    expect(loginResponse(loginRequest(65_536)).result.errmsg.length).toBeGreaterThan(65_000);
  });
});

test.each([
  { payloadBytes: 20, inFlight: 1 },
  { payloadBytes: 20, inFlight: 64 },
  { payloadBytes: 65_536, inFlight: 16 },
])("the raw echo answers every frame of $payloadBytes B, $inFlight at a time", async (load) => {
  const { made, served } = await countCalls(raw, load, 500);
  expect(made).toBeGreaterThanOrEqual(500);
  expect(served).toBe(made);
});

describe("growth", () => {
  const steps = growthAxes.flatMap((axis) =>
    axis.series.flatMap((series) => {
      const source = series.source(axis.values[1] ?? 1);
      return typeof source === "string" ? [] : [{ axis, series, source }];
    }),
  );

  test.each(steps)(
    "of $axis.name ($series.name) serves every call it makes",
    async ({ axis, series, source }) => {
      const load = series.load(axis.values[1] ?? 1);
      const { made, served } = await countCalls(growthTarget(source), load, 200);
      expect(made).toBeGreaterThanOrEqual(200);
      expect(served).toBe(made);
    },
  );

  test("has steps from the smallest to what was asked for", () => {
    const ends = growthAxes.map(({ name, values }: GrowthAxis) => [name, values[0], values.at(-1)]);
    expect(ends).toEqual([
      ["services", 1, 1000],
      ["methods", 1, 10_000],
      ["endpoints", 1, 1000],
      ["in-flight", 1, 100_000],
      ["metadata", 0, 32],
      ["payload", 0, 16_777_216],
      ["pending", 0, 100_000],
    ]);
  });

  test("has as many endpoints as it wants on the loopback network", () => {
    expect([0, 254, 255, 65_535].map(loopbackAddress)).toEqual([
      "127.0.0.1",
      "127.0.0.255",
      "127.0.1.0",
      "127.1.0.0",
    ]);
  });
});

describe("the report", () => {
  test("takes medians", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  test("compares only rows of one load, and CPU as the sum of both sides", () => {
    const rows = [
      row("mprpc", { callsPerSecond: 300, clientCpuUsPerCall: 1, serverCpuUsPerCall: 2 }),
      row("grpc-js", { callsPerSecond: 10, clientCpuUsPerCall: 40, serverCpuUsPerCall: 20 }),
      row("grpc-js", { callsPerSecond: 1, inFlight: 64 }),
    ];
    expect(ratios(rows)).toMatchObject([
      { target: "mprpc", against: "grpc-js", callsPerSecond: 30, cpuPerCall: 0.05 },
    ]);
  });

  test("says of each goal whether it was met, and leaves out what was not measured", () => {
    const rows = [row("mprpc", { callsPerSecond: 40, p99Us: 500 }), row("raw", { callsPerSecond: 100 })];
    const { lines } = goalTable(rows, [{ target: "mprpc", kibPerIdleConnection: 8 }]);
    expect(lines).toEqual([
      ["calls/s against the raw echo", "20 B", "16", ">= 0.5", "0.400", "missed"],
      ["p99, µs", "20 B", "16", "<= 400", "500", "missed"],
      ["KiB per idle connection", "-", "-", "<= 20", "8.00", "met"],
    ]);
  });
});

describe("plots", () => {
  test("write numbers as people do", () => {
    expect([0, 0.25, 1500, 100_000, 2e6].map((value) => tickText(value, "count"))).toEqual([
      "0",
      "0.25",
      "1.5k",
      "100k",
      "2M",
    ]);
    expect([0, 256, 65_536, 16_777_216].map((value) => tickText(value, "bytes"))).toEqual([
      "0 B",
      "256 B",
      "64 KiB",
      "16 MiB",
    ]);
  });

  test("have a place for nothing on a log axis, left of the smallest step", () => {
    const axis = { label: "entries", unit: "count", scale: "log", ticks: [0, 1, 10] } as const;
    const { place } = scaleAxis(axis, [0, 1, 10], [0, 100]);
    expect([place(0), place(10)]).toEqual([0, 100]);
    expect(place(1)).toBeGreaterThan(45);
    expect(place(1)).toBeLessThan(55);
  });

  test("leave out ticks that would run into each other, and escape what they are given", () => {
    const points = Array.from({ length: 200 }, (_, index) => ({ x: index + 1, y: index }));
    const x = { label: "a < b", unit: "count", scale: "linear", ticks: points.map((one) => one.x) } as const;
    const y = { label: "s", unit: "count", scale: "linear" } as const;
    const svg = figure("T", [{ kind: "lines", title: "P", x, y, lines: [{ name: "own", points }] }]);
    expect(svg).toContain("a &lt; b");
    const shown = [...svg.matchAll(/<text x="([\d.]+)" y="272"/g)].map(([, at]) => Number(at));
    expect(shown.length).toBeGreaterThan(5);
    expect(shown.slice(1).filter((at, index) => at - (shown[index] ?? 0) < 12)).toEqual([]);
  });
});

interface ReportFile {
  command: string;
  facts: Record<string, unknown>;
  sections: { title: string; tables: { head: string[]; lines: string[][] }[]; plots: string[] }[];
  results: unknown;
}

/** Each runs real processes; how long they take to start is the machine's affair. */
const commandTimeoutMs = 180_000;

describe("connections beyond what the machine allows", () => {
  test("are told of with the figures and what to do", () => {
    const text = tooManyText(10_000, 4032);
    expect(text).toMatch(
      /^10,000 connections were left out: a process may open 4,096 files here .* and 10,064 are needed/,
    );
    for (const cure of ["limits.conf", "LimitNOFILE=", "--ulimit", "prlimit"]) expect(text).toContain(cure);
  });

  test("need a port that no caller is given as its own", async () => {
    expect(await fixedPort()).toBeLessThan(32_768);
  });
});

describe("the command line", () => {
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

  /** Runs a command and reads what it reports. Tables are rectangular, files are where the report says. */
  async function reportOf(command: string, options: string, file = command): Promise<ReportFile> {
    await main([command, ...options.split(" "), "--report", folder], performance.now());
    expect(
      vi
        .mocked(console.error)
        .mock.calls.flat()
        .filter((text) => /failed|Error/.test(text)),
    ).toEqual([]);
    expect(process.exitCode).toBeUndefined();
    const report: ReportFile = JSON.parse(readFileSync(path.join(folder, `${file}.json`), "utf8"));
    const markdown = readFileSync(path.join(folder, `${file}.md`), "utf8");
    expect(Object.keys(report.facts)).toEqual([
      "date",
      "command",
      "gitCommit",
      "cpu",
      "cores",
      "memoryGib",
      "node",
      "kernel",
      "loadBefore",
      "loadAfter",
    ]);
    for (const { title, tables, plots } of report.sections) {
      expect(markdown).toContain(`## ${title}\n`);
      for (const { head, lines } of tables) {
        expect(lines.map((line) => line.length)).toEqual(lines.map(() => head.length));
        expect(JSON.stringify(lines)).not.toMatch(/NaN|undefined|Infinity/);
      }
      for (const file of plots) {
        expect(markdown).toContain(`](${file})`);
        const svg = readFileSync(path.join(folder, file), "utf8");
        expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
        expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      }
    }
    return report;
  }

  test("lists its commands, and says which there are when it gets another", async () => {
    await main(["--help"], 0);
    const help = String(vi.mocked(console.log).mock.calls[0]);
    for (const name of ["compare", "growth", "connections", "mixed", "startup", "codec", "logger", "streams"])
      expect(help).toContain(`  ${name} `);
    await main(["grow"], 0);
    expect(vi.mocked(console.error).mock.calls[0]).toEqual([
      'bench: "grow" is none of compare, growth, connections, mixed, startup, codec, logger, streams, local, tls, policy, grpc, events',
    ]);
    expect(process.exitCode).toBe(2);
  });

  test("--help answers without installing, building or compiling anything", async () => {
    const args = [fileURLToPath(new URL("./bench/run.mjs", import.meta.url)), "--help"];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/^Usage: npm run bench -- \[COMMAND\] \[options\]\n/);
    expect(stderr).toBe("");
  });

  test("compare reports every target under every load", { timeout: commandTimeoutMs }, async () => {
    const json = path.join(folder, "old.json");
    const options = `--targets mprpc,raw --rounds 1 --measure-ms 20 --no-pin --no-idle --json ${json}`;
    const { results, sections } = await reportOf("compare", options);
    const { rows } = results as { rows: { target: string; callsPerSecond: number }[] };
    expect(rows).toHaveLength(10);
    expect(rows.filter(({ callsPerSecond }) => !(callsPerSecond > 0))).toEqual([]);
    expect(sections.map(({ title }) => title)).toEqual(["Calls", "Ratios", "Goals"]);
    expect(sections[0]?.plots).toEqual([
      "compare-calls.svg",
      "compare-targets-20.svg",
      "compare-targets-65536.svg",
    ]);
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ rounds: 1, rows: { length: 10 } });
  });

  test("growth reports every step, and all its calls were served", {
    timeout: commandTimeoutMs,
  }, async () => {
    const options = "--only services,in-flight --max 10 --rounds 1 --measure-ms 20 --no-pin";
    const { results, sections } = await reportOf("growth", options);
    const rows = results as Record<"axis" | "series" | "value" | "made" | "served", unknown>[];
    expect(rows.map(({ axis, series, value }) => [axis, series, value])).toEqual([
      ["services", "mprpc", 1],
      ["services", "mprpc", 10],
      ["in-flight", "mprpc", 1],
      ["in-flight", "mprpc", 10],
      ["in-flight", "raw echo", 1],
      ["in-flight", "raw echo", 10],
    ]);
    for (const { made, served } of rows) {
      expect(made).toBeGreaterThan(0);
      expect(served).toBe(made);
    }
    expect(sections.map(({ plots }) => plots)).toEqual([["growth-services.svg"], ["growth-in-flight.svg"]]);
  });

  test("mixed reports small calls beside each pace of large ones", {
    timeout: commandTimeoutMs,
  }, async () => {
    const options = "--targets mprpc --rates 0,50 --rounds 1 --measure-ms 100 --no-pin";
    const { results, sections } = await reportOf("mixed", options);
    const rows = results as Record<"target" | "mibPerSecond" | "callsPerSecond", unknown>[];
    expect(rows.map(({ target, mibPerSecond }) => [target, mibPerSecond])).toEqual([
      ["mprpc", 0],
      ["mprpc", 50],
    ]);
    for (const { callsPerSecond } of rows) expect(callsPerSecond).toBeGreaterThan(0);
    expect(sections.map(({ plots }) => plots)).toEqual([["mixed-mixed.svg"]]);
  });

  test.each([
    ["static", "1,120", "connections"],
    ["file", "3", "connections-file"],
  ])(
    "connections come back after a restart, every one (%s)",
    { timeout: commandTimeoutMs },
    async (registry, sizes, file) => {
      const few = "--rounds 1 --processes 2 --in-flight 8 --measure-ms 20 --down-ms 1 --no-pin";
      const { results } = await reportOf(
        "connections",
        `--registry ${registry} --sizes ${sizes} ${few}`,
        file,
      );
      const { rows } = results as {
        rows: {
          connections: number;
          open: number;
          made: number;
          served: number;
          timeline: Record<"lost" | "attempts" | "connected" | "back", number[]>;
        }[];
      };
      expect(rows.map(({ connections }) => String(connections)).join()).toBe(sizes);
      for (const { connections, open, made, served, timeline } of rows) {
        expect(open).toBe(connections);
        expect(served).toBe(made);
        const { lost, attempts, connected, back } = timeline;
        const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
        expect([sum(lost), sum(back)]).toEqual([connections, connections]);
        // Told by the registry of the new provider, a client that had found it by itself connects once more.
        expect(sum(connected)).toBeGreaterThanOrEqual(connections);
        expect(sum(attempts)).toBeGreaterThanOrEqual(sum(connected));
      }
    },
  );

  test("startup reports a fresh process of each kind", { timeout: commandTimeoutMs }, async () => {
    const { results } = await reportOf("startup", "--targets mprpc --runs 1 --no-install");
    const { starts, installs } = results as { starts: Record<string, number>[]; installs: unknown[] };
    expect(starts).toMatchObject([{ target: "mprpc", runs: 1 }]);
    const [{ importMs = 0, listeningMs = 0, firstCallMs = 0, tenthCallMs = 0 } = {}] = starts;
    expect([importMs, listeningMs, firstCallMs, tenthCallMs].filter((ms) => !(ms > 0))).toEqual([]);
    expect(installs).toEqual([]);
  });
});

test.each([
  ["mprpc", "mprpc-tls"],
  ["mprpc-secret", "mprpc-policy"],
] as const)("%s and %s are compared in pairs, at each number of calls in flight", async (base, other) => {
  const rows = await measurePairs(base, other, {
    pairs: 2,
    window: { warmMs: 5, measureMs: 30 },
    pin: false,
  });
  expect(rows.map(({ inFlight }) => inFlight)).toEqual([1, 16, 64, 256]);
  for (const { base: before, other: after, ratios, interval } of rows) {
    expect([before, after, ...ratios].filter((figure) => !(figure > 0))).toEqual([]);
    expect(ratios).toHaveLength(2);
    expect(interval[0]).toBeLessThanOrEqual(interval[1]);
  }
});

test("the ways within a machine are each measured, at each number of calls in flight", async () => {
  const { rows } = await runLocal({ rounds: 1, sliceMs: 50, inFlight: [1, 4] });
  expect(rows.map(([inFlight, way]) => `${inFlight} ${way}`)).toEqual(
    [1, 4].flatMap((inFlight) =>
      ["two processes", "tcp", "unix", "inproc"].map((way) => `${inFlight} ${way}`),
    ),
  );
  for (const figure of rows.flatMap((row) => row.slice(2))) expect(figure).toBeGreaterThan(0);
});

test("publishing and consuming are measured at both brokers, beside their bare clients", async () => {
  const tables = await runEvents({ brokers: ["redis", "nats"], rounds: 1, messages: 100 });
  expect(tables.map(({ title }) => title)).toEqual([
    "redis: messages of 100 bytes",
    "nats: messages of 100 bytes",
  ]);
  for (const { rows } of tables) {
    expect(rows.map(([what, inFlight]) => `${what} ${inFlight}`)).toEqual([
      ...["publish 1", "publish 64", "publish 256", "consume 256"],
    ]);
    for (const figure of rows.flatMap((one) => one.slice(2))) expect(figure).toBeGreaterThan(0);
  }
});
