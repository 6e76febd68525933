import { describe, expect, test } from "vitest";
import { collect, numbers, startFlow } from "./support.js";

describe("the three kinds", () => {
  test("a server stream: messages in order, then the end", async () => {
    const { stub } = await startFlow();
    const got = await collect(stub.watch({ number: 5000 }));
    expect(got.map(({ number }) => number)).toEqual(Array.from({ length: 5000 }, (_, at) => at));
  });

  test("a client stream: any iterable, one reply", async () => {
    const { stub } = await startFlow();
    expect(await stub.put([{ number: 1 }, { number: 2 }])).toMatchObject({ number: 3 });
    expect(await stub.put(numbers(5000))).toMatchObject({ number: (4999 * 5000) / 2 });
    expect(await stub.put([])).toMatchObject({ number: 0 });
  });

  test("both ways", async () => {
    const { stub } = await startFlow();
    const got = await collect(stub.chat(numbers(5000)));
    expect(got.map(({ number }) => number)).toEqual(Array.from({ length: 5000 }, (_, at) => at));
  });

  test("messages larger than any window, and empty ones", async () => {
    const { stub } = await startFlow();
    const sizes = [0, 1, 100_000, 4_000_000, 0, 16_384, 300_000];
    const got = await collect(
      stub.chat(sizes.map((size, number) => ({ number, data: Buffer.alloc(size, number) }))),
    );
    expect(
      got.map(({ number, data }) => [number, data.length, data.every((byte) => byte === number)]),
    ).toEqual(sizes.map((size, number) => [number, size, true]));
  });
});
