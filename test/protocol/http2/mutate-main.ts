// Mutated frames for a server and a client session, until so many were read.
import { readOptions, wholeNumber } from "../../tools/program.js";
import { mutatedCase } from "./mutate.js";

const usage = `Usage: node --import tsx test/protocol/http2/mutate-main.ts [options]

Mutated HTTP/2 frames for server and client sessions, half and half.

  --frames N   how many; default 1000000
  --seed N     the first connection's; default 1
  -h, --help
`;

const values = readOptions(usage, {
  frames: { type: "string", default: "1000000" },
  seed: { type: "string", default: "1" },
});
const most = wholeNumber("frames", values.frames);
const firstSeed = wholeNumber("seed", values.seed);
const sides = ["server", "client"] as const;
const done = { server: { frames: 0, cases: 0, survived: 0 }, client: { frames: 0, cases: 0, survived: 0 } };

for (let i = 0; done.server.frames + done.client.frames < most; i++) {
  const side = sides[i % 2] as (typeof sides)[number];
  const seed = firstSeed + i;
  try {
    const { frames, survived } = await mutatedCase(seed, side);
    done[side].frames += frames;
    done[side].cases++;
    if (survived) done[side].survived++;
  } catch (error) {
    console.error(`${side}, seed ${seed}:`, error);
    process.exit(1);
  }
}
for (const side of sides) {
  const { frames, cases, survived } = done[side];
  console.log(
    `${side}: ${frames} frames on ${cases} connections, of which ${survived} were alive at the end`,
  );
}
console.log(`RSS ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
