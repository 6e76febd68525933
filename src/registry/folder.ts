import { lstatSync, statSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { makeFolderSync } from "../base/make-folder.js";
import { RegistryError, reasonOf } from "./errors.js";

/** Private to its owner: anyone who can write there decides where calls go. */
const privateMode = 0o700;

/**
 * The folder all processes of one user on one machine share, wherever they were started:
 * `$XDG_RUNTIME_DIR/mprpc/registry`, or else `<tmpdir>/mprpc-<uid>/registry`.
 */
export function defaultRegistryFolder(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/") && isOwnFolder(runtime)) return join(runtime, "mprpc", "registry");
  const user = process.getuid?.() ?? userInfo().username;
  return join(tmpdir(), `mprpc-${user}`, "registry");
}

/** The variable outlives a change of user (`sudo`), and then names another user's folder. */
function isOwnFolder(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.getuid?.();
}

/**
 * Makes `folder` and its parent private, or throws RegistryError: another user could have created a folder of that name
 * in the shared temporary folder first, and would then decide where this user's calls go.
 */
export function makePrivateFolder(folder: string, cure: string): void {
  for (const path of [dirname(folder), folder]) {
    makeFolder(path, cure);
    checkPrivate(path, cure);
  }
}

/** Creates `folder` (mode 0700 when it is new), or throws RegistryError `unreachable` that names it. */
export function makeFolder(folder: string, cure: string): void {
  try {
    makeFolderSync(folder, privateMode);
  } catch (error) {
    throw new RegistryError(
      "unreachable",
      `cannot create the folder ${folder}: ${reasonOf(error)}; ${cure}`,
      error,
    );
  }
}

function checkPrivate(path: string, cure: string): void {
  const stat = lstatSync(path);
  const uid = process.getuid?.();
  if (!stat.isDirectory()) throw new RegistryError("denied", `${path} is not a folder; ${cure}`);
  if (uid === undefined) return;
  if (stat.uid !== uid) {
    throw new RegistryError("denied", `${path} belongs to user id ${stat.uid}, not to ${uid}; ${cure}`);
  }
  if ((stat.mode & 0o022) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    throw new RegistryError(
      "denied",
      `${path} can be written by other users (mode ${mode}); run: chmod 700 ${path}`,
    );
  }
}
