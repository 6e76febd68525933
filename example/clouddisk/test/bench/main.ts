// `npm run bench -w mprpc-clouddisk -- crash|data|api|many|users|place [--size-mib 1024] [--files 10000] [--users 1000] [--production]`: prints what it measured.
import { parseArgs } from "node:util";
import { api } from "./api.js";
import { crash } from "./crash.js";
import { data } from "./data.js";
import { many } from "./many.js";
import { place } from "./place.js";
import { users } from "./users.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "size-mib": { type: "string", default: "1024" },
    users: { type: "string", default: "1000" },
    files: { type: "string", default: "10000" },
    production: { type: "boolean", default: false },
  },
});
const sizeMiB = Number(values["size-mib"]);
const runs: Record<string, () => Promise<void>> = {
  crash: () => crash(sizeMiB),
  data: () => data(sizeMiB),
  many: () => many(Number(values.files)),
  users: () => users(Number(values.users), Number(values.files)),
  place,
  api: () => api(values.production),
};
const run = runs[positionals[0] ?? ""];
if (run === undefined) throw new Error(`which of ${Object.keys(runs).join(", ")}?`);
await run();
