import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { didYouMean } from "../base/nearest.js";
import type { GeneratedFile } from "./emit-files.js";
import { CodegenError, type Problem, shown } from "./error.js";
import { generate, generateFromDescriptors, type OutputOptions, writeGenerated } from "./generate.js";
import { outputOptionNames, setOutputOption } from "./options.js";

export const generateUsage = `Usage: mprpc generate FILES... --out DIR [options]
       mprpc generate --descriptors SET [NAMES...] --out DIR [options]

Writes TypeScript for .proto files: typed messages, service definitions, stubs and handler interfaces.

  --out DIR               folder to write to; made when it is not there
  -I, --import-path DIR   folder that imports and file names are relative to; may be repeated
                          (default: the folder all FILES have in common)
  --descriptors SET       a file of protoc --include_imports --descriptor_set_out instead of FILES;
                          NAMES are files in it (default: all)
  --fields STYLE          camel: user_id becomes userId (default); keep: names as in the .proto
  --int64 TYPE            what 64-bit integers are: bigint (default), number or string;
                          [jstype] of a field comes first
  --import-extension EXT  how the files import each other: .js (default), .ts or none
  --imports WHICH         all: also write the files that FILES import (default); none: only FILES
  --check                 write nothing; exit 1 when a file under --out is missing or differs
  -h, --help              this text
`;

export interface GenerateIo {
  stdout(text: string): void;
  stderr(text: string): void;
}

/** The command `mprpc generate`, without its name. Resolves its exit code: 0 done, 1 failed, 2 wrong usage. */
export async function runGenerate(argv: readonly string[], io: GenerateIo): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    io.stderr(wrongUsage(usageProblem(error as Error)));
    return 2;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    io.stdout(generateUsage);
    return 0;
  }
  const options: OutputOptions = {};
  const wrong = problemOf(values, positionals, options);
  const { out, descriptors } = values;
  if (wrong !== undefined || out === undefined) {
    io.stderr(wrongUsage(`${wrong}`));
    return 2;
  }
  const onWarning = (warning: Problem): void => {
    io.stderr(`${shown({ ...warning, message: `warning: ${warning.message}` })}\n`);
  };
  try {
    const files =
      descriptors === undefined
        ? await generate(positionals, { ...options, importPaths: values["import-path"], onWarning })
        : generateFromDescriptors(await readSet(descriptors), descriptors, positionals, options);
    return values.check ? await check(files, out, io) : await write(files, out, io);
  } catch (error) {
    // What is wrong with a .proto is said by its text alone; a fault of ours, or of the disk, shows what it is.
    const text = isSystemError(error) ? `--out ${out}: ${unwritable(error, out)}` : String(error);
    io.stderr(error instanceof CodegenError ? `${error.message}\n` : `mprpc generate: ${text}\n`);
    return 1;
  }
}

/** Fills `options` from the flags and gives what is wrong with them. */
function problemOf(
  values: ReturnType<typeof parse>["values"],
  files: readonly string[],
  options: OutputOptions,
): string | undefined {
  if (files.length === 0 && values.descriptors === undefined) return "no .proto files were given";
  if (values.out === undefined) return "--out DIR is missing";
  if (values.descriptors !== undefined && values["import-path"].length > 0) {
    return "--import-path is for .proto files; the names in --descriptors are whole";
  }
  for (const name of outputOptionNames) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    const wrong = typeof value === "string" ? setOutputOption(options, name, value) : undefined;
    if (wrong !== undefined) return `--${wrong}`;
  }
  return undefined;
}

async function readSet(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CodegenError(file, undefined, `cannot be read: ${(error as Error).message}`);
  }
}

function wrongUsage(text: string): string {
  return `mprpc generate: ${text}\nTry \`mprpc generate --help\`.\n`;
}

/** Node's texts advise on arguments that begin with "-", which no file of ours does. */
function usageProblem({ message }: Error): string {
  const unknown = /^Unknown option '(.*?)'/.exec(message)?.[1];
  if (unknown === undefined) return message;
  const names = Object.keys(cliOptions).map((name) => `--${name}`);
  return `unknown option ${unknown}${didYouMean(unknown, names)}`;
}

/** The folder cannot be made, or a file in it not written. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

/** Node's texts end with the system call and its path, `mkdir '/x'`: here people read what it was for. */
function unwritable(error: NodeJS.ErrnoException & { readonly dest?: string }, out: string): string {
  const { message, syscall, path: made, dest: failed = made } = error;
  const reason = message.replace(/, \w+ '.*$/s, "");
  const name = failed === undefined || path.resolve(failed) === path.resolve(out) ? "" : ` ${failed}`;
  return syscall === "mkdir"
    ? `the folder${name} cannot be made: ${reason}`
    : `the file${name} cannot be written: ${reason}`;
}

const cliOptions = {
  out: { type: "string" },
  "import-path": { type: "string", short: "I", multiple: true, default: [] as string[] },
  descriptors: { type: "string" },
  fields: { type: "string" },
  int64: { type: "string" },
  "import-extension": { type: "string" },
  imports: { type: "string" },
  check: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], allowPositionals: true, options: cliOptions });
}

async function write(files: readonly GeneratedFile[], outDir: string, io: GenerateIo): Promise<number> {
  const written = await writeGenerated(files, outDir);
  for (const file of written) io.stdout(`${file}\n`);
  const same = files.length - written.length;
  if (same > 0) io.stdout(`${same} of ${files.length} files unchanged\n`);
  return 0;
}

async function check(files: readonly GeneratedFile[], outDir: string, io: GenerateIo): Promise<number> {
  let stale = 0;
  for (const { path: name, content } of files) {
    const target = path.join(outDir, ...name.split("/"));
    const before = await readFile(target, "utf8").catch(() => undefined);
    if (before === content) continue;
    io.stderr(`${target}: ${before === undefined ? "is missing" : "is not what the .proto gives"}\n`);
    stale++;
  }
  return stale === 0 ? 0 : 1;
}
