import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findShared, type Shared } from "./shared.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** For `share`. */
export async function buildSharedLib(): Promise<Shared> {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-lib-"));
  await promisify(execFile)(process.execPath, ["scripts/build-lib.mjs", folder], { cwd: root });
  return { found: folder, close: () => rm(folder, { recursive: true, force: true }) };
}

/** The folder of a lib/ built in this run from src/, which is not to be changed: tests beside this one use it too. */
export const sharedLib = (): Promise<string> => findShared<string>("lib");
