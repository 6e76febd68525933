// Writes docs/api.md: every name the package exports with its declaration, comments left out, read from lib/*.d.ts, so
// that a change of the public surface shows in review. With --check: fails, showing the difference, when it is stale.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseSync } from "oxc-parser";

const root = fileURLToPath(new URL("..", import.meta.url));
const reportFile = "docs/api.md";

/**
 * A name's meaning: where it is declared. `file` is a .d.ts path from the root.
 * @typedef {{ file: string, name: string }} Symbol
 * @typedef {{ text: string, uses: Symbol[] }} Declaration
 * @typedef {object} Module
 * @property {Map<string, object[]>} declared the statements that declare a name
 * @property {Map<string, { from: string, name: string }>} imported local name to what it stands for
 * @property {Map<string, { from?: string, name: string }>} exported public name to what it stands for
 * @property {string[]} stars the modules of `export * from`
 * @property {string} text
 * @property {{ start: number, end: number }[]} comments
 */

/** @type {Map<string, Module>} */
const modules = new Map();

/** The .d.ts a specifier in `file` means; `undefined` for a package. */
function resolve(file, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, ".d.ts");
}

const nameOf = (node) => (node.type === "Literal" ? node.value : node.name);

/** The names one statement declares. */
function declaredNames(statement) {
  if (statement.type === "VariableDeclaration") return statement.declarations.map(({ id }) => nameOf(id));
  return statement.id ? [nameOf(statement.id)] : [];
}

function addDeclaration(module, statement, isExported) {
  for (const name of declaredNames(statement)) {
    module.declared.set(name, [...(module.declared.get(name) ?? []), statement]);
    if (isExported) module.exported.set(name, { name });
  }
}

function addExports(module, file, statement) {
  if (statement.declaration) addDeclaration(module, statement.declaration, true);
  const from = statement.source ? resolve(file, statement.source.value) : undefined;
  if (statement.source && from === undefined)
    throw new Error(`${file} exports from a package: ${statement.source.value}`);
  for (const { local, exported } of statement.specifiers) {
    module.exported.set(nameOf(exported), { from, name: nameOf(local) });
  }
}

/** @returns {Module} */
function load(file) {
  const known = modules.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(path.join(root, file), "utf8");
  const { program, errors, comments } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0].message}`);
  const module = { declared: new Map(), imported: new Map(), exported: new Map(), stars: [], text, comments };
  modules.set(file, module);
  for (const statement of program.body) {
    if (statement.type === "ImportDeclaration") {
      const from = resolve(file, statement.source.value);
      for (const specifier of from === undefined ? [] : statement.specifiers) {
        const name = specifier.imported ? nameOf(specifier.imported) : "default";
        module.imported.set(specifier.local.name, { from, name });
      }
    } else if (statement.type === "ExportNamedDeclaration") {
      addExports(module, file, statement);
    } else if (statement.type === "ExportAllDeclaration") {
      if (statement.exported !== null)
        throw new Error(`${file}: \`export * as\` is not supported in the public surface`);
      module.stars.push(resolve(file, statement.source.value));
    } else if (statement.type !== "ExportDefaultDeclaration") {
      addDeclaration(module, statement, false);
    }
  }
  return module;
}

/** Where a name seen in `file` is declared; `undefined` for globals and for names of packages. */
function lookUp(file, name) {
  const module = load(file);
  if (module.declared.has(name)) return { file, name };
  const imported = module.imported.get(name);
  return imported === undefined ? undefined : exportOf(imported.from, imported.name);
}

