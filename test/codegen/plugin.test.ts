import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { encodeMessage } from "mprpc/codec";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate, generateFromDescriptors, runGenerate, runPlugin } from "../../src/codegen/index.js";
import { CodeGeneratorRequest } from "../../src/descriptor/gen/google/protobuf/compiler/plugin.js";
import { installLib } from "../tools/installed-lib.js";
import { protoFolder } from "./generated.js";

/** The second front end: protoc and buf parse, and the same back end writes the same code. */
const run = promisify(execFile);
const require = createRequire(import.meta.url);
const repository = fileURLToPath(new URL("../../", import.meta.url));
const protoc = require.resolve("protoc/protoc.cjs");
const names = ["kinds.proto", "known.proto", "old.proto", "language.proto", "edition.proto", "longs.proto"];
let folder: string;
let plugin: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-plugin-"));
  await installLib(folder, []);
  plugin = path.join(folder, "node_modules/mprpc/bin/protoc-gen-mprpc");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function filesIn(out: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(out, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) found.set(path.relative(out, file), await readFile(file, "utf8"));
  }
  return found;
}

async function expected(options = {}): Promise<Map<string, string>> {
  const files = await generate(
    names.map((name) => path.join(protoFolder, name)),
    options,
  );
  return new Map(files.map(({ path: name, content }) => [name, content]));
}

const withProtoc = (args: readonly string[]) => run(process.execPath, [protoc, "-I", protoFolder, ...args]);

describe("protoc-gen-mprpc", () => {
  test("behind protoc writes what mprpc generate writes", async () => {
    const out = await mkdtemp(path.join(folder, "protoc-"));
    await withProtoc([`--plugin=${plugin}`, `--mprpc_out=${out}`, ...names]);
    expect(await filesIn(out)).toEqual(await expected());
  });

  test("takes the options of the command line", async () => {
    const out = await mkdtemp(path.join(folder, "options-"));
    const opt = "fields=keep,int64=string,import_extension=.ts";
    await withProtoc([`--plugin=${plugin}`, `--mprpc_out=${out}`, `--mprpc_opt=${opt}`, ...names]);
    const options = { fieldNames: "keep", int64: "string", importExtension: ".ts" };
    expect(await filesIn(out)).toEqual(await expected(options));
  });

  test("behind buf writes the same", async () => {
    const out = await mkdtemp(path.join(folder, "buf-"));
    const template = { version: "v2", plugins: [{ local: plugin, out, strategy: "all" }] };
    const buf = path.join(repository, "node_modules/.bin/buf");
    const args = ["generate", protoFolder, "--template", JSON.stringify(template)];
    const paths = names.flatMap((name) => ["--path", path.join(protoFolder, name)]);
    await run(buf, [...args, ...paths], { env: { ...process.env, HOME: folder } });
    const [mine, theirs] = [await expected(), await filesIn(out)];
    // buf hands over every file of the folder's module that the paths need; names and code are the same.
    for (const [name, content] of theirs) expect(content, name).toBe(mine.get(name));
    expect([...theirs.keys()]).toEqual(expect.arrayContaining(["kinds.ts", "language.ts", "edition.ts"]));
  }, 60_000);

  test("declares topics as mprpc generate does, by the option that is in the package", async () => {
    const topics = path.join(protoFolder, "topics");
    const wanted = await generate(["orders.proto", "edition.proto"].map((name) => path.join(topics, name)));
    const own = new Map(wanted.map(({ path: name, content }) => [name, content]));
    expect(own.get("orders.ts")).toContain("defineTopic(");
    const options = path.join(folder, "node_modules/mprpc/proto/include");
    const out = await mkdtemp(path.join(folder, "topics-"));
    const args = ["-I", topics, "-I", options, `--plugin=${plugin}`, `--mprpc_out=${out}`];
    await run(process.execPath, [protoc, ...args, "orders.proto", "edition.proto"]);
    expect(await filesIn(out)).toEqual(own);

    const set = path.join(folder, "topics.pb");
    const described = ["--include_imports", "--include_source_info", `--descriptor_set_out=${set}`];
    await run(process.execPath, [protoc, "-I", topics, "-I", options, ...described, "orders.proto"]);
    const [generated] = generateFromDescriptors(await readFile(set), set, ["orders.proto"], {
      imports: false,
    });
    expect(generated?.content).toBe(own.get("orders.ts"));
  });

  test("and behind buf, whose workspace has the option as a module", async () => {
    const workspace = await mkdtemp(path.join(folder, "workspace-"));
    await cp(path.join(protoFolder, "topics"), path.join(workspace, "proto"), { recursive: true });
    const options = path.join(folder, "node_modules/mprpc/proto/include");
    await cp(options, path.join(workspace, "node_modules/mprpc/proto/include"), { recursive: true });
    const modules = [{ path: "proto" }, { path: "node_modules/mprpc/proto/include" }];
    await writeFile(path.join(workspace, "buf.yaml"), JSON.stringify({ version: "v2", modules }));
    const template = { version: "v2", plugins: [{ local: plugin, out: "gen", strategy: "all" }] };
    await writeFile(path.join(workspace, "buf.gen.yaml"), JSON.stringify(template));
    const buf = path.join(repository, "node_modules/.bin/buf");
    await run(buf, ["generate"], { cwd: workspace, env: { ...process.env, HOME: folder } });
    const topics = path.join(protoFolder, "topics");
    const wanted = await generate(["orders.proto", "edition.proto"].map((name) => path.join(topics, name)));
    expect(await filesIn(path.join(workspace, "gen"))).toEqual(
      new Map(wanted.map(({ path: name, content }) => [name, content])),
    );
  }, 60_000);

  test("says through protoc which topic is wrong, and where", async () => {
    const here = await mkdtemp(path.join(folder, "wrong-"));
    const options = path.join(folder, "node_modules/mprpc/proto/include");
    await writeFile(
      path.join(here, "wrong.proto"),
      'syntax = "proto3";\nimport "mprpc/options.proto";\nmessage A {\n  option (mprpc.topic) = "a b";\n}\n',
    );
    const args = ["-I", here, "-I", options, `--plugin=${plugin}`, `--mprpc_out=${here}`, "wrong.proto"];
    await expect(run(process.execPath, [protoc, ...args])).rejects.toThrow(
      "--mprpc_out: wrong.proto:4:3: option (mprpc.topic) takes a name as orders.created",
    );
  });

  test("says through protoc what is wrong with an option", async () => {
    const failing = withProtoc([
      `--plugin=${plugin}`,
      `--mprpc_out=${folder}`,
      "--mprpc_opt=int64=long",
      "kinds.proto",
    ]);
    await expect(failing).rejects.toThrow(
      "--mprpc_out: protoc-gen-mprpc: int64 is bigint or number or string, not long",
    );
    const unknown = withProtoc([
      `--plugin=${plugin}`,
      `--mprpc_out=${folder}`,
      "--mprpc_opt=int46=long",
      "kinds.proto",
    ]);
    await expect(unknown).rejects.toThrow(
      "there is no option int46; there are fields, int64, import-extension, imports",
    );
  });

  test("refuses what is no request", () => {
    expect(() => runPlugin(Buffer.from("no request"))).toThrow();
    // A request without files asks for nothing.
    expect(runPlugin(encodeMessage(CodeGeneratorRequest, {})).length).toBeGreaterThan(0);
  });
});

