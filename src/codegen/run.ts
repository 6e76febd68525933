import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { didYouMean } from "../base/nearest.js";
import { importExtensions } from "./emit/context.js";
import { CodegenError } from "./error.js";
import { type GeneratedFile, generate, writeGenerated } from "./generate.js";

export const generateUsage = `Usage: mprpc generate FILES... --out DIR [options]

Writes TypeScript for .proto files: typed messages, service definitions, stubs and handler interfaces.

  --out DIR               folder to write to; made when it is not there
  -I, --import-path DIR   folder that imports and file names are relative to; may be repeated
                          (default: the folder all FILES have in common)
  --fields STYLE          camel: user_id becomes userId (default); keep: names as in the .proto
  --import-extension EXT  how the files import each other: .js (default), .ts or none
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
  const fieldNames = values.fields;
  const importExtension = importExtensions.find((one) => one === values["import-extension"]);
  const wrong =
    positionals.length === 0
      ? "no .proto files were given"
      : values.out === undefined
        ? "--out DIR is missing"
        : fieldNames !== "camel" && fieldNames !== "keep"
          ? `--fields is camel or keep, not ${fieldNames}`
          : importExtension === undefined
            ? `--import-extension is ${importExtensions.join(", ")}, not ${values["import-extension"]}`
            : undefined;
  if (wrong !== undefined || values.out === undefined || importExtension === undefined) {
    io.stderr(wrongUsage(`${wrong}`));
    return 2;
  }
  try {
    const files = await generate(positionals, {
      importPaths: values["import-path"],
      fieldNames: fieldNames === "keep" ? "keep" : "camel",
      importExtension,
    });
    return values.check ? await check(files, values.out, io) : await write(files, values.out, io);
  } catch (error) {
    // What is wrong with a .proto is said by its text alone; a fault of ours, or of the disk, shows what it is.
    const text = isSystemError(error)
      ? `--out ${values.out}: ${unwritable(error, values.out)}`
      : String(error);
    io.stderr(error instanceof CodegenError ? `${error.message}\n` : `mprpc generate: ${text}\n`);
    return 1;
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
  fields: { type: "string", default: "camel" },
  "import-extension": { type: "string", default: ".js" },
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