/** What a module exports under a name. */
function exportOf(file, name) {
  const module = load(file);
  const exported = module.exported.get(name);
  if (exported !== undefined) {
    return exported.from === undefined ? lookUp(file, exported.name) : exportOf(exported.from, exported.name);
  }
  for (const star of module.stars) {
    const found = exportOf(star, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every name a module exports, `export *` included. */
function exportNames(file) {
  const module = load(file);
  return [...new Set([...module.exported.keys(), ...module.stars.flatMap(exportNames)])];
}

function walk(node, visit, parent) {
  if (Array.isArray(node)) {
    for (const child of node) walk(child, visit, parent);
  } else if (typeof node === "object" && node !== null && "type" in node) {
    visit(node, parent);
    for (const child of Object.values(node)) walk(child, visit, node);
  }
}

/** A statement's text without comments, private members and the compiler's line breaks. */
function textOf(module, { start, end }) {
  let text = "";
  let at = start;
  for (const comment of module.comments) {
    if (comment.start < start || comment.end > end) continue;
    text += module.text.slice(at, comment.start);
    at = comment.end;
  }
  return (text + module.text.slice(at, end))
    .split("\n")
    .map((line) => line.trimEnd().replace(/^ +/, (indent) => " ".repeat(indent.length / 2)))
    .filter((line) => line !== "" && !/^\s*(#private;|private (?!constructor))/.test(line))
    .join("\n")
    .replace(/^declare /, "");
}

/** @returns {Declaration} */
function declarationOf({ file, name }) {
  const module = load(file);
  const statements = module.declared.get(name) ?? [];
  const uses = new Map();
  const use = (found) => found && found.name !== name && uses.set(`${found.file}:${found.name}`, found);
  walk(statements, (node, parent) => {
    if (node.type === "TSImportType") {
      const from = resolve(file, node.source.value);
      if (from !== undefined && node.qualifier) use(exportOf(from, nameOf(node.qualifier)));
    }
    if (node.type !== "Identifier" || (parent?.key === node && !parent.computed)) return;
    use(lookUp(file, node.name));
  });
  return {
    text: statements.map((statement) => textOf(module, statement)).join("\n"),
    uses: [...uses.values()],
  };
}

const keyOf = ({ file, name }) => `${file}:${name}`;
const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.file < b.file ? -1 : 1);

/** The public names of one entry, sorted. */
function publicSymbols(file) {
  return exportNames(file)
    .sort()
    .map((publicName) => {
      const symbol = exportOf(file, publicName);
      if (symbol === undefined) throw new Error(`${file} exports ${publicName}, which is declared nowhere`);
      return { publicName, symbol };
    });
}

function codeBlock(parts) {
  return `\`\`\`ts\n${parts.join("\n\n")}\n\`\`\`\n`;
}

/** Two thousand lines that only descriptor.proto changes. */
const generated = {
  subpath: "./descriptor",
  text: "What `mprpc generate` makes of `google/protobuf/descriptor.proto`, which is in the package: see docs/codegen.md.",
};

function report(packageJson) {
  const entries = Object.entries(packageJson.exports).filter(([, target]) => target.types !== undefined);
  /** @type {Map<string, string>} symbol to the entry that shows it */
  const shown = new Map();
  const queue = [];
  const sections = entries.map(([subpath, target]) => {
    const entry = path.posix.join(packageJson.name, subpath);
    if (subpath === generated.subpath) return `## ${entry}\n\n${generated.text}\n`;
    const file = path.posix.normalize(target.types);
    if (!existsSync(path.join(root, file)))
      throw new Error(`${entry}: there is no ${file}; run npm run build`);
    const parts = publicSymbols(file).map(({ publicName, symbol }) => {
      const before = shown.get(keyOf(symbol));
      if (before !== undefined) return `// ${publicName}: as in ${before}`;
      shown.set(keyOf(symbol), entry);
      queue.push(symbol);
      const { text } = declarationOf(symbol);
      return publicName === symbol.name ? text : `// ${publicName} is\n${text}`;
    });
    return `## ${entry}\n\n${codeBlock(parts)}`;
  });
  const hidden = [];
  for (const symbol of queue) {
    for (const used of declarationOf(symbol).uses) {
      if (shown.has(keyOf(used))) continue;
      shown.set(keyOf(used), "");
      hidden.push(used);
      queue.push(used);
    }
  }
  if (hidden.length > 0) {
    const parts = hidden.sort(byName).map((symbol) => declarationOf(symbol).text);
    sections.push(`## Named by the above, not exported\n\n${codeBlock(parts)}`);
  }
  const intro = "The public surface, made by `npm run api` from the compiled types; not to be edited.";
  return `# API report\n\n${intro}\n\n${sections.join("\n")}`;
}

function check(text) {
  const file = path.join(root, reportFile);
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  console.error(
    `${reportFile} is stale: the public surface changed. If that is meant, run \`npm run api\` and commit it.`,
  );
  const old = existsSync(file) ? file : "/dev/null";
  spawnSync("diff", ["-u", "--label", "committed", "--label", "built", old, "-"], {
    input: text,
    stdio: ["pipe", "inherit", "inherit"],
  });
  process.exitCode = 1;
}

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
try {
  const text = report(JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")));
  if (values.check) {
    check(text);
  } else {
    mkdirSync(path.join(root, path.dirname(reportFile)), { recursive: true });
    writeFileSync(path.join(root, reportFile), text);
    console.log(`${reportFile}: ${text.split("\n").length} lines`);
  }
} catch (error) {
  console.error(`api-report: ${error.message}`);
  process.exitCode = 1;
}
