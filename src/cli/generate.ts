import path from "node:path";
import { CodegenError, type FieldNames, generate, writeGenerated } from "../codegen/index.js";
import { checkCount, readArguments } from "./arguments.js";
import { CliError, type CliIo, type Command, exitCodes, UsageError } from "./command.js";

const usage = `Usage: mprpc generate FILES... --out DIR [options]

Writes TypeScript for .proto files: messages, service definitions, stubs and handler interfaces.
A file that would not change is not written, so that watching compilers stay calm.

  --out DIR               where the modules go; made when missing
  -I, --import-path DIR   where imports are looked for, and what file names are relative to; may be repeated
                          (default: the folder all FILES have in common)
  --fields camel|keep     names of fields: user_id as userId (default), or as in the .proto
  -h, --help              this text
`;

const options = {
  out: { kind: "value" },
  "import-path": { kind: "many", short: "I" },
  fields: { kind: "value" },
} as const;

const fieldNames: readonly FieldNames[] = ["camel", "keep"];

export const generateCommand: Command = {
  name: "generate",
  summary: "write TypeScript for .proto files",
  usage,
  async run(args, io) {
    const parsed = readArguments(args, options);
    checkCount(parsed.positionals, "at least one .proto file", 1, Number.POSITIVE_INFINITY);
    const out = parsed.value("out");
    if (out === undefined) throw new UsageError("--out DIR is missing: where should the code go?");
    const fields = fieldNames.find((one) => one === (parsed.value("fields") ?? "camel"));
    if (fields === undefined) throw new UsageError(`--fields is ${fieldNames.join(" or ")}`);
    const files = await generate(parsed.positionals, {
      importPaths: parsed.values("import-path"),
      fieldNames: fields,
    });
    await write(files, out, io);
    return exitCodes.done;
  },
};

async function write(files: Awaited<ReturnType<typeof generate>>, out: string, io: CliIo): Promise<void> {
  let written: Set<string>;
  try {
    written = new Set(await writeGenerated(files, out));
  } catch (error) {
    if (error instanceof CodegenError) throw error;
    throw new CliError(`cannot write to ${out}: ${(error as Error).message}`);
  }
  for (const file of files) {
    const target = path.join(out, ...file.path.split("/"));
    io.out(`${target}${written.has(target) ? "" : " (unchanged)"}\n`);
  }
}
