import { describe, expect, test } from "vitest";
import { encodeMessage } from "../src/codec.js";
import { LoginRequest } from "./bench/src/gen/bench.js";
import { loginRequest, loginResponse } from "./bench/src/login.js";
import { driveCalls, Meter } from "./bench/src/meter.js";
import { goalTable, median, type Row, ratios } from "./bench/src/report.js";
import { target as raw } from "./bench/src/targets/raw.js";

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
  const provider = await raw.startProvider();
  const caller = await raw.startCaller(provider.endpoint);
  try {
    class Limited extends Meter {
      override record(): void {
        if (this.completed >= 500) this.running = false;
      }
    }
    const meter = new Limited();
    await caller.drive(meter, load);
    expect(meter.completed).toBeGreaterThanOrEqual(500);
    expect(provider.served(load.payloadBytes)).toBe(meter.completed);
  } finally {
    await caller.close();
    await provider.close();
  }
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
    const lines = goalTable(rows, [{ target: "mprpc", kibPerIdleConnection: 8 }]).split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[1]).toMatch(/against the raw echo .* >= 0\.5 +0\.400 +missed$/);
    expect(lines[2]).toMatch(/p99.* 500 +missed$/);
    expect(lines[3]).toMatch(/idle connection.* 8\.00 +met$/);
  });
});
