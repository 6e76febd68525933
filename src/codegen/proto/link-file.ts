import { defaultFeatures, editionOf } from "../../descriptor/features.js";
import { bundledProto } from "./bundled.js";
import { checkFile } from "./check-file.js";
import { declare } from "./declare.js";
import { interpretOptions } from "./interpret.js";
import { crossLink, resolveFeatures } from "./link.js";
import type { LinkedFile } from "./option-tree.js";
import { parseFile } from "./parse-file.js";
import type { ParsedProto } from "./parsed.js";
import { Problems } from "./problems.js";
import { Reporter } from "./report.js";
import { type FileScope, type MessageSymbol, Pool } from "./symbols.js";

const descriptorProto = "google/protobuf/descriptor.proto";

/**
 * Links one file whose imports are linked, in protoc's order: declarations, then the types they name, then options, then
 * what depends on these. What is wrong with a stage ends it, since the next would complain of the same.
 */
export function linkFile(
  pool: Pool,
  parsed: ParsedProto,
  path: string,
  imports: readonly FileScope[],
  problems: Problems,
): LinkedFile {
  const { descriptor } = parsed;
  const edition = editionOf(descriptor);
  const file: LinkedFile = {
    kind: "file",
    name: descriptor.name ?? "",
    path,
    parsed,
    node: descriptor,
    edition,
    package: descriptor.package ?? "",
    imports,
    visible: new Set(),
    visibleToOptions: new Set(),
    packages: new Set(),
    messages: [],
    enums: [],
    extensions: [],
    services: [],
    used: new Set(),
    broken: false,
    features: defaultFeatures(edition),
    optionTrees: new Map(),
    runtimeOptions: new Map(),
  };
  addVisible(file);
  const report = new Reporter(file, problems);
  const stages = [
    () => declare(pool, file, report),
    () => crossLink(pool, file, report),
    () => interpretOptions(pool, file, report, optionTypes(pool)),
    () => {
      resolveFeatures(file, defaultFeatures(edition));
      checkFile(file, report);
    },
  ];
  for (const stage of stages) {
    stage();
    if (report.count > 0) {
      file.broken = true;
      break;
    }
  }
  // A descriptor that nobody has asked for comments of carries none; the locations are complete only now.
  descriptor.sourceCodeInfo = { location: parsed.locations };
  return file;
}

/** A file sees itself, what it imports, and what those import publicly. */
function addVisible(file: FileScope): void {
  const visible = file.visible as Set<FileScope>;
  const forOptions = file.visibleToOptions as Set<FileScope>;
  const packages = file.packages as Set<string>;
  visible.add(file);
  for (const [i, { kind }] of file.parsed.imports.entries()) {
    const inner = file.imports[i];
    if (inner !== undefined) (kind === "option" ? forOptions : visible).add(inner);
  }
  addPublic(visible, file);
  for (const one of visible) forOptions.add(one);
  addPublic(forOptions, file);
  for (const one of forOptions) {
    for (
      let name = one.package;
      name !== "" && !packages.has(name);
      name = name.slice(0, name.lastIndexOf("."))
    ) {
      packages.add(name);
      if (!name.includes(".")) break;
    }
  }
}

/** A Set is walked in the order of insertion, and what is added meanwhile is walked too. */
function addPublic(files: Set<FileScope>, user: FileScope): void {
  for (const one of files) {
    if (one === user) continue;
    for (const [i, { kind }] of one.parsed.imports.entries()) {
      const inner = one.imports[i];
      if (kind === "public" && inner !== undefined) files.add(inner);
    }
  }
}

type Types = ReadonlyMap<string, MessageSymbol>;

/** The messages of options: those of the descriptor.proto that the files import, or our own. */
function optionTypes(pool: Pool): Types {
  const found = pool.symbols.get("google.protobuf.FileOptions");
  return found?.kind === "message" ? messagesByName(found.file) : coreTypes();
}

function messagesByName(file: FileScope): Types {
  return new Map(file.messages.map((message) => [message.fullName, message]));
}

let core: Types | undefined;

function coreTypes(): Types {
  if (core === undefined) {
    const problems = new Problems();
    const parsed = parseFile(bundledProto(descriptorProto) ?? "", descriptorProto, (line, column, message) =>
      problems.add({ file: descriptorProto, line, column, message }),
    );
    core = messagesByName(linkFile(new Pool(), parsed, descriptorProto, [], problems));
    problems.throwIfAny();
  }
  return core;
}
