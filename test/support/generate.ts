// Generates test/support/gen from test/support/protos: npx tsx test/support/generate.ts
import { fileURLToPath } from "node:url";
import { generate, writeGenerated } from "../../src/codegen/index.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const files = await generate([here("protos/probe.proto"), here("protos/twin.proto")]);
await writeGenerated(files, here("gen"));
