import { beforeAll, expect, test } from "vitest";
import { decodeMessage, encodeMessage } from "../../src/protobuf/types.js";
import { classicDialects, readClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { SeededRandom } from "../../src/testing/index.js";
import { detectProtocol } from "../protocol/detect/detectors.js";
import { cutAt, decodeChunks } from "../protocol/mprpc/wire/vectors.js";
import { Animal } from "./gen/zoo.js";
import { mutateBytes, mutateFields } from "./mutations.js";
import { type Recorded, record } from "./recorded.js";
import { classicRequests, mprpcStream } from "./streams.js";
import { animalOf } from "./zoo.js";

let recorded: Recorded;
beforeAll(async () => {
  recorded = await record();
});

const cutsOf = (random: SeededRandom, length: number): number[] =>
  Array.from({ length: random.integer(1, 40) }, () => random.integer(0, length)).sort((a, b) => a - b);

test("mutated streams of either side, chunks and all, give the same frames and the same one error at any split", () => {
  let [frames, errors] = [0, 0];
  for (let seed = 1; seed <= 150; seed++) {
    const random = SeededRandom.of(seed, "split");
    const side = random.pick([recorded.asked, recorded.answered] as const);
    const { bytes } = mprpcStream(random, side, [...side, ...recorded.golden], 8 * 128);
    const whole = decodeChunks([bytes]);
    const split = decodeChunks(cutAt(bytes, ...cutsOf(random, bytes.length)));
    // Compared as text: frames by the hundred, and a difference is shown by its seed.
    expect(JSON.stringify(split.frames) === JSON.stringify(whole.frames), `seed ${seed}`).toBe(true);
    // Places in a buffer differ with the buffer.
    const reasons = [split, whole].map(({ malformed }) => malformed?.replace(/\d+/g, "N"));
    expect(reasons[0], `seed ${seed}`).toBe(reasons[1]);
    frames += whole.frames.length;
    if (whole.malformed !== undefined) errors++;
  }
  expect(frames).toBeGreaterThan(1000);
  expect(errors).toBeGreaterThan(20);
});

test("what a mutated message decodes to is encoded and decoded to the same, or it is refused with an error", () => {
  const good = encodeMessage(Animal, animalOf(1, 2));
  const counts = { decoded: 0, refused: 0 };
  for (let seed = 1; seed <= 2000; seed++) {
    const random = SeededRandom.of(seed, "message");
    const bytes = (random.chance(0.7) ? mutateFields(random, good) : undefined) ?? mutateBytes(random, good);
    let animal: Animal;
    try {
      animal = decodeMessage(Animal, bytes);
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(Error);
      expect((error as Error).message, `seed ${seed}`).not.toContain("call stack");
      counts.refused++;
      continue;
    }
    const again = encodeMessage(Animal, animal);
    expect(encodeMessage(Animal, decodeMessage(Animal, again)).equals(again), `seed ${seed}`).toBe(true);
    counts.decoded++;
  }
  expect(Math.min(counts.decoded, counts.refused)).toBeGreaterThan(200);
});

test("what a classic port decides of mutated first bytes it decides of no prefix otherwise", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = SeededRandom.of(seed, "first");
    const { bytes } = classicRequests(random, recorded);
    const told = (end: number): string => {
      const detection = detectProtocol(bytes.subarray(0, end));
      return detection.kind === "classic" ? detection.dialect : detection.kind;
    };
    let last = "need-more";
    for (let end = 0; end <= Math.min(bytes.length, 600); end++) {
      const now = told(end);
      if (last !== "need-more") expect(now, `seed ${seed}, ${end} bytes`).toBe(last);
      last = now;
    }
    for (const dialect of classicDialects) {
      const whole = readClassicRequest(bytes, 0, dialect, 4 << 20);
      const early = readClassicRequest(
        bytes.subarray(0, random.integer(0, bytes.length)),
        0,
        dialect,
        4 << 20,
      );
      if (early.kind !== "need-more") expect(early, `seed ${seed}, ${dialect}`).toEqual(whole);
    }
  }
});
