import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { describeProtos } from "../../src/codegen/index.js";
import { RpcProvider } from "../../src/server/provider.js";
import { builtinDescriptors } from "../../src/services/builtin.js";
import { type CliProvider, startCliProvider } from "./cli-provider.js";
import { KindsService } from "./gen/kinds.js";
import { mprpc } from "./mprpc.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

let cluster: CliProvider;
let registry: string;
let provider: RpcProvider;
let address: string;

beforeAll(async () => {
  cluster = await startCliProvider();
  ({ registry, provider, address } = cluster);
});

afterAll(() => cluster.close());

describe("mprpc describe", () => {
  const login =
    "service fixbug.UserServiceRpc {\n  rpc Login(fixbug.LoginRequest) returns (fixbug.LoginResponse);\n";

  test("prints a service as its provider tells it, by registry or address, in full or in short", async () => {
    const { code, out, err } = await mprpc(["describe", "UserServiceRpc", registry]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.startsWith(login)).toBe(true);
    expect(out).toContain(
      "message fixbug.LoginRequest {\n  bytes name = 1;\n  bytes pwd = 2;\n  map<string, string> client = 3;\n}\n",
    );
    expect(await mprpc(["describe", address, "fixbug.UserServiceRpc"])).toEqual({ code, out, err });
    const all = await mprpc(["describe", address]);
    expect(all.out.startsWith(out)).toBe(true);
    expect(all.out).toContain("service test.cli.KindsService {");
  });

  test.each([
    ["UserServiceRpc.Login"],
    ["fixbug.UserServiceRpc/Login"],
    ["fixbug.UserServiceRpc.Login"],
    ["UserServiceRpc", "login"],
  ])("prints one method: %s %s", async (...words) => {
    const { code, out } = await mprpc(["describe", ...words, registry]);
    expect(code).toBe(0);
    expect(out.startsWith(`${login}}\n`)).toBe(true);
    expect(out).not.toContain("GetFriend");
  });

  test("prints what it prints as a .proto would be written: every kind of field", async () => {
    const { out } = await mprpc(["describe", "KindsService", registry]);
    const source = await readFile(path.join(root, "test/cli/protos/kinds.proto"), "utf8");
    const fields = [...source.matchAll(/^ +((?:optional |repeated )?[\w.<>, ]+ \w+ = \d+;)$/gm)].map(
      ([, field]) => field as string,
    );
    expect(fields.length).toBeGreaterThan(25);
    const plain = out.replace(/\btest\.cli\.(?:Kinds\.)?/g, "");
    for (const field of fields) expect(plain).toContain(`  ${field}`);
    expect(plain).toContain("  oneof choice {\n    string by_name = 23;\n    int64 by_id = 24;\n  }\n");
    expect(out).toContain("enum test.cli.Color {\n  NONE = 0;\n  RED = 1;\n  DARK_BLUE = 2;\n}\n");
  });

  test.each([
    [["UserServicRpc"], /no service "UserServicRpc" in registry .*; did you mean "fixbug\.UserServiceRpc"\?/],
    [["UserServiceRpc/Logn"], /fixbug\.UserServiceRpc has no method "Logn"; it has Login, GetFriendLists/],
  ])("%j ends with 1", async (words, text) => {
    const { code, err } = await mprpc(["describe", ...words, registry]);
    expect(code).toBe(1);
    expect(err).toMatch(text);
  });

  test("describes the built-in services, equal to their .proto files", async () => {
    const { out } = await mprpc(["describe", address, "grpc.health.v1.Health"]);
    expect(out).toContain(
      "rpc Check(grpc.health.v1.HealthCheckRequest) returns (grpc.health.v1.HealthCheckResponse) { option idempotency_level = NO_SIDE_EFFECTS; }",
    );
    expect(out).toContain(
      "rpc Watch(grpc.health.v1.HealthCheckRequest) returns (stream grpc.health.v1.HealthCheckResponse) { option idempotency_level = NO_SIDE_EFFECTS; }",
    );
    for (const [name, service] of [
      ["health", "grpc.health.v1.Health"],
      ["reflection", "mprpc.reflection.v1.Reflection"],
    ] as const) {
      const proto = await describeProtos([path.join(root, `proto/${name}.proto`)]);
      const [own] = builtinDescriptors.get(service) ?? [];
      expect(Buffer.from(own ?? []).toString("hex")).toBe(Buffer.from(proto[0] ?? []).toString("hex"));
    }
  });
});

