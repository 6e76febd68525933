import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generate, runGenerate, writeGenerated } from "../../src/codegen/index.js";
import { exampleFolder, protoFolder } from "./generated.js";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
const protos = ["kinds.proto", "old.proto", "names.proto", "known.proto"].map((file) =>
  path.join(protoFolder, file),
);
const classic = ["user.proto", "friend.proto"].map((file) => path.join(exampleFolder, file));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mprpc-codegen-output-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a user writes on generated code: it compiles without a cast, and says what its types are. */
const usage = `
import type { CallContext, HandlersOf, InputOf, OutputOf, StubChannel } from "mprpc/codec";
import { RpcController, structFromJson, structToJson, timestampFromDate, timestampToDate } from "mprpc/codec";
import { Known, KnownServiceStub } from "./known.js";
import { Choice, Color, type Lists, Maps, Scalars, type ScalarsInput } from "./kinds.js";
import { Old, Old_Mood, type OldInput } from "./old.js";
import { LoginRequest, type LoginResponse, UserServiceRpc, type UserServiceRpcHandler, UserServiceRpcStub } from "./user.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yes = <T extends true>(_value?: T): void => {};

yes<Same<OutputOf<typeof LoginRequest>, { name: Buffer; pwd: Buffer }>>();
yes<Same<OutputOf<(typeof UserServiceRpc)["methods"]["login"]["output"]>, LoginResponse>>();
yes<Same<Scalars["anInt64"], bigint>>();
yes<Same<Scalars["aString"], string>>();
yes<Same<ScalarsInput["aBytes"], Uint8Array | string | undefined>>();
yes<Same<ScalarsInput["aUint64"], bigint | number | undefined>>();
yes<Same<Lists["bytesList"], Buffer[]>>();
yes<Same<Maps["byUint64"], Map<bigint, Buffer>>>();
yes<Same<Old_Mood, 1 | 2>>();
yes<Same<OldInput["id"], number>>();
yes<Same<Old["level"], number | undefined>>();
yes<Same<Old["name"], string | undefined>>();

// The interface and what notifyService asks for fit each other, both ways.
const handler: UserServiceRpcHandler = {
  async login(request, context) {
    const peer: string = context.peer.address;
    return { result: { errcode: request.name.length, errmsg: peer }, success: true };
  },
  register: (request: { id: number }, _context: CallContext) => ({ success: request.id > 0 }),
  async uploadAvatar(requests) {
    let size = 0;
    for await (const { data } of requests) size += data.length;
    return { size };
  },
};
export const handlers: HandlersOf<typeof UserServiceRpc> = handler;
export const back: UserServiceRpcHandler = handlers;

export async function call(channel: StubChannel): Promise<string> {
  const user = new UserServiceRpcStub(channel);
  const response = await user.login({ name: "zhang san", pwd: Buffer.from("123456") }, { timeoutMs: 500 });
  const controller = new RpcController();
  const maybe = await user.login({ name: "zhang san" }, controller, { timeoutMs: 500 });
  const known = await new KnownServiceStub(channel).ping({});
  if (known.timestamp !== undefined) timestampToDate(known.timestamp).toISOString();
  if (known.struct !== undefined) structToJson(known.struct);
  return \`\${response.success} \${response.result?.errmsg.toString()} \${maybe?.success}\`;
}

// What was decoded can be sent on as it is.
export const again: InputOf<typeof Scalars> = Scalars.create({ aColor: Color.COLOR_RED, aMessage: { id: 1 } });
export const maps = Maps.create({ byString: { a: 1 }, byInt32: [[1, "x"]], byUint64: new Map([[1n, "x"]]) });
export const known = Known.create({ timestamp: timestampFromDate(new Date(0)), struct: structFromJson({ a: [1, null] }) });
export const old = Old.create({ id: 1, part: { label: "x" }, choice: { case: "chosen", value: Old_Mood.GLAD } });

export function describe(choice: Choice): string {
  switch (choice.payload?.case) {
    case "text":
      return choice.payload.value.toUpperCase();
    case "number":
      return (choice.payload.value + 1n).toString();
    case "scalars":
      return choice.payload.value.aString;
    case "data":
    case "color":
    case "flag":
      return String(choice.payload.value);
    case undefined:
      return "nothing";
  }
}
`;