describe("--descriptors", () => {
  test("takes a FileDescriptorSet of protoc and gives the same code", async () => {
    const set = path.join(folder, "set.pb");
    await withProtoc(["--include_imports", "--include_source_info", `--descriptor_set_out=${set}`, ...names]);
    const files = generateFromDescriptors(await readFile(set), set);
    expect(new Map(files.map(({ path: name, content }) => [name, content]))).toEqual(await expected());
    const out = await mkdtemp(path.join(folder, "set-"));
    const io = { stdout: () => {}, stderr: () => {} };
    expect(await runGenerate(["--descriptors", set, "longs.proto", "--out", out], io)).toBe(0);
    expect([...(await filesIn(out)).keys()]).toEqual(["longs.ts"]);
  });

  test.each([
    ["no set", () => Buffer.from('syntax = "proto3";'), [], "is no FileDescriptorSet: "],
    ["an empty one", () => Buffer.alloc(0), [], "is a FileDescriptorSet without files"],
  ])("names a file that is %s", async (_what, bytes, files, message) => {
    expect(() => generateFromDescriptors(bytes(), "set.pb", files)).toThrow(`set.pb: ${message}`);
  });

  test("names what is missing in it", async () => {
    const set = path.join(folder, "alone.pb");
    await withProtoc([`--descriptor_set_out=${set}`, "known.proto"]);
    const bytes = await readFile(set);
    expect(() => generateFromDescriptors(bytes, "alone.pb")).toThrow(
      /^alone\.pb: known\.proto imports .*, which is not among the descriptors in front of it \(protoc needs --include_imports\)$/,
    );
    expect(() => generateFromDescriptors(bytes, "alone.pb", ["other.proto"])).toThrow(
      "alone.pb: has no file other.proto; it has known.proto",
    );
  });

  test("says on the command line that the file cannot be read", async () => {
    let stderr = "";
    const stdout = (): void => {};
    const io = {
      stdout,
      stderr(text: string) {
        stderr += text;
      },
    };
    expect(await runGenerate(["--descriptors", path.join(folder, "none.pb"), "--out", folder], io)).toBe(1);
    expect(stderr).toContain("none.pb: cannot be read: ENOENT");
    await writeFile(path.join(folder, "x.pb"), "");
    expect(await runGenerate(["--descriptors", "x.pb", "-I", "a", "--out", folder], io)).toBe(2);
  });
});
