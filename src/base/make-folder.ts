import { mkdirSync, statSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

const defaultMode = 0o777;

/**
 * Makes `folder` and its missing parents, each with `mode` (default 0777) less the umask; fine when it is there already.
 * Throws the system's error, which names the folder that could not be made. It stands in for Node's own `recursive`,
 * which takes every ENOENT for a missing parent, and so never ends where the system says that although the parent is
 * there, as beneath `/proc`.
 */
export function makeFolderSync(folder: string, mode = defaultMode): void {
  let failure = attemptSync(folder, mode);
  const parent = dirname(folder);
  if (failure?.code === "ENOENT" && parent !== folder) {
    makeFolderSync(parent, mode);
    failure = attemptSync(folder, mode);
  }
  if (failure !== undefined) throw failure;
}

/** As `makeFolderSync`. */
export async function makeFolder(folder: string, mode = defaultMode): Promise<void> {
  let failure = await attempt(folder, mode);
  const parent = dirname(folder);
  if (failure?.code === "ENOENT" && parent !== folder) {
    await makeFolder(parent, mode);
    failure = await attempt(folder, mode);
  }
  if (failure !== undefined) throw failure;
}

/** Why the folder is not there now; `undefined` when it is. Which error an existing one gives differs by system. */
function attemptSync(folder: string, mode: number): NodeJS.ErrnoException | undefined {
  try {
    mkdirSync(folder, mode);
  } catch (error) {
    if (!isFolderSync(folder)) return error as NodeJS.ErrnoException;
  }
  return undefined;
}

async function attempt(folder: string, mode: number): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder, mode);
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isDirectory() !== true) return error as NodeJS.ErrnoException;
  }
  return undefined;
}

function isFolderSync(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
