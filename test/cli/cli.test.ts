import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { RpcProvider } from "../../src/server/provider.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { UserServiceRpc } from "../protobuf/gen/test.js";
import { type CliProvider, startCliProvider } from "./cli-provider.js";
import { KindsService } from "./gen/kinds.js";
import { mprpc, mprpcProcess } from "./mprpc.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const userProto = path.join(root, "test/protobuf/test.proto");

let cluster: CliProvider;
let folder: string;
let registry: string;
let runtime: TestApp;
let address: string;

beforeAll(async () => {
  cluster = await startCliProvider();
  ({ folder, registry, runtime, address } = cluster);
});

afterAll(() => cluster.close());

const login = '{"name": "zhang san", "pwd": "123456"}';
const loggedIn = { result: { errcode: 0, errmsg: "" }, success: true };

describe("mprpc", () => {
  test("list names each file of the registry that is none of its entries, once", async () => {
    const place = path.join(folder, "registry", UserServiceRpc.typeName);
    const bad = Array.from({ length: 26 }, (_, i) => path.join(place, `bad${i}.json`));
    await Promise.all(bad.map((file) => writeFile(file, "not an entry")));
    try {
      const { code, out, err } = await mprpc(["list", registry]);
      expect(code).toBe(0);
      expect(out).toContain(`at ${address}`);
      const lines = err.trimEnd().split("\n").sort();
      const expected = bad.map(
        (file) =>
          `mprpc: warning: ignoring a file that is no registry entry (file: ${file}, error: it is not JSON)`,
      );
      expect(lines).toEqual(expected.sort());
    } finally {
      await Promise.all(bad.map((file) => rm(file)));
    }
  });

  test("--help lists the commands, --version tells the package's, each command has its --help", async () => {
    const help = await mprpc(["--help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    const names = ["generate", "call", "list", "describe", "health", "config"];
    for (const name of names) expect(help.out).toContain(`  ${name} `);
    const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
      version: string;
    };
    expect(await mprpc(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
    for (const name of names) {
      for (const flag of ["--help", "-h"]) {
        const own = await mprpc([name, flag]);
        expect(own).toMatchObject({ code: 0, err: "" });
        expect(own.out).toMatch(new RegExp(`^Usage: mprpc ${name}`));
      }
    }
  });

  test.each([
    [[], /^Usage: mprpc COMMAND/],
    [["lst"], /^mprpc: unknown command "lst"; did you mean "list"\?\nTry `mprpc --help`\.\n$/],
    [
      ["frobnicate"],
      /unknown command "frobnicate"; there are generate, call, list, describe, health, secret, config/,
    ],
    [["call"], /^mprpc call: expected \[HOST:PORT\] SERVICE METHOD \[JSON\], or SERVICE\.METHOD/],
    [["call", "a", "b", "{}", "more"], /unexpected argument "more"/],
    [["call", "a", "b", "{"], /^mprpc call: the request is not JSON: /],
    [
      ["call", "localhost", "B", "Login"],
      /^mprpc call: the request is not JSON: Login; if that is METHOD, before SERVICE comes HOST:PORT, such as .* not "localhost"/,
    ],
    [
      ["call", "127.0.0.1:1/a.B/Login"],
      /^mprpc call: HOST:PORT is a word of its own: write 127\.0\.0\.1:1 a\.B\/Login\n/,
    ],
    [
      ["call", "127.0.0.1:1", "Login"],
      /METHOD is missing: write .* SERVICE\.METHOD or SERVICE\/METHOD, not "Login"/,
    ],
    [["call", "B", '{"x": 1.5}'], /METHOD is missing: write SERVICE METHOD, .* not "B"/],
    [
      ["call", "a.B.c", '{"x": [{"y": 1e400}]}'],
      /^mprpc call: x\[0\]\.y: 1e400 is beyond what a number can be/,
    ],
    [["call", "a.B.c", '{"x": {"y": 1, "y": 1}}'], /^mprpc call: x\.y is given twice/],
    [["describe"], /^mprpc describe: expected SERVICE\nTry/],
    [["describe", "a b"], /expected \[HOST:PORT\] SERVICE, got "a b"/],
    [["health", "a", "b"], /^mprpc health: unexpected argument "b"/],
    [["health"], /^mprpc health: give HOST:PORT: the configuration has no rpcserverport/],
    [["health", "127.0.0.1:1", "--timeout", "5"], /--timeout: expected a duration with its unit/],
    [["call", "localhost:abc", "a.B/C"], /before SERVICE\.METHOD comes HOST:PORT, .* not "localhost:abc"/],
    [["call", "127.0.0.1", "a.B/C", "{}"], /before SERVICE\.METHOD comes HOST:PORT, .* not "127\.0\.0\.1"/],
    [["call", "a", "b", "--timeout", "soon"], /--timeout: expected a duration .* got "soon"/],
    [["call", "a", "b", "--timeout", "5"], /^mprpc call: --timeout: 5 has no unit, write 5s or 5ms\nTry/],
    [["call", "a", "b", "--timeout", "0"], /--timeout: expected a duration .* such as 500ms, .* got "0"/],
    [["call", "a", "b", "--timeout"], /--timeout needs a value/],
    [["call", "a", "b", "--timeout=1s", "--timeout=2s"], /--timeout is given twice/],
    [["call", "a", "b", "--metadata", "novalue"], /--metadata: expected KEY=VALUE/],
    [["call", "a", "b", "--metadata", "bad key=1"], /metadata key "bad key" is not valid/],
    [["call", "a", "b", "--classic"], /--classic goes with HOST:PORT/],
    [["call", "a", "b", "--text=yes"], /--text takes no value/],
    [["call", "a", "b", "--tiemout"], /unknown option --tiemout; did you mean "--timeout"\?/],
    [["call", "a", "b", "-x"], /unknown option -x/],
    [
      ["call", "a", "b", "--log.levle=x"],
      /^mprpc call: command line: expected a known key .*, found "--log\.levle"; did you mean "--log\.level"\?\nTry/,
    ],
    [["config", "--bogus"], /^mprpc config: command line: expected a known key .*, found "--bogus"\nTry/],
    [["config", "--log.levl=debug"], /did you mean "--log\.level"\?/],
    [["config", "-i"], /^mprpc config: -i: expected a conf file, found nothing\nTry/],
    [["list", "nonsense"], /expected HOST:PORT, got "nonsense"/],
    [["generate"], /^mprpc generate: no \.proto files were given\nTry/],
    [["generate", "a.proto"], /--out DIR is missing/],
    [
      ["generate", "a.proto", "--out", "x", "--import-extension", "js"],
      /--import-extension is \.js or \.ts or none, not js/,
    ],
    [
      ["generate", "a.proto", "--outt", "x"],
      /^mprpc generate: unknown option --outt; did you mean "--out"\?\nTry/,
    ],
  ])("wrong usage ends with 2 and a hint: %j", async (args, text) => {
    const { code, out, err } = await mprpc(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(text);
    expect(err).not.toContain("    at ");
  });
});

describe("mprpc config", () => {
  test("prints each value and where it comes from; flags beat variables beat the file", async () => {
    const file = path.join(folder, "node.conf");
    await writeFile(file, "rpcserverport=8000\ncalltimeout=1s\n[log]\nlevle=debug\nlevel=warn\n");
    const { code, out, err } = await mprpc(["config", "-i", file, "--log.level=error"], {
      env: { MPRPC_CALLTIMEOUT: "2s" },
    });
    expect(code).toBe(0);
    expect(out).toMatch(/^rpcserverport +(= )8000 +\(.*node\.conf:1\)$/m);
    expect(out).toMatch(/^calltimeout +(= )2s +\(env MPRPC_CALLTIMEOUT\)$/m);
    expect(out).toMatch(/^log\.level +(= )error +\(flag --log\.level\)$/m);
    expect(err).toMatch(/^mprpc: warning: .*node\.conf:4: unknown key "levle".*"level"\?\n$/);
  });

  test.each([
    [
      ["-i", "/nowhere/mprpc.conf"],
      /^mprpc config: -i \/nowhere\/mprpc\.conf: expected a readable conf file/,
    ],
    [["--rpcserverport=many"], /^mprpc config: --rpcserverport: expected .*, found "many"\n$/],
  ])("a configuration that cannot be used ends with 1: %j", async (args, text) => {
    const { code, out, err } = await mprpc(["config", ...args]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(text);
  });
});

describe("mprpc generate", () => {
  test("writes the modules and says which; a second run changes nothing", async () => {
    const out = path.join(folder, "gen");
    const first = await mprpc(["generate", userProto, "--out", out]);
    expect(first).toMatchObject({ code: 0, err: "" });
    expect(first.out).toBe(`${path.join(out, "test.ts")}\n`);
    const committed = await readFile(path.join(root, "test/protobuf/gen/test.ts"), "utf8");
    expect(await readFile(path.join(out, "test.ts"), "utf8")).toBe(committed);
    expect((await mprpc(["generate", userProto, "--out", out])).out).toBe("1 of 1 files unchanged\n");
  });

  test("-I names the folder of imports, --fields keep leaves names alone", async () => {
    const out = path.join(folder, "kept");
    const file = path.join(root, "example/proto/user.proto");
    const args = ["generate", file, "-I", path.dirname(file), "--fields", "keep", "--out", out];
    expect(await mprpc(args)).toMatchObject({ code: 0, err: "" });
    expect(await readFile(path.join(out, "result.ts"), "utf8")).toContain("errcode: number");
  });

  test("a wrong .proto ends with 1 and file:line: message", async () => {
    const file = path.join(folder, "wrong.proto");
    await writeFile(file, 'syntax = "proto3";\nmessage A {\n  B b = 1;\n}\n');
    const { code, err } = await mprpc(["generate", file, "--out", path.join(folder, "none")]);
    expect({ code, err }).toEqual({ code: 1, err: `${file}:3:3: there is no type B\n` });
  });
});

describe("mprpc call", () => {
  test.each([
    ["a service of the registry, in full", ["fixbug.UserServiceRpc", "Login"]],
    ["its short name, the method as stubs spell it", ["UserServiceRpc", "login"]],
    ["a service of the registry and its method in one word", ["fixbug.UserServiceRpc.Login"]],
    ["the same with a slash and a short name", ["UserServiceRpc/login"]],
    ["as gRPC writes a method", ["/fixbug.UserServiceRpc/Login"]],
    ["a provider, service and method in two words", ["ADDRESS", "UserServiceRpc", "Login"]],
    ["a provider, with a dot", ["ADDRESS", "fixbug.UserServiceRpc.Login"]],
    ["a provider, with a slash and the short name", ["ADDRESS", "UserServiceRpc/Login"]],
    [
      "a classic provider, with its .proto",
      ["ADDRESS", "UserServiceRpc.Login", "--classic", "--proto", userProto],
    ],
  ])("calls %s", async (_, words) => {
    const given = words.map((word) => (word === "ADDRESS" ? address : word));
    const flags = given.findIndex((word) => word.startsWith("--"));
    const [names, rest] = flags < 0 ? [given, []] : [given.slice(0, flags), given.slice(flags)];
    const { code, out, err } = await mprpc(["call", ...names, login, "--text", registry, ...rest]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(JSON.parse(out)).toEqual(loggedIn);
    expect(out).toBe(`${JSON.stringify(loggedIn, undefined, 2)}\n`);
  });

  test("takes the request from stdin, bytes as base64 unless asked otherwise, and {} for none", async () => {
    const request = { name: Buffer.from("zhang san").toString("base64"), pwd: "MTIzNDU2" };
    const stdin = JSON.stringify(request);
    const { out } = await mprpc(["call", "UserServiceRpc", "Login", "-", registry], { stdin });
    expect(JSON.parse(out)).toEqual(loggedIn);
    const none = await mprpc(["call", "UserServiceRpc", "Login", registry]);
    expect(JSON.parse(none.out)).toMatchObject({ success: false });
  });

  test("sends metadata, and prints the reply's with -v, on stderr", async () => {
    const args = ["call", "UserServiceRpc", "Login", login, "--text", registry, "--metadata", "tenant=a=b"];
    expect((await mprpc(args)).err).toBe("");
    const verbose = await mprpc([...args, "-v"]);
    expect(verbose.err).toBe("  tenant-seen: a=b\n");
    expect(JSON.parse(verbose.out)).toEqual(loggedIn);
  });

  test.each([
    [
      "a handler's error with its details",
      ["UserServiceRpc", "GetFriendLists", '{"userid": 404}'],
      [
        /^\[not_found\] no such user \(fixbug\.UserServiceRpc\.GetFriendLists at /,
        /^ {2}executed: yes$/m,
        /^ {2}detail fixbug\.Hint: YXNrIGFnYWlu$/m,
      ],
    ],
    [
      "a deadline",
      ["UserServiceRpc", "GetFriendLists", '{"userid": 408}', "--timeout", "5s"],
      // Both sides have the deadline, and the provider's word may be here first.
      [
        /^\[deadline_exceeded\] (no reply within 5000 ms \(--timeout, calltimeout\)|the deadline passed)/,
        /executed: (maybe|yes)/,
      ],
    ],
    [
      "a method that is not there",
      ["UserServiceRpc", "Logn"],
      [
        /^\[unimplemented\] fixbug\.UserServiceRpc has no method "Logn"; did you mean "Login"\?/,
        /executed: never/,
      ],
    ],
    [
      "a service that is not there",
      ["fixbug.Nobody", "Login"],
      [/^\[unavailable\] no provider of fixbug\.Nobody in registry/],
    ],
    [
      "a short name that is not there",
      ["UserServicRpc", "Login"],
      [/^mprpc: no service "UserServicRpc" in registry .*; did you mean "fixbug\.UserServiceRpc"\?\n$/],
    ],
    [
      "a provider that is not there",
      ["127.0.0.1:1", "a.B.c"],
      [/^\[unavailable\] .*ECONNREFUSED/, /executed: never/],
    ],
    [
      "a field that is not there",
      ["UserServiceRpc", "Login", '{"nme": ""}'],
      [/fixbug\.LoginRequest has no field "nme"; did you mean "name"\?/],
    ],
    [
      "text where base64 belongs",
      ["UserServiceRpc", "Login", login],
      [/LoginRequest\.name: expected bytes as base64.*--text/],
    ],
    [
      "a .proto that is not there",
      ["UserServiceRpc", "Login", "--proto", "/nowhere/a.proto"],
      [/^\/nowhere\/a\.proto: no such file\n$/],
    ],
    [
      "a bad key of the configuration",
      ["UserServiceRpc", "Login", "--channel.balancer=best"],
      [/^mprpc call: --channel\.balancer: expected .*, found "best"/],
    ],
  ])("tells %s and ends with 1", async (_, words, texts) => {
    const { code, out, err } = await mprpc(["call", ...words, registry]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    for (const text of texts) expect(err).toMatch(text);
    expect(err).not.toContain("    at ");
  });

  test.each([
    ["a package of one name", "fixbug.UserServiceRpc", [], "Login, GetFriendLists"],
    ["a package of two", "test.cli.KindsService", [], "Echo, GetNothing"],
    ["a .proto", "fixbug.UserServiceRpc", ["--proto", userProto], "Login, GetFriendLists"],
  ])("a METHOD that is left out is told, with those there are: %s", async (_, service, more, methods) => {
    const { code, err } = await mprpc(["call", address, service, ...more]);
    expect({ code, err }).toEqual({
      code: 2,
      err: `mprpc call: METHOD is missing: write ${service}/METHOD; the methods of ${service} are ${methods}\nTry \`mprpc call --help\`.\n`,
    });
  });

  test("a METHOD that is left out is told for a service of the registry, too", async () => {
    const { code, err } = await mprpc(["call", "fixbug.UserServiceRpc", registry]);
    expect({ code, err }).toEqual({
      code: 2,
      err: "mprpc call: METHOD is missing: write fixbug.UserServiceRpc/METHOD; the methods of fixbug.UserServiceRpc are Login, GetFriendLists\nTry `mprpc call --help`.\n",
    });
  });

  test("numbers arrive exactly", async () => {
    const request =
      '{"anInt64": 9007199254740993, "aUint64": 18446744073709551615, "facts": {"a": [1.5, -0.25e2]}}';
    const { code, out, err } = await mprpc(["call", "KindsService.Echo", request, registry]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({
      anInt64: "9007199254740993",
      aUint64: "18446744073709551615",
      facts: { a: [1.5, -25] },
    });
    const rounded = await mprpc(["call", "KindsService.Echo", '{"anInt64": 9007199254740993.0}', registry]);
    expect(rounded).toMatchObject({ code: 1, out: "" });
    expect(rounded.err).toContain(
      "test.cli.Kinds.an_int64: 9007199254740992 may not be the number that was meant",
    );
  });

  test("the built-in services are called like any other", async () => {
    const health = await mprpc([
      "call",
      address,
      "grpc.health.v1.Health/Check",
      '{"service": "fixbug.UserServiceRpc"}',
    ]);
    expect(health).toEqual({ code: 0, out: '{\n  "status": "SERVING"\n}\n', err: "" });
    const reflection = await mprpc(["call", address, "mprpc.reflection.v1.Reflection", "listServices"]);
    expect(JSON.parse(reflection.out)).toEqual({
      services: ["fixbug.UserServiceRpc", "test.cli.KindsService"],
    });
  });

  test("what the other side says can neither steer the terminal nor forge a line", async () => {
    const hostile = "x\u001b[2J\u009b1m\u202eevil\nexecuted: never";
    const shown = "x\\u001b[2J\\u009b1m\\u202eevil\\nexecuted: never";
    const failing = new RpcProvider(runtime);
    failing.notifyService(KindsService, {
      echo(request, { replyMetadata }) {
        replyMetadata.set("note", hostile);
        if (request.anInt32 === 1)
          throw new RpcError(Status.ABORTED, hostile, { details: [{ type: hostile, value: Buffer.of() }] });
        return { aString: hostile };
      },
      getNothing: () => ({}),
    });
    const at = formatAddress(await failing.start());
    try {
      const failed = await mprpc(["call", at, "KindsService.Echo", '{"anInt32": 1}']);
      expect(failed.err).toContain(`[aborted] ${shown} (test.cli.KindsService.Echo`);
      expect(failed.err).toContain(`  detail ${shown}: \n`);
      expect(failed.err.split("\n")).toHaveLength(5);
      const done = await mprpc(["call", at, "KindsService.Echo", "-v"]);
      expect(done.err).toBe(`  note: ${shown}\n`);
      expect(JSON.parse(done.out)).toMatchObject({ aString: hostile });
      expect(failed.out + failed.err + done.out + done.err).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    } finally {
      await failing.shutdown();
    }
  });

  test("a value that cannot be used begins with its place in the file", async () => {
    const file = path.join(folder, "bad.conf");
    await writeFile(file, "rpcserverport=many\n");
    const { code, err } = await mprpc(["list", "-i", file]);
    expect(code).toBe(1);
    expect(err).toMatch(/^\/.*bad\.conf:1: rpcserverport: expected .*, found "many"\n$/);
  });

  test("says that a classic provider cannot be asked", async () => {
    const args = ["call", address, "UserServiceRpc.Login", login, "--classic"];
    const { code, err } = await mprpc(args);
    expect(code).toBe(1);
    expect(err).toMatch(
      /only classic providers in registry .* cannot be asked for its messages.*--proto FILE/,
    );
  });

  test("an ambiguous short name is refused", async () => {
    const other = path.join(folder, "other.proto");
    const text = await readFile(userProto, "utf8");
    await writeFile(other, text.replace("package fixbug;", "package other;"));
    const args = ["call", address, "UserServiceRpc/Login", "--proto", userProto, "--proto", other];
    const { code, err } = await mprpc(args);
    expect(code).toBe(1);
    expect(err).toContain('"UserServiceRpc" is short for fixbug.UserServiceRpc and other.UserServiceRpc');
  });
});

describe("mprpc list", () => {
  test("lists services, methods and instances of the registry", async () => {
    const { code, out, err } = await mprpc(["list", registry]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      [
        "fixbug.UserServiceRpc",
        "  Login(fixbug.LoginRequest) returns (fixbug.LoginResponse)",
        "  GetFriendLists(fixbug.GetFriendListsRequest) returns (fixbug.GetFriendListsResponse)",
        `  at ${address} (weight 2, version=1.4)`,
        "",
        "test.cli.KindsService",
        "  Echo(test.cli.Kinds) returns (test.cli.Kinds)",
        "  GetNothing(test.cli.Nothing) returns (test.cli.Nothing)",
        `  at ${address}`,
        "",
      ].join("\n"),
    );
  });

  test("lists one provider, or those of a static registry, in JSON too", async () => {
    const direct = await mprpc(["list", address, "--json"]);
    const listed = JSON.parse(direct.out) as Array<{
      service: string;
      instances: unknown[];
      methods: unknown[];
    }>;
    expect(listed.map(({ service }) => service)).toEqual(["fixbug.UserServiceRpc", "test.cli.KindsService"]);
    expect(listed[1]?.methods[1]).toEqual({
      ...{ name: "GetNothing", kind: "unary", input: "test.cli.Nothing", output: "test.cli.Nothing" },
    });
    expect(listed[0]?.instances).toEqual([{ address, protocol: "mprpc", weight: 1, attributes: {} }]);
    const viaStatic = await mprpc(["list", `--registry=static://${address}`]);
    expect(viaStatic.out).toBe((await mprpc(["list", address])).out);
  });

  test("marks classic instances, and tells what could not be asked", async () => {
    const classic = `--registry=static://UserServiceRpc=${address}?protocol=classic`;
    expect((await mprpc(["list", classic])).out).toBe(`UserServiceRpc\n  at ${address} (classic)\n`);
    const down = await mprpc(["list", `--registry=static://127.0.0.1:1,a.B=127.0.0.1:1`]);
    expect(down.code).toBe(0);
    expect(down.out).toMatch(
      /^any service\n {2}methods not known: \[unavailable\] .*\n {2}at 127\.0\.0\.1:1\n/,
    );
    expect(down.out).toMatch(/\na\.B\n {2}methods not known: \[unavailable\]/);
  });

  test("an empty registry is no error; a provider that is not there is one", async () => {
    const empty = `--registry=file:${path.join(folder, "empty")}`;
    expect(await mprpc(["list", empty, "--json"])).toMatchObject({ code: 0, out: "[]\n" });
    expect((await mprpc(["list", empty])).err).toMatch(/^mprpc: no services in file:/);
    const { code, out, err } = await mprpc(["list", "127.0.0.1:1"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^\[unavailable\] /);
  });
});

describe("as a process", () => {
  test("each command runs, reads stdin and ends with its code", async () => {
    const stdin = login;
    const called = await mprpcProcess(["call", "UserServiceRpc", "Login", "-", "--text", registry], {
      stdin,
    });
    expect(called).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(called.out)).toEqual(loggedIn);
    const failed = await mprpcProcess(["call", "127.0.0.1:1", "a.B.c"]);
    expect(failed).toMatchObject({ code: 1, out: "" });
    expect(failed.err).toMatch(/^\[unavailable\] /);
    const known = ["fixbug.UserServiceRpc.Nope", "--proto", userProto];
    const unasked = await mprpcProcess(["call", "127.0.0.1:1", ...known]);
    expect(unasked).toMatchObject({ code: 1, out: "" });
    expect(unasked.err).toMatch(/^\[unimplemented\] .*\n {2}executed: never\n$/);
    expect((await mprpcProcess(["list", registry])).out).toContain("fixbug.UserServiceRpc\n");
    expect((await mprpcProcess(["config"])).out).toMatch(/^# conf file: none\n/);
    expect(await mprpcProcess(["lst"])).toMatchObject({ code: 2, out: "" });
  });

  test.each(["mprpc", "provider", "consumer"])("bin/%s says so when nothing is built", async (name) => {
    const copy = path.join(folder, "unbuilt");
    await cp(path.join(root, "bin"), path.join(copy, "bin"), { recursive: true });
    await writeFile(path.join(copy, "package.json"), '{"type": "module"}');
    const code = await new Promise<{ code: unknown; err: string }>((resolve) => {
      execFile(path.join(copy, "bin", name), (error, _out, err) => resolve({ code: error?.code ?? 0, err }));
    });
    expect(code.code).toBe(1);
    expect(code.err).toMatch(/is not built yet: run \.\/autobuild\.sh/);
  });

  test("importing the library loads no reflection of protobufjs", async () => {
    const script = path.join(folder, "import.mjs");
    const source = [
      'import { createRequire } from "node:module";',
      `await import(${JSON.stringify(path.join(root, "src/index.ts"))});`,
      "const loaded = Object.keys(createRequire(import.meta.url).cache);",
      'console.log(JSON.stringify(loaded.filter((file) => file.includes("protobufjs"))));',
    ].join("\n");
    await writeFile(script, source);
    const args = ["--import", import.meta.resolve("tsx"), script];
    const out = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, args, (error, stdout) => (error === null ? resolve(stdout) : reject(error)));
    });
    expect(JSON.parse(out)).toEqual([]);
  });
});
