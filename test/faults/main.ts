// Cuts the scripted exchange of 50 calls at bytes of it, on each wire, both directions, by a reset and by an end. Run by
// hand and, with fewer places, by every-byte.test.ts.
import { oneOf, readOptions, wholeNumber } from "../tools/program.js";
import { directions } from "./cut-network.js";
import { cutsOf, EveryByte, type WireName, wireNames } from "./every-byte.js";

const usage = `Usage: node --import tsx test/faults/main.ts [options]

Cuts an exchange of 50 calls at each byte outside the bodies of chunks and at 1,000 inside, on each wire, in both
directions, by a reset and by an end.

  --wire NAME       only this wire: ${wireNames.join(", ")}; may be repeated
  --edges N|all     how many places outside the bodies of chunks; default all
  --bulk N|all      how many inside; default 1000, all are half a million runs of mprpc
  --seed N          decides which, when it is not all; default 1
  --at BYTE         one run: this place, with
  --direction NAME  ${directions.join(" or ")}; default request
  --how NAME        reset or end; default reset
  -h, --help
`;

const values = readOptions(usage, {
  wire: { type: "string", multiple: true, default: [...wireNames] },
  edges: { type: "string", default: "all" },
  bulk: { type: "string", default: "1000" },
  seed: { type: "string", default: "1" },
  direction: { type: "string", default: "request" },
  how: { type: "string", default: "reset" },
  at: { type: "string" },
});

const countOf = (name: "edges" | "bulk"): number =>
  values[name] === "all" ? Number.POSITIVE_INFINITY : wholeNumber(name, values[name]);

const wires = values.wire.map((name) => oneOf("wire", name, wireNames));
const wanted = { edges: countOf("edges"), bulk: countOf("bulk"), seed: wholeNumber("seed", values.seed) };
const direction = oneOf("direction", values.direction, directions);
const how = oneOf("how", values.how, ["reset", "end"]);
const at = values.at === undefined ? undefined : wholeNumber("at", values.at);

/** Returns how many runs broke a promise. */
async function playMany(wire: WireName): Promise<number> {
  const startedMs = performance.now();
  const world = await EveryByte.start(wire);
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
  const world = await EveryByte.start(wire);
  const found = await world.play({ direction, atByte, how });
  await world.stop();
  console.log(found.length === 0 ? "nothing failed" : found.join("\n"));
  return found.length;
}

// Stack traces of the failures that are meant would take most of the time.
Error.stackTraceLimit = 0;
let failed = 0;
for (const wire of wireNames.filter((name) => wires.includes(name)))
  failed += at === undefined ? await playMany(wire) : await playOne(wire, at);
if (failed > 0) process.exitCode = 1;
