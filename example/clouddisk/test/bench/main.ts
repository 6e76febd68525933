// `npm run bench -w mprpc-clouddisk -- crash|data|api|many [--size-mib 1024] [--files 10000] [--production]`: prints what it measured.
import { parseArgs } from "node:util";
import { api } from "./api.js";
import { crash } from "./crash.js";
import { data } from "./data.js";
import { many } from "./many.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "size-mib": { type: "string", default: "1024" },
    files: { type: "string", default: "10000" },
    production: { type: "boolean", default: false },
  },
});
const sizeMiB = Number(values["size-mib"]);
const runs: Record<string, () => Promise<void>> = {
  crash: () => crash(sizeMiB),
  data: () => data(sizeMiB),
  many: () => many(Number(values.files)),
  api: () => api(values.production),
};
const run = runs[positionals[0] ?? ""];
if (run === undefined) throw new Error(`which of ${Object.keys(runs).join(", ")}?`);
await run();
