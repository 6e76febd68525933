// Cuts the scripted exchange of 50 calls at bytes of it, on each wire, both directions, by a reset and by an end. Run by
// hand and, with fewer places, by every-byte.test.ts:
//
//   node --import tsx test/faults/main.ts                      every byte outside the bodies of chunks, 1,000 inside
//   node --import tsx test/faults/main.ts --bulk all           every byte (half a million runs of mprpc)
//   node --import tsx test/faults/main.ts --wire framed        one wire: mprpc, framed, varint, le32 or be32
//   node --import tsx test/faults/main.ts --wire mprpc --direction reply --how end --at 1234       one run
import { parseArgs } from "node:util";
import { directions } from "./cut-network.js";
import { cutsOf, EveryByte, type WireName, wireNames } from "./every-byte.js";

const { values } = parseArgs({
  options: {
    wire: { type: "string", multiple: true, default: [...wireNames] },
    edges: { type: "string", default: "all" },
    bulk: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    direction: { type: "string", default: "request" },
    how: { type: "string", default: "reset" },
    at: { type: "string" },
  },
});

const countOf = (text: string): number => (text === "all" ? Number.POSITIVE_INFINITY : Number(text));

/** Returns how many runs broke a promise. */
async function playMany(wire: WireName): Promise<number> {
  const startedMs = performance.now();
  const world = await EveryByte.start(wire);
  const wanted = { edges: countOf(values.edges), bulk: countOf(values.bulk), seed: Number(values.seed) };
  let [runs, failed] = [0, 0];
  for (const cut of cutsOf(await world.offsets(), wanted)) {
    const found = await world.play(cut);
    runs++;
    if (runs % 10_000 === 0) console.error(`${wire}: ${runs} runs`);
    if (found.length === 0) continue;
    failed++;
    const { direction, how, atByte } = cut;
    console.log(
      `--wire ${wire} --direction ${direction} --how ${how} --at ${atByte}\n  ${found.join("\n  ")}`,
    );
  }
  await world.stop();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${wire}: ${runs} cuts of 50 calls, ${failed} failed, ${seconds} s`);
  return failed;
}

async function playOne(wire: WireName, atByte: number): Promise<number> {
  const direction = directions.find((one) => one === values.direction);
  if (direction === undefined) throw new TypeError(`--direction: expected ${directions.join(" or ")}`);
  const world = await EveryByte.start(wire);
  const found = await world.play({ direction, atByte, how: values.how === "end" ? "end" : "reset" });
  await world.stop();
  console.log(found.length === 0 ? "nothing failed" : found.join("\n"));
  return found.length;
}

// Stack traces of the failures that are meant would take most of the time.
Error.stackTraceLimit = 0;
let failed = 0;
for (const wire of wireNames.filter((name) => values.wire.includes(name)))
  failed += values.at === undefined ? await playMany(wire) : await playOne(wire, Number(values.at));
if (failed > 0) process.exitCode = 1;
