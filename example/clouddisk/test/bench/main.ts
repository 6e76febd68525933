// `npm run bench -w mprpc-clouddisk -- crash|data|api [--size-mib 1024] [--production]`: prints what it measured.
import { parseArgs } from "node:util";
import { api } from "./api.js";
import { crash } from "./crash.js";
import { data } from "./data.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "size-mib": { type: "string", default: "1024" },
    production: { type: "boolean", default: false },
  },
});
const sizeMiB = Number(values["size-mib"]);
const runs: Record<string, () => Promise<void>> = {
  crash: () => crash(sizeMiB),
  data: () => data(sizeMiB),
  api: () => api(values.production),
};
const run = runs[positionals[0] ?? ""];
if (run === undefined) throw new Error(`which of ${Object.keys(runs).join(", ")}?`);
await run();
