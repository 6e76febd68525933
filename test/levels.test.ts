import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Node, parseSync } from "oxc-parser";
import { describe, expect, test } from "vitest";

const sourceRoot = fileURLToPath(new URL("../src", import.meta.url));

/**
 * The floors of ARCHITECTURE.md. A room imports only from floors below its own and, on its own floor, from rooms to its left
 * in a chain `a < b`. Rooms of one floor that share no chain never import each other. The files directly in a folder are a
 * room as well, apart from the folders in it that are named here.
 */
const floors: readonly (readonly string[])[] = [
  ["base < protobuf < error < values < log < logger"],
  ["descriptor"],
  ["transport"],
  ["call < codec.ts < services", "call < auth"],
  [
    "protocol < protocol/detect",
    "protocol < protocol/mprpc/wire < protocol/mprpc",
    "protocol < protocol/classic",
    "protocol < protocol/inproc",
    "protocol < protocol/http2/wire < protocol/http2 < protocol/grpc",
  ],
  ["registry", "balancer"],
  ["runtime"],
  ["dynamic < client", "server", "broker"],
  ["config < node"],
  ["codegen < cli"],
  ["json.ts < index.ts < testing"],
];

/** What only some files may name, and why. A key of `allowed` is a file, or a folder when it ends in `/`. */
interface Reserved {
  readonly what: string;
  readonly instead: string;
  readonly allowed: Readonly<Record<string, string>>;
}

const time: Reserved = {
  what: "time",
  instead: "take a Clock (src/base/clock.ts)",
  allowed: { "base/clock.ts": "it is the clock" },
};

const sockets: Reserved = {
  what: "sockets",
  instead: "take a Transport (src/transport)",
  allowed: { "transport/": "sockets are opened here" },
};

interface Import {
  readonly specifier: string;
  readonly line: number;
}

interface Use {
  readonly name: string;
  readonly line: number;
}

interface Source {
  /** Relative to src, with `/`. */
  readonly file: string;
  readonly imports: readonly Import[];
  /** Globals of time the file names. */
  readonly timeUses: readonly Use[];
}

const timeGlobals = new Set(["setTimeout", "setInterval"]);
const timeMembers = new Set([
  "performance.now",
  "performance.timeOrigin",
  "Date.now",
  "process.hrtime",
  "process.uptime",
  "AbortSignal.timeout",
  "globalThis.setTimeout",
  "globalThis.setInterval",
]);
const timeModules = new Set(["node:timers", "node:timers/promises", "node:perf_hooks"]);
const socketModules = new Set(["node:net", "node:tls", "node:dgram"]);

/** Calls `visit` for every node below `node`, with the nodes above it, nearest last. */
function walk(node: unknown, visit: (node: Node, parent: Node | undefined) => void, parent?: Node): void {
  if (Array.isArray(node)) {
    for (const child of node) walk(child, visit, parent);
  } else if (typeof node === "object" && node !== null && "type" in node) {
    visit(node as Node, parent);
    for (const child of Object.values(node)) walk(child, visit, node as Node);
  }
}

/** The module a node names: imports and exports, types included, `import()`, and workers by `new URL("./x.js", ...)`. */
function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
      return node.source?.value;
    case "ImportExpression":
    case "TSImportType":
      return node.source.type === "Literal" && typeof node.source.value === "string"
        ? node.source.value
        : undefined;
    case "NewExpression": {
      const first = node.arguments[0];
      const isUrl = node.callee.type === "Identifier" && node.callee.name === "URL";
      const text = isUrl && first?.type === "Literal" && typeof first.value === "string" ? first.value : "";
      return /^\.{1,2}\/.*\.js$/.test(text) ? text : undefined;
    }
    default:
      return undefined;
  }
}

/** Whether an identifier is only a property's or an import's name, not a reference to a global. */
function isPropertyName(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined) return false;
  if (parent.type === "ImportSpecifier") return true;
  if (parent.type === "MemberExpression") return parent.property === node && !parent.computed;
  return "key" in parent && parent.key === node && !("shorthand" in parent && parent.shorthand);
}

function timeUseOf(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === "Identifier" && timeGlobals.has(node.name) && !isPropertyName(node, parent)) {
    return node.name;
  }
  if (node.type === "NewExpression" && node.callee.type === "Identifier") {
    return node.callee.name === "Date" && node.arguments.length === 0 ? "new Date()" : undefined;
  }
  if (node.type !== "MemberExpression" || node.object.type !== "Identifier") return undefined;
  if (node.property.type !== "Identifier") return undefined;
  const name = `${node.object.name}.${node.property.name}`;
  return timeMembers.has(name) ? name : undefined;
}

