import { expect, test } from "vitest";
import { openRegistry } from "../../src/registry/open.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { Recorder } from "../tools/wait.js";
import { addresses, registration } from "./conformance.js";

async function resolve(url: string, service: string): Promise<Snapshot> {
  const seen = new Recorder<Snapshot>();
  const watch = openRegistry(url).watch(service, seen.push);
  expect(seen.values).toEqual([]);
  const snapshot = await seen.until("the list", () => true);
  expect(watch.current).toEqual(snapshot);
  return snapshot;
}

test("unnamed endpoints serve every service, with weights and IPv6", async () => {
  const snapshot = await resolve("static://127.0.0.1:8001*3,[::1]:8000,127.0.0.1:8000", "any.Service");
  expect(snapshot.stale).toBe(false);
  expect(addresses(snapshot)).toEqual(["127.0.0.1:8000", "127.0.0.1:8001", "[::1]:8000"]);
  expect(snapshot.endpoints.map(({ weight }) => weight)).toEqual([1, 3, 1]);
});

test("named endpoints serve their service, by full or short name; the others the rest", async () => {
  const url = "static://a.Users=127.0.0.1:1|127.0.0.1:2,Friends=127.0.0.1:3,127.0.0.1:4";
  expect(addresses(await resolve(url, "a.Users"))).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
  expect(addresses(await resolve(url, "b.Friends"))).toEqual(["127.0.0.1:3"]);
  expect(addresses(await resolve(url, "a.Else"))).toEqual(["127.0.0.1:4"]);
  const services = (await openRegistry(url).list()).map(({ service }) => service);
  expect(services).toEqual(["a.Users", "Friends", "*"]);
  expect(addresses(await resolve("static://a.Users=127.0.0.1:1", "a.Else"))).toEqual([]);
});

test("protocol=classic reaches a C++ provider", async () => {
  const snapshot = await resolve("static://127.0.0.1:8000?protocol=classic", "fixbug.UserServiceRpc");
  expect(snapshot.endpoints[0]).toMatchObject({ protocol: "classic", port: 8000, attributes: {} });
  const framed = await resolve(
    "static://127.0.0.1:8000?protocol=classic&dialect=framed",
    "fixbug.UserServiceRpc",
  );
  expect(framed.endpoints[0]).toMatchObject({ protocol: "classic", attributes: { dialect: "framed" } });
});

test("register does nothing and succeeds, but refuses what can never work", async () => {
  const registry = openRegistry("static://127.0.0.1:8000");
  const handle = await registry.register(registration(9000));
  await handle.unregister();
  await expect(registry.register(registration(0))).rejects.toThrow("port 0");
  expect(await registry.list()).toHaveLength(1);
  await registry.close();
});

test("a closed watch hears nothing", async () => {
  const registry = openRegistry("static://127.0.0.1:8000");
  const seen = new Recorder<Snapshot>();
  registry.watch("a.B", seen.push).close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen.values).toEqual([]);
});

test("gRPC servers, all of them or one by one", async () => {
  const listed = await openRegistry(
    "static://a:1,grpc://b:2*3?protocol=grpc&compression=gzip&authority=c",
  ).list();
  const attributes = { compression: "gzip", authority: "c" };
  expect(listed[0]?.endpoints).toEqual([
    { host: "a", port: 1, protocol: "grpc", weight: 1, attributes },
    { host: "b", port: 2, protocol: "grpc", weight: 3, attributes },
  ]);
  const mixed = await openRegistry("static://S=a:1|grpc://b:2").list();
  expect(mixed[0]?.endpoints.map(({ protocol }) => protocol)).toEqual(["mprpc", "grpc"]);
});

test.each([
  ["static://", '"" is not host:port'],
  ["static://a", '"a" is not host:port'],
  ["static://a:0", '"a:0" is not host:port'],
  ["static://a:1*0", 'weight "0" of a:1'],
  ["static://a:1*x", 'weight "x" of a:1'],
  ["static://a b=h:1", '"a b" is not a service name'],
  ["static://a:1?protocol=rest", 'protocol "rest"'],
  ["static://a:1?compression=gzip", "a compression goes with protocol=grpc"],
  ["static://a:1?protocol=grpc&compression=br", 'compression "br" is not gzip'],
  ["static://a:1?protocol=classic&dialect=le16", 'dialect "le16" is not one of le32, be32, varint, framed'],
  ["static://a:1?dialect=le32", "a dialect goes with protocol=classic"],
  ["static://a:1?x=1", 'unknown option "x"'],
])("%s is refused: %s", (url, text) => {
  expect(() => openRegistry(url)).toThrow(text);
  expect(() => openRegistry(url)).toThrow(`registry "${url}"`);
  expect(() => openRegistry(url)).toThrow("allowed: static://host:port");
});