describe("generated code", () => {
  it("compiles under the strictest flags, and needs no cast where it is used", async () => {
    const here = path.join(folder, "compiled");
    await writeGenerated([...(await generate(protos)), ...(await generate(classic))], here);
    await writeFile(path.join(here, "usage.ts"), usage);
    await writeFile(path.join(here, "package.json"), '{ "type": "module" }');
    await writeFile(
      path.join(here, "tsconfig.json"),
      JSON.stringify({
        extends: path.join(repository, "tsconfig.json"),
        compilerOptions: {
          noUnusedLocals: true,
          noUnusedParameters: true,
          noPropertyAccessFromIndexSignature: true,
          paths: {
            "mprpc/codec": [path.join(repository, "src/codec.ts")],
            "mprpc/descriptor": [path.join(repository, "src/descriptor/index.ts")],
          },
          typeRoots: [path.join(repository, "node_modules/@types")],
        },
        include: ["."],
        exclude: [],
      }),
    );
    const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", here]).catch(
      (error) => error as { stdout: string },
    );
    expect(stdout).toBe("");
  });

  it("is formatted as biome would, with imports in its order", async () => {
    const here = path.join(folder, "formatted");
    await writeGenerated([...(await generate(protos)), ...(await generate(classic))], here);
    const config = JSON.parse(await readFile(path.join(repository, "biome.json"), "utf8"));
    const own = {
      root: true,
      formatter: config.formatter,
      javascript: config.javascript,
      linter: config.linter,
    };
    await writeFile(path.join(here, "biome.json"), `${JSON.stringify(own, undefined, 2)}\n`);
    const biome = path.join(repository, "node_modules/@biomejs/biome/bin/biome");
    const args = [biome, "check", "--error-on-warnings", "--colors=off", "."];
    const failed = await run(process.execPath, args, { cwd: here }).then(
      () => "",
      (error) => `${error.stdout}${error.stderr}`,
    );
    expect(failed).toBe("");
  });

  it("is the same bytes every time, whatever the order and the folder", async () => {
    const first = await generate(protos);
    const copy = path.join(folder, "copy");
    await cp(protoFolder, copy, { recursive: true });
    const second = await generate([...protos].reverse().map((file) => path.join(copy, path.basename(file))));
    expect(second).toEqual(first);
  });

  it("has not changed: names.proto", async () => {
    const files = await generate([path.join(protoFolder, "names.proto")]);
    await expect(files[0]?.content).toMatchFileSnapshot("./snapshots/names.ts.txt");
  });

  it("has not changed: user.proto", async () => {
    const files = await generate(classic);
    const user = files.find((file) => file.path === "user.ts");
    await expect(user?.content).toMatchFileSnapshot("./snapshots/user.ts.txt");
  });

  it("imports only the codec and its neighbours", async () => {
    for (const { content } of await generate(protos)) {
      const sources = Array.from(content.matchAll(/ from "(.*)";/g), ([, source]) => source ?? "");
      for (const source of sources.filter((one) => one !== "mprpc/descriptor")) {
        expect(source).toMatch(/^(mprpc\/codec|\.\.?\/.*\.js)$/);
      }
      // Nothing of descriptor.proto is loaded for the sake of custom options.
      expect(content).not.toMatch(/^import \{.*mprpc\/descriptor/m);
    }
  });

  it.each([
    [".ts", "./nested/shared.ts"],
    ["none", "./nested/shared"],
  ] as const)("names its neighbours with --import-extension %s", async (importExtension, neighbour) => {
    const files = await generate(protos, { importExtension });
    const sources = files.flatMap(({ content }) =>
      Array.from(content.matchAll(/ from "(\..*)";/g), ([, source]) => source ?? ""),
    );
    expect(sources).toContain(neighbour);
    expect(sources.filter((source) => source.endsWith(".ts") !== (importExtension === ".ts"))).toEqual([]);
    expect(sources.filter((source) => source.endsWith(".js"))).toEqual([]);
  });

  it("says which mprpc it needs", async () => {
    const [user] = (await generate(classic)).filter((file) => file.path === "user.ts");
    expect(user?.content).toMatch(
      /^\/\/ Generated by mprpc generate from user\.proto for mprpc \d+\.\d+\.\d+ or newer\. /,
    );
    expect(user?.content).toMatch(/^needsMprpc\("\d+\.\d+\.\d+", "user\.ts"\);$/m);
  });

  it("keeps names when asked", async () => {
    const [kinds] = await generate([path.join(protoFolder, "kinds.proto")], { fieldNames: "keep" });
    expect(kinds?.content).toContain("an_int64: bigint;");
  });

  it("names files by the import path", async () => {
    const shared = path.join(protoFolder, "nested/shared.proto");
    expect((await generate([shared])).map((file) => file.path)).toEqual(["shared.ts"]);
    const from = await generate([shared], { importPaths: [protoFolder] });
    expect(from.map((file) => file.path)).toEqual(["nested/shared.ts"]);
  });
});

