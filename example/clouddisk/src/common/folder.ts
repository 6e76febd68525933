import { mkdirSync, statSync } from "node:fs";
import path from "node:path";

/**
 * A folder and those above it, for their owner alone; one that is there is fine. Throws as `fs.mkdirSync` does. That one's
 * own `recursive` tries for ever where a folder that is there takes none, as in /proc.
 */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(folder).isDirectory()) return;
    if (code !== "ENOENT" || path.dirname(folder) === folder) throw error;
    makeFolder(path.dirname(folder));
    mkdirSync(folder, { mode: 0o700 });
  }
}
