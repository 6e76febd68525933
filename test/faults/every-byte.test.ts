import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClientInterceptor } from "../../src/index.js";
import { RpcError } from "../../src/index.js";
import { cutsOf, EveryByte, type WireName, wireNames } from "./every-byte.js";
import { footprint } from "./footprint.js";

/** Of the places to cut at; `node --import tsx test/faults/main.ts` takes all of them. */
const share = process.env.CI === undefined ? 0.2 : 1;
const places = (wire: WireName) => ({
  edges: Math.ceil((wire === "mprpc" || wire === "grpc" ? 125 : 30) * share),
  bulk: Math.ceil(10 * share),
  seed: 1,
});
const mib = 1024 ** 2;

let stackTraceLimit: number;

beforeAll(() => {
  // Stack traces of the thousands of failures a run makes on purpose take half of its time.
  ({ stackTraceLimit } = Error);
  Error.stackTraceLimit = 0;
});

afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

/** Cuts at each place; what did not hold, with where. */
async function violationsOf(world: EveryByte, wire: WireName): Promise<string[]> {
  const all: string[] = [];
  const options = places(wire);
  for (const cut of cutsOf(await world.offsets(), options)) {
    const found = await world.play(cut);
    const { direction, how, atByte } = cut;
    const replay = `--wire ${wire} --direction ${direction} --how ${how} --at ${atByte}`;
    if (found.length > 0) all.push(`node --import tsx test/faults/main.ts ${replay}: ${found.join("; ")}`);
  }
  return all;
}

describe("a connection cut in an exchange of 50 calls", () => {
  test.each(wireNames)(
    "%s: each call ends once, `never` never ran, nothing stays",
    { timeout: 120_000 },
    async (wire) => {
      const world = await EveryByte.start(wire);
      await world.offsets();
      const before = await footprint();
      expect(await violationsOf(world, wire)).toEqual([]);
      await world.stop();
      const after = await footprint();
      expect(after.heapBytes - before.heapBytes).toBeLessThan(8 * mib);
      expect(after.externalBytes - before.externalBytes).toBeLessThan(8 * mib);
    },
  );
});

describe("what is wrong is found", () => {
  const lies: ClientInterceptor = (next) => async (call) => {
    try {
      return await next(call);
    } catch (error) {
      throw error instanceof RpcError && error.executed === "maybe" ? error.with({}, "never") : error;
    }
  };
  const repeats: ClientInterceptor = (next) => async (call) => {
    try {
      return await next(call);
    } catch (error) {
      if (error instanceof RpcError && error.executed === "maybe") return next(call);
      throw error;
    }
  };

  test.each([
    ["a caller that is told `never` when nobody knows", lies, "never ran, its caller was told, and it did"],
    ["calls that are repeated when they may have run", repeats, "ran 2 times"],
  ])("%s", async (_what, interceptor, text) => {
    const world = await EveryByte.start("mprpc", [interceptor]);
    const found: string[] = [];
    // Where replies to twelve calls at once are on their way.
    for (let atByte = 300; atByte < 900; atByte += 100)
      found.push(...(await world.play({ direction: "reply", atByte, how: "reset" })));
    await world.stop();
    expect(found.join("\n")).toContain(text);
  });
});
