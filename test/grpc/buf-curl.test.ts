import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Authority, writeSecret } from "../tls/authority.js";
import { openTransport, temporaryFolder } from "../tls/support.js";
import { interopProvider } from "./provider.js";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

/** `buf curl` over gRPC, which asks the server for its messages. */
async function bufCurl(
  target: string,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const [where = "", ...rest] = args;
  const secured = rest.includes("--cacert");
  const http2 = secured ? [] : ["--http2-prior-knowledge"];
  const url = `${secured ? "https" : "http"}://${target}${where}`;
  const line = ["curl", "--protocol", "grpc", ...http2, ...rest, url];
  const child = spawn(buf, line, { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.on("close", (exit) => resolve(exit ?? -1))),
  ]);
  return { code, out, err };
}

test("buf curl calls a provider, with the messages that its reflection tells", async () => {
  const { target } = await interopProvider();
  const unary = await bufCurl(target, "/interop.InteropService/UnaryCall", "-d", '{"responseSize": 3}');
  expect(unary).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(unary.out)).toEqual({ payload: { body: "AAAA" } });
  const stream = await bufCurl(
    target,
    "/interop.InteropService/StreamingOutputCall",
    ...["-d", '{"responseSizes": [1, 2]}'],
  );
  expect(stream.out.match(/body/g)).toHaveLength(2);
  const bidi = await bufCurl(
    target,
    "/interop.InteropService/FullDuplexCall",
    ...["-d", '{"responseSizes": [1]} {"responseSizes": [2, 3]}'],
  );
  expect(bidi.out.match(/body/g)).toHaveLength(3);
  const failed = await bufCurl(
    target,
    "/interop.InteropService/UnaryCall",
    ...["-d", '{"responseStatus": {"code": 5, "message": "nothing there"}}'],
  );
  expect(failed.code).not.toBe(0);
  expect(JSON.parse(failed.err)).toMatchObject({ code: "not_found", message: "nothing there" });
}, 60_000);

test("buf curl lists the services and methods of a provider, and asks its health", async () => {
  const { target } = await interopProvider();
  const services = await bufCurl(target, "", "--list-services");
  expect(services.out.trim().split("\n")).toEqual([
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "interop.InteropService",
    "mprpc.reflection.v1.Reflection",
  ]);
  const methods = await bufCurl(target, "", "--list-methods");
  expect(methods.out).toContain("interop.InteropService/FullDuplexCall");
  const health = await bufCurl(target, "/grpc.health.v1.Health/Check", "-d", "{}");
  expect(JSON.parse(health.out)).toEqual({ status: "SERVING" });
  const list = await bufCurl(target, "/grpc.health.v1.Health/List", "-d", "{}");
  expect(JSON.parse(list.out)).toEqual({
    statuses: { "": { status: "SERVING" }, "interop.InteropService": { status: "SERVING" } },
  });
}, 60_000);

test("buf curl calls a provider behind TLS, with a certificate of its own where one is asked for", async () => {
  const ca = await Authority.make();
  const [server, caller] = [await ca.issue({ ips: ["127.0.0.1"] }), await ca.issue({ dns: ["buf.example"] })];
  const folder = temporaryFolder();
  const file = (name: string, text: string): string => writeSecret(folder, name, text);
  const transport = openTransport({ ...server, mode: "required", ca: ca.cert, clientAuth: "require" });
  const { target } = await interopProvider({}, {}, { transport });
  const trust = ["--cacert", file("ca.pem", ca.cert)];
  const own = ["--cert", file("cert.pem", caller.cert), "--key", file("key.pem", caller.key)];
  const where = "/interop.InteropService/UnaryCall";
  const called = await bufCurl(target, where, ...trust, ...own, "-d", '{"responseSize": 3}');
  expect(called).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(called.out)).toEqual({ payload: { body: "AAAA" } });
  expect((await bufCurl(target, where, ...trust, "-d", "{}")).code).not.toBe(0);
}, 60_000);
