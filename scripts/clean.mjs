// Removes the build outputs named on the command line; nothing else in the project deletes them.
import { rmSync } from "node:fs";

for (const path of process.argv.slice(2)) rmSync(path, { recursive: true, force: true });
