import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const compiler = fileURLToPath(new URL("compile-program.mjs", import.meta.url));
/** Inside the repository, where packages are found. */
const cache = path.join(root, ".cache", "programs");
/** Of one that is no longer what its sources make; a process that was started with it may still load a part of it. */
const keptMs = 3_600_000;

/** What `compile-program.mjs` has made of a program. */
interface Note {
  readonly main: string;
  readonly inputs: Readonly<Record<string, string>>;
}

function noteIn(file: string): Note | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Note;
  } catch {
    return undefined;
  }
}

function isCurrent({ main, inputs }: Note): boolean {
  const same = ([file, hash]: [string, string]): boolean => {
    try {
      const content = readFileSync(path.join(root, file));
      return createHash("sha256").update(content).digest("hex") === hash;
    } catch {
      return false;
    }
  };
  return existsSync(main) && Object.entries(inputs).every(same);
}

function removeOld(prefix: string, current: string): void {
  for (const name of readdirSync(cache)) {
    const folder = path.join(cache, name);
    const mine = name.startsWith(prefix) && !current.startsWith(folder + path.sep);
    if (mine && !name.endsWith(".json") && Date.now() - statSync(folder).mtimeMs > keptMs)
      rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A TypeScript program of this repository as plain JavaScript: the file to start `node` with, which starts in a fraction
 * of the time that compiling it and all it imports takes in each process anew. It is made when it is first asked for, and
 * again when one of the files it is made of has changed; runs share what was made. `import.meta.url` in it is that of the
 * source. `program`: its URL, or its path from the root.
 *
 * Throws Error with what the compiler says when it cannot be compiled.
 */
export function compiled(program: string | URL): string {
  const source = program instanceof URL ? fileURLToPath(program) : path.join(root, program);
  const name = path.relative(root, source).replace(/\.ts$/, "").replaceAll(path.sep, "-");
  const file = path.join(cache, `${name}.json`);
  const found = noteIn(file);
  if (found !== undefined && isCurrent(found)) return found.main;
  mkdirSync(cache, { recursive: true });
  // The dot ends the name: another program's may begin with it.
  const folder = mkdtempSync(path.join(cache, `${name}.`));
  execFileSync(process.execPath, [compiler, source, folder, file], { stdio: ["ignore", "ignore", "pipe"] });
  const made = noteIn(file);
  if (made === undefined) throw new Error(`${compiler} made nothing of ${source}`);
  removeOld(`${name}.`, made.main);
  return made.main;
}