describe("mprpc generate", () => {
  const collect = () => {
    const io = {
      out: "",
      err: "",
      stdout(text: string) {
        io.out += text;
      },
      stderr(text: string) {
        io.err += text;
      },
    };
    return io;
  };

  it("writes, leaves alone what is the same, and checks", async () => {
    const out = path.join(folder, "written");
    const first = collect();
    expect(await runGenerate([...classic, "--out", out, "--check"], first)).toBe(1);
    expect(first.err).toContain("user.ts: is missing");
    expect(await runGenerate([...classic, "--out", out], first)).toBe(0);
    expect(first.out.split("\n").filter(Boolean)).toHaveLength(3);
    const { mtimeMs } = await stat(path.join(out, "user.ts"));
    const second = collect();
    expect(await runGenerate([...classic, "--out", out], second)).toBe(0);
    expect(second.out).toBe("3 of 3 files unchanged\n");
    expect((await stat(path.join(out, "user.ts"))).mtimeMs).toBe(mtimeMs);
    expect(await runGenerate([...classic, "--out", out, "--check"], second)).toBe(0);
    await writeFile(path.join(out, "user.ts"), "changed");
    expect(await runGenerate([...classic, "--out", out, "--check"], second)).toBe(1);
    expect(second.err).toContain("user.ts: is not what the .proto gives");
  });

  it("says what is wrong with its arguments", async () => {
    for (const [argv, text] of [
      [[], "no .proto files were given"],
      [["a.proto"], "--out DIR is missing"],
      [["a.proto", "--out", "x", "--fields", "snake"], "--fields is camel or keep, not snake"],
      [["a.proto", "--oops"], "--oops"],
    ] as const) {
      const io = collect();
      expect(await runGenerate(argv, io)).toBe(2);
      expect(io.err).toContain(text);
      expect(io.err).toContain("Try `mprpc generate --help`");
    }
    const help = collect();
    expect(await runGenerate(["--help"], help)).toBe(0);
    expect(help.out).toContain("--import-path DIR");
  });

  it("says on stderr what is odd but not wrong, and goes on", async () => {
    const proto = path.join(folder, "odd.proto");
    await writeFile(proto, 'syntax = "proto3";\nimport "google/protobuf/any.proto";\nmessage A {}\n');
    const io = collect();
    expect(await runGenerate([proto, "--out", path.join(folder, "odd")], io)).toBe(0);
    expect(io.err).toBe(`${proto}:2:8: warning: import "google/protobuf/any.proto" is used by nothing\n`);
  });

  it("ends with 1 and the error alone for a wrong .proto, having written nothing", async () => {
    const proto = path.join(folder, "wrong.proto");
    await writeFile(proto, 'syntax = "proto3";\nmessage A {\n  B b = 1;\n}\n');
    const io = collect();
    expect(await runGenerate([proto, "--out", path.join(folder, "nothing")], io)).toBe(1);
    expect(io.err).toBe(`${proto}:3:3: there is no type B\n`);
    await expect(stat(path.join(folder, "nothing"))).rejects.toThrow("ENOENT");
  });

  it("names --out when it cannot be written", async () => {
    const proto = path.join(folder, "right.proto");
    await writeFile(proto, 'syntax = "proto3";\nmessage A {}\n');
    const out = path.join(proto, "below-a-file");
    const io = collect();
    expect(await runGenerate([proto, "--out", out], io)).toBe(1);
    expect(io.err).toMatch(
      /^mprpc generate: --out .*below-a-file: the folder cannot be made: ENOTDIR: not a directory\n$/,
    );
    const file = path.join(folder, "no-folder");
    await mkdir(path.join(file, "right.ts"), { recursive: true });
    const second = collect();
    expect(await runGenerate([proto, "--out", file], second)).toBe(1);
    expect(second.err).toMatch(
      /^mprpc generate: --out .*no-folder: the file .*right\.ts cannot be written: EISDIR: /,
    );
    expect(await readdir(file)).toEqual(["right.ts"]);
  });
});
