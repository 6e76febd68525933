import { expect, test } from "vitest";
import { fuzzParser } from "./parser-fuzzer.js";

test("mutated .proto files are compiled or refused, as protoc does", async () => {
  const differences: string[] = [];
  const options = { seed: 7, cases: 250, untilMs: 20_000, protoc: true };
  const report = await fuzzParser({ ...options, onDifference: (text) => differences.push(text) });
  expect(differences).toEqual([]);
  expect(report.accepted).toBeGreaterThan(5);
  expect(report.refused).toBeGreaterThan(50);
});
