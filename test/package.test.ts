import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { version } from "../src/base/version.js";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Archive {
  /** Of the .tgz. */
  size: number;
  unpackedSize: number;
  files: { path: string; size: number; mode: number }[];
}

interface Manifest {
  bin: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
  dependencies: Record<string, string>;
  scripts: Record<string, string>;
}

interface LockedPackage {
  resolved?: string;
  optionalDependencies?: Record<string, string>;
}

/** The node_modules folders in which a package of a lock file finds its dependencies, nearest first. */
function foldersAbove(key: string): string[] {
  const at = key.lastIndexOf("node_modules/");
  const own = key === "" ? [] : [`${key}/node_modules/`];
  return at < 0 ? [...own, "node_modules/"] : [...own, ...foldersAbove(key.slice(0, Math.max(0, at - 1)))];
}

/** All that users get. A file that fits none of these is one they do not need. */
const shipped: readonly RegExp[] = [
  /^package\.json$/,
  /^(README(\.zh-CN)?|CHANGELOG|ARCHITECTURE|CONTRIBUTING|RELEASING|SECURITY)\.md$/,
  /^LICENSE$/,
  /^lib\/[\w/-]+\.(js|js\.map|d\.ts)$/,
  // Licences of what is in lib/.
  /^lib\/THIRD-PARTY\.txt$/,
  /^bin\/(mprpc(\.conf)?|protoc-gen-mprpc)$/,
  /^proto\/[\w/-]+\.(proto|md|json)$/,
  // The licence of Google's files.
  /^proto\/google\/protobuf\/LICENSE$/,
  /^docs\/[\w/-]+(\.zh-CN)?\.md$/,
  // Plots the pages show.
  /^docs\/[\w/-]+\.svg$/,
];

/** Larger than today's by a good part: growth beyond it is a decision, not an accident. */
const packedMaxBytes = 2_200_000;
const unpackedMaxBytes = 9_000_000;

const readJson = <T>(file: string): T => JSON.parse(readFileSync(`${root}/${file}`, "utf8"));

describe("the packed archive", () => {
  const manifest = readJson<Manifest>("package.json");
  let archive: Archive;
  let paths: Set<string>;

  beforeAll(async () => {
    if (!existsSync(`${root}/lib/index.js`))
      throw new Error("there is no lib/index.js: run npm run build first");
    const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: root });
    const [found] = JSON.parse(stdout) as Archive[];
    if (found === undefined) throw new Error(`npm pack listed nothing: ${stdout}`);
    archive = found;
    paths = new Set(archive.files.map(({ path }) => path));
  });

  test("holds only what users need", () => {
    expect([...paths].filter((path) => !shipped.some((pattern) => pattern.test(path)))).toEqual([]);
  });

  test("holds every file that package.json and users' tools name", () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    const wanted = [
      ...targets,
      ...Object.values(manifest.bin),
      "README.md",
      "README.zh-CN.md",
      "LICENSE",
      "CHANGELOG.md",
    ];
    expect(wanted.map((path) => path.replace(/^\.\//, "")).filter((path) => !paths.has(path))).toEqual([]);
  });

  test("has a map with its sources for each file of code", () => {
    const code = [...paths].filter((name) => /^lib\/.*\.js$/.test(name));
    expect(code.filter((name) => !paths.has(`${name}.map`))).toEqual([]);
    const map = readJson<{ sources: string[]; sourcesContent: string[] }>("lib/index.js.map");
    expect(map.sourcesContent).toHaveLength(map.sources.length);
  });

  test.each(["config", "errors", "registry"])(
    "has docs/%s.md in Chinese, with the same chapters and code",
    (name) => {
      const outlineOf = (file: string) => {
        const markdown = readFileSync(path.join(root, file), "utf8");
        const code = [...markdown.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(([, text = ""]) =>
          text.replace(/ *\/\/.*$/gm, ""),
        );
        return { chapters: [...markdown.matchAll(/^## /gm)].length, code };
      };
      const [english, chinese] = [outlineOf(`docs/${name}.md`), outlineOf(`docs/${name}.zh-CN.md`)];
      expect(chinese.code).toEqual(english.code);
      // How to run the tests is for contributors.
      expect(chinese.chapters).toBe(english.chapters - (name === "registry" ? 1 : 0));
    },
  );

  test("has no document that links to a file which is not there", () => {
    const documents = [...paths].filter((name) => name.endsWith(".md"));
    const dead = documents.flatMap((name) => {
      const links = readFileSync(path.join(root, name), "utf8").matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g);
      return Array.from(links, ([, target = ""]) => path.posix.join(path.posix.dirname(name), target))
        .filter((target) => !paths.has(target))
        .map((target) => `${name} -> ${target}`);
    });
    expect(dead).toEqual([]);
  });

  test("names no file of its own that runs when it is imported, but the commands", () => {
    const { sideEffects } = readJson<{ sideEffects: string[] }>("package.json");
    expect(sideEffects).toEqual(["./lib/cli/main.js", "./lib/cli/protoc-plugin.js"]);
  });

  test("has an executable command", () => {
    for (const path of Object.values(manifest.bin)) {
      const file = archive.files.find((one) => one.path === path);
      expect((file?.mode ?? 0) & 0o111, path).toBe(0o111);
    }
  });

  test("is loaded as a few files, and without what only some programs need", () => {
    const [files, packages] = [new Set<string>(), new Set<string>()];
    const follow = (file: string): void => {
      if (files.has(file)) return;
      files.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, name = ""] of text.matchAll(/^(?:import|export)[^;"']*?["']([^"']+)["'];$/gms)) {
        if (name.startsWith(".")) follow(path.join(path.dirname(file), name));
        else if (!name.startsWith("node:")) packages.add(name);
      }
    };
    follow(path.join(root, "lib/index.js"));
    expect(files.size).toBeLessThanOrEqual(8);
    expect([...packages]).toEqual(["ini"]);
  });

  test("no file imports the command, which awaits what it imports", () => {
    const files = readdirSync(path.join(root, "lib"), { recursive: true, encoding: "utf8" });
    const code = files.filter((file) => file.endsWith(".js"));
    expect(code).toContain("cli/main.js");
    for (const file of code)
      expect(readFileSync(path.join(root, "lib", file), "utf8"), file).not.toMatch(
        /["'][./]*(?:cli\/)?main\.js["']/,
      );
  });

  test("stays small", () => {
    expect(archive.size).toBeLessThan(packedMaxBytes);
    expect(archive.unpackedSize).toBeLessThan(unpackedMaxBytes);
  });
});

describe("package.json", () => {
  test("has the version that the library says of itself", () => {
    expect(readJson<{ version: string }>("package.json").version).toBe(version);
  });

  test("has at most thirteen scripts, each one word", () => {
    const names = Object.keys(readJson<Manifest>("package.json").scripts);
    expect(names.length).toBeLessThanOrEqual(13);
    expect(names.filter((name) => !/^[a-z]+$/.test(name))).toEqual([]);
  });
});

describe.each(["package-lock.json", "test/bench/package-lock.json"])("%s", (file) => {
  const { packages } = readJson<{ packages: Record<string, LockedPackage> }>(file);

  test("names no registry, so that each machine uses its own", () => {
    expect(Object.keys(packages).filter((key) => packages[key]?.resolved?.includes("://"))).toEqual([]);
  });

  test("has the packages of every platform, without which `npm ci` refuses it", () => {
    const missing = Object.entries(packages).flatMap(([key, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !foldersAbove(key).some((at) => `${at}${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});
