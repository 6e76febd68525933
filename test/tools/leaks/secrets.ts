// Imported by what runs before the tests: nothing of vitest here.
import { randomBytes } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** What every secret of every run begins with. */
const anyRun = "canary-secret-";
/** How processes of the tests learn which run they belong to, and where the run keeps what else must not be seen. */
const runVariable = "CANARY_RUN";
const folderVariable = "CANARY_FOLDER";

/** In that folder: an empty line for each look at the command lines of all processes. */
const looksFile = "looks";

/** Tells the processes that are started from now on. `folder`: only this user may read it. */
export function beginRun(run: string, folder: string): void {
  process.env[runVariable] = run;
  process.env[folderVariable] = folder;
}

/** What every secret of this run begins with: 22 characters, different in each run. */
export function runMarker(): string {
  process.env[runVariable] ??= randomBytes(4).toString("hex");
  return anyRun + process.env[runVariable];
}

/**
 * A secret for a test: a token, a password, and a key too, as its 46 characters are base64url. Whatever the run writes is
 * searched for it, so it must be nowhere but where the test has put it.
 */
export function canary(): string {
  return runMarker() + randomBytes(12).toString("hex");
}

/** Whether a text holds a secret of this run or of another, as a committed snapshot may. */
export function hasCanary(text: string): boolean {
  return /canary-secret-[0-9a-f]{8}/.test(text);
}

const key = Symbol.for("mprpc.test.secrets");
const holder = globalThis as { [key]?: Set<string> };

/** Those of this process. */
export function watchedHere(): Set<string> {
  holder[key] ??= new Set();
  return holder[key];
}

/** A secret that the code under test has made: it must not be seen either. Gives it back. */
export function watchSecret(secret: string): string {
  const watched = watchedHere();
  if (watched.has(secret)) return secret;
  watched.add(secret);
  const folder = process.env[folderVariable];
  if (folder !== undefined)
    appendFileSync(path.join(folder, String(process.pid)), `${JSON.stringify(secret)}\n`, { mode: 0o600 });
  return secret;
}

/** The command lines of all processes were looked at. `folder`: of the run. */
export function noteLook(folder: string): void {
  appendFileSync(path.join(folder, looksFile), "\n", { mode: 0o600 });
}

/**
 * How often they were in this run so far.
 *
 * @public Its only user is the text of a test file that another test writes.
 */
export function looksSoFar(): number {
  const file = path.join(process.env[folderVariable] ?? "", looksFile);
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Those of all processes of the run. */
export function watchedIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const lines = readFileSync(path.join(folder, name), "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as string);
  });
}
