import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { RpcError } from "../../src/error/rpc-error.js";
import { failure } from "../support/async.js";
import { debianLibraries, debianRoot } from "../tools/debian.js";
import { InteropServiceStub } from "./gen/interop.js";
import { grpcChannel, interopProvider } from "./provider.js";

/** Proxies that others wrote, between a channel and a provider that both speak gRPC. */
const script = fileURLToPath(new URL("../../scripts/debian-packages.sh", import.meta.url));

beforeAll(async () => {
  await promisify(execFile)("sh", [script, "--with-dependencies", "nginx", "haproxy"]);
}, 300_000);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function untilOpen(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode}`);
    const socket = connect(port, "127.0.0.1");
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A program of the unpacked packages, or of the system. */
async function proxy(
  program: string,
  config: (folder: string) => string,
  args: (file: string) => string[],
  port: number,
) {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-proxy-"));
  const file = path.join(folder, "proxy.conf");
  await writeFile(file, config(folder));
  const root = debianRoot();
  const unpacked = path.join(root, "usr/sbin", program);
  const child = spawn(existsSync(unpacked) ? unpacked : program, args(file), {
    env: { ...process.env, LD_LIBRARY_PATH: debianLibraries() },
    stdio: ["ignore", "inherit", "inherit"],
  });
  onTestFinished(async () => {
    if (child.exitCode === null) {
      child.kill();
      await once(child, "close");
    }
    await rm(folder, { recursive: true, force: true });
  });
  await untilOpen(port, child);
}

const nginx = (from: number, to: number) => (folder: string) =>
  `
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr error;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/a;
  proxy_temp_path ${folder}/b;
  fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d;
  scgi_temp_path ${folder}/e;
  server {
    listen 127.0.0.1:${from} http2;
    location / { grpc_pass grpc://127.0.0.1:${to}; }
  }
}
`;

const haproxy = (from: number, to: number) => () =>
  `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${from} proto h2
  default_backend out
backend out
  server one 127.0.0.1:${to} proto h2
`;

async function throughProxy(port: number): Promise<void> {
  const stub = new InteropServiceStub(grpcChannel(port));
  const { payload } = await stub.unaryCall({
    responseSize: 100_000,
    payload: { body: Buffer.alloc(50_000) },
  });
  expect(payload?.body.length).toBe(100_000);
  const many = await Promise.all(Array.from({ length: 200 }, (_, i) => stub.unaryCall({ responseSize: i })));
  expect(many.map((reply) => reply.payload?.body.length)).toEqual(many.map((_, i) => i));
  const sizes: number[] = [];
  for await (const reply of stub.streamingOutputCall({ responseSizes: [1, 20, 30_000] })) {
    sizes.push(reply.payload?.body.length ?? 0);
  }
  expect(sizes).toEqual([1, 20, 30_000]);
  const requests = [1, 2, 3].map((size) => ({
    payload: { body: Buffer.alloc(size) },
    responseSizes: [size],
  }));
  expect(await stub.streamingInputCall(requests)).toEqual({ aggregatedPayloadSize: 6 });
  let count = 0;
  for await (const _ of stub.fullDuplexCall(requests)) count++;
  expect(count).toBe(3);
  const metadata = { "x-interop-echo-initial": "kept", "x-interop-echo-trailing-bin": Buffer.from([0, 171]) };
  const replies = stub.fullDuplexCall([{ responseSizes: [1] }], { metadata });
  for await (const _ of replies);
  expect((await replies.metadata).get("x-interop-echo-initial")).toBe("kept");
  expect((await replies.trailers).get("x-interop-echo-trailing-bin")).toEqual(Buffer.from([0, 171]));
  const error = await failure(
    stub.unaryCall({ responseStatus: { code: 9, message: "nicht jetzt, später" } }),
  );
  expect(error).toBeInstanceOf(RpcError);
  expect(error).toMatchObject({ code: 9, rawMessage: "nicht jetzt, später", executed: "yes" });
}

test("nginx with grpc_pass", async () => {
  const provider = await interopProvider();
  const port = await freePort();
  await proxy("nginx", nginx(port, provider.port), (file) => ["-p", path.dirname(file), "-c", file], port);
  await throughProxy(port);
  await provider.provider.shutdown();
  const stub = new InteropServiceStub(grpcChannel(port));
  const error = await failure(stub.emptyCall({}));
  expect(error).toMatchObject({ codeName: "UNAVAILABLE", executed: "maybe" });
}, 60_000);

test("haproxy", async () => {
  const provider = await interopProvider();
  const port = await freePort();
  await proxy("haproxy", haproxy(port, provider.port), (file) => ["-db", "-f", file], port);
  await throughProxy(port);
}, 60_000);