describe("mprpc health", () => {
  test("0 while it serves, of the whole and of a service; by the configuration, too", async () => {
    const serving = { code: 0, out: "SERVING\n", err: "" };
    expect(await mprpc(["health", address])).toEqual(serving);
    expect(await mprpc(["health", address, "fixbug.UserServiceRpc"])).toEqual(serving);
    const [, port = ""] = address.split(":");
    const env = { MPRPC_RPCSERVERPORT: port, MPRPC_RPCSERVERIP: "0.0.0.0" };
    expect(await mprpc(["health"], { env })).toEqual(serving);
  });

  test("3 when a service was taken out, 1 when it is not there or nothing listens", async () => {
    provider.setServing(KindsService.typeName, false);
    try {
      const out = await mprpc(["health", address, "test.cli.KindsService"]);
      expect(out).toEqual({ code: 3, out: "NOT_SERVING\n", err: "" });
    } finally {
      provider.setServing(KindsService.typeName, true);
    }
    const missing = await mprpc(["health", address, "a.Nobody"]);
    expect(missing).toMatchObject({ code: 1, out: "" });
    expect(missing.err).toMatch(/^\[not_found\] this provider has no service a\.Nobody/);
    const gone = await mprpc(["health", "127.0.0.1:1", "--timeout", "2s"]);
    expect(gone).toMatchObject({ code: 1, out: "" });
    expect(gone.err).toContain("ECONNREFUSED");
  });

  test("--watch prints a line for each change, until it is stopped", async () => {
    const name = KindsService.typeName;
    let [stop, seen] = [(_: number) => {}, 0];
    const { code, out, err } = await mprpc(["health", address, name, "--watch"], {
      onStop: (given) => {
        stop = given;
      },
      onOut: () => {
        seen++;
        if (seen === 3) stop(130);
        else setImmediate(() => provider.setServing(name, seen === 2));
      },
    });
    expect({ code, out, err }).toEqual({ code: 130, out: "SERVING\nNOT_SERVING\nSERVING\n", err: "" });
    const unknown = await mprpc(["health", address, "a.Nobody", "--watch"], {
      onStop: (given) => {
        stop = given;
      },
      onOut: () => stop(0),
    });
    expect(unknown).toEqual({ code: 0, out: "SERVICE_UNKNOWN\n", err: "" });
  });

  test("--watch ends with 1 when the provider stops, is not there, or says nothing in time", async () => {
    const stopping = new RpcProvider(cluster.runtime);
    stopping.notifyService(KindsService, { echo: (request) => request, getNothing: () => ({}) });
    const at = formatAddress(await stopping.start());
    const onOut = (): void => void setImmediate(() => stopping.shutdown());
    const stopped = await mprpc(["health", at, "--watch"], { onOut });
    expect(stopped).toMatchObject({ code: 1, out: "SERVING\nNOT_SERVING\n" });
    expect(stopped.err).toMatch(/^\[unavailable\] /);
    expect(await mprpc(["health", "127.0.0.1:1", "--watch"])).toMatchObject({ code: 1, out: "" });
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    try {
      const { port } = silent.address() as { port: number };
      const mute = await mprpc(["health", `127.0.0.1:${port}`, "--watch", "--timeout", "100ms"]);
      expect(mute).toEqual({
        code: 1,
        out: "",
        err: "[deadline_exceeded] no status within 100 ms (--timeout)\n",
      });
    } finally {
      silent.close();
    }
  });
});
