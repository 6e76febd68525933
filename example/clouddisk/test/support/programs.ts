import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { Child } from "../../../../test/tools/child.js";
import { debianRoot } from "../../../../test/tools/debian.js";

/** A program of a Debian package, installed or unpacked by scripts/debian-packages.sh, and what it needs to run. */
export interface Program {
  file: string;
  /** Where its package has its other files: `/`, or where it is unpacked. */
  root: string;
  env: NodeJS.ProcessEnv;
}

const folders = ["usr/sbin", "usr/bin", "usr/local/bin"];

/** The unpacked libraries, for programs that are installed too: Python's modules need them. */
function environment(root: string): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  const base = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
  const libraries = path.join(root, "usr/lib");
  if (!existsSync(libraries)) return base;
  const paths = readdirSync(libraries).filter((name) => name.endsWith("-linux-gnu"));
  return { ...base, LD_LIBRARY_PATH: paths.map((name) => path.join(libraries, name)).join(":") };
}

function programIn(root: string, name: string): Program | undefined {
  const file = folders.map((folder) => path.join(root, folder, name)).find((one) => existsSync(one));
  return file === undefined ? undefined : { file, root, env: environment(root) };
}

/** Where a program is, installed or unpacked. Throws Error that names what fetches it when it is nowhere. */
export function findProgram(name: string): Program {
  const found = programIn("/", name) ?? programIn(debianRoot(), name);
  if (found === undefined) throw new Error(`${name} is missing: run scripts/debian-packages.sh`);
  return found;
}

/** Python with the modules of installed and of unpacked packages. */
export function findPython(): Program {
  const python = findProgram("python3");
  const root = debianRoot();
  const modules = path.join(root, "usr/lib/python3/dist-packages");
  // An unpacked Python looks for its own modules where it was built to be.
  const home = python.root === "/" ? {} : { PYTHONHOME: path.join(root, "usr") };
  return { ...python, env: { ...environment(root), ...home, PYTHONPATH: modules } };
}

/** A program that goes on running; dies with this process. */
export function startProgram({ file, env }: Program, args: readonly string[], argv0?: string): Child {
  return new Child(file, args, env, argv0 === undefined ? {} : { argv0 });
}

/** Runs a program to its end with this input; throws what it said when it fails. */
export function runProgram({ file, env }: Program, args: readonly string[], input = ""): void {
  const { status, stderr, stdout } = spawnSync(file, args, {
    input,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${file} failed (${status}):\n${stdout}${stderr}`);
}