/** What one file imports and which globals of time it names. */
function readSource(file: string, text: string): Source {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`src/${file} does not parse: ${errors[0]?.message}`);
  const lineAt = (offset: number) => text.slice(0, offset).split("\n").length;
  const imports: Import[] = [];
  const timeUses: Use[] = [];
  walk(program, (node, parent) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) imports.push({ specifier, line: lineAt(node.start) });
    const name = timeUseOf(node, parent);
    if (name !== undefined) timeUses.push({ name, line: lineAt(node.start) });
  });
  return { file, imports, timeUses };
}

function readSources(root: string): Source[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll(path.sep, "/"))
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => readSource(file, readFileSync(path.join(root, file), "utf8")));
}

const chains = floors.map((floor) => floor.map((chain) => chain.split(" < ")));
const rooms = new Set(chains.flat(2));

/** The innermost folder with a place of its own, or the file. */
function roomOf(file: string): string {
  let room = file;
  while (!rooms.has(room) && room.includes("/")) room = path.posix.dirname(room);
  return room;
}

const floorOf = (room: string): number => chains.findIndex((floor) => floor.flat().includes(room));

/** The file of src that a relative import means; `undefined` for packages. */
function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, ".ts");
}

/** Why `from` may not import `to`; `undefined` when it may. */
function importFault(from: string, to: string): string | undefined {
  if (to.startsWith("..")) return "leaves src";
  const [own, other] = [roomOf(from), roomOf(to)];
  for (const room of [own, other]) {
    if (!rooms.has(room)) return `${room} has no floor: give it one in test/levels.test.ts`;
  }
  if (own === other || floorOf(other) < floorOf(own)) return undefined;
  if (floorOf(other) > floorOf(own)) {
    return `floor ${floorOf(own)} may not import from floor ${floorOf(other)}`;
  }
  const shared = chains[floorOf(own)]?.filter((chain) => chain.includes(own) && chain.includes(other)) ?? [];
  if (shared.length === 0) return `${own} and ${other} never import each other`;
  const downward = shared.some((chain) => chain.indexOf(other) < chain.indexOf(own));
  return downward ? undefined : `the order is ${shared[0]?.join(" < ")}`;
}

function importFaults(sources: readonly Source[]): string[] {
  const known = new Set(sources.map(({ file }) => file));
  return sources.flatMap(({ file, imports }) =>
    imports.flatMap(({ specifier, line }) => {
      const at = `src/${file}:${line} imports "${specifier}"`;
      if (specifier === "mprpc" || specifier.startsWith("mprpc/"))
        return [`${at}: the library by its own name`];
      const to = targetOf(file, specifier);
      if (to === undefined) return [];
      if (!specifier.endsWith(".js")) return [`${at}: a relative import ends in .js`];
      const fault = importFault(file, to);
      if (fault !== undefined) return [`${at}: ${fault}`];
      return known.has(to) ? [] : [`${at}: there is no src/${to}`];
    }),
  );
}

/** Each cycle once, as `a.ts -> b.ts -> a.ts`. */
function importCycles(sources: readonly Source[]): string[] {
  const graph = new Map(
    sources.map(({ file, imports }) => [
      file,
      imports.flatMap(({ specifier }) => targetOf(file, specifier) ?? []),
    ]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start >= 0) cycles.push([...trail.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return [...new Set(cycles)];
}

const isAllowed = (file: string, { allowed }: Reserved) =>
  Object.keys(allowed).some((key) => (key.endsWith("/") ? file.startsWith(key) : file === key));

function reservedFaults(sources: readonly Source[]): string[] {
  const fault = (file: string, { name, line }: Use, rule: Reserved) =>
    isAllowed(file, rule) ? [] : [`src/${file}:${line} uses ${name} (${rule.what}): ${rule.instead}`];
  return sources.flatMap(({ file, imports, timeUses }) => [
    ...timeUses.flatMap((use) => fault(file, use, time)),
    ...imports.flatMap(({ specifier, line }) => {
      const use = { name: specifier, line };
      const bare = specifier.startsWith("node:") ? specifier : `node:${specifier}`;
      if (timeModules.has(bare)) return fault(file, use, time);
      return socketModules.has(bare) ? fault(file, use, sockets) : [];
    }),
  ]);
}

describe("src", () => {
  const sources = readSources(sourceRoot);

  test("imports only downward", () => {
    expect(sources.length).toBeGreaterThan(0);
    expect(importFaults(sources)).toEqual([]);
  });

  test("has no import cycle, types included", () => {
    expect(importCycles(sources)).toEqual([]);
  });

  test("reads time only through the clock and opens sockets only in transport", () => {
    expect(reservedFaults(sources)).toEqual([]);
  });

  test("every file that is let off still needs it", () => {
    const without = (rule: Reserved) =>
      Object.keys(rule.allowed).filter(
        (key) => !sources.some(({ file }) => (key.endsWith("/") ? file.startsWith(key) : file === key)),
      );
    expect([...without(time), ...without(sockets)]).toEqual([]);
  });
});

describe("the check itself", () => {
  const sourcesOf = (files: Record<string, string>) =>
    Object.entries(files).map(([file, text]) => readSource(file, text));

  test.each([
    ["a value", `import { x } from "../call/x.js";`],
    ["a type", `import type { X } from "../call/x.js";`],
    ["an export", `export * from "../call/x.js";`],
    ["a named export", `export type { X } from "../call/x.js";`],
    ["a dynamic import", `const x = await import("../call/x.js");`],
    ["a type written as import()", `let x: import("../call/x.js").X;`],
    ["a worker", `new Worker(new URL("../call/x.js", import.meta.url));`],
  ])("finds %s imported upward", (_what, text) => {
    expect(importFaults(sourcesOf({ "protobuf/a.ts": text, "call/x.ts": "export {};" }))).toEqual([
      `src/protobuf/a.ts:1 imports "../call/x.js": floor 0 may not import from floor 3`,
    ]);
  });

  test("knows the order inside a floor", () => {
    const upward = sourcesOf({ "base/a.ts": `import "../error/b.js";`, "error/b.ts": "" });
    expect(importFaults(upward)).toEqual([
      `src/base/a.ts:1 imports "../error/b.js": the order is base < protobuf < error < values < log < logger`,
    ]);
    expect(importFaults(sourcesOf({ "error/b.ts": `import "../base/a.js";`, "base/a.ts": "" }))).toEqual([]);
    const aside = sourcesOf({ "balancer/a.ts": `import "../registry/b.js";`, "registry/b.ts": "" });
    expect(importFaults(aside)).toEqual([
      `src/balancer/a.ts:1 imports "../registry/b.js": balancer and registry never import each other`,
    ]);
  });

  test("names a folder without a floor, a missing file and a missing ending", () => {
    const faults = importFaults(sourcesOf({ "misc/a.ts": `import "../base/b.js";`, "base/b.ts": "" }));
    expect(faults[0]).toContain("misc has no floor");
    expect(importFaults(sourcesOf({ "base/a.ts": `import "./gone.js";` }))[0]).toContain(
      "no src/base/gone.ts",
    );
    expect(importFaults(sourcesOf({ "base/a.ts": `import "./b";` }))[0]).toContain("ends in .js");
  });

  test("finds a cycle made of types", () => {
    const files = {
      "base/a.ts": `import type { B } from "./b.js";`,
      "base/b.ts": `import "./c.js";`,
      "base/c.ts": `export type { A } from "./a.js";`,
    };
    expect(importCycles(sourcesOf(files))).toEqual(["base/a.ts -> base/b.ts -> base/c.ts -> base/a.ts"]);
  });

  test.each([
    "performance.now();",
    "const f = Date.now;",
    "new Date();",
    "setTimeout(f, 1);",
    "globalThis.setInterval(f, 1);",
    "process.hrtime.bigint();",
    `import { setTimeout as wait } from "node:timers/promises";`,
    "AbortSignal.timeout(1);",
  ])("finds time in %s", (text) => {
    expect(reservedFaults(sourcesOf({ "call/a.ts": text }))).toHaveLength(1);
  });

  test("finds sockets, and lets other names be", () => {
    expect(
      reservedFaults(sourcesOf({ "call/a.ts": `import type { Socket } from "node:net";` })),
    ).toHaveLength(1);
    expect(reservedFaults(sourcesOf({ "transport/a.ts": `import "node:tls";` }))).toEqual([]);
    const harmless = "clock.setTimeout(f); new Date(0); const o = { setInterval: 1 }; socket.setTimeout(0);";
    expect(reservedFaults(sourcesOf({ "call/a.ts": harmless }))).toEqual([]);
  });
});
