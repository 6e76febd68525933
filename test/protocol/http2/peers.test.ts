import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.js";
import { Writer } from "../../../src/protobuf/writer.js";
import { Http2ClientSession } from "../../../src/protocol/http2/client-session.js";
import { Http2ServerSession } from "../../../src/protocol/http2/server-session.js";
import { HeaderList } from "../../../src/protocol/http2/wire/header-field.js";
import { HpackDecoder } from "../../../src/protocol/http2/wire/hpack-decoder.js";
import { HpackEncoder, type Indexing } from "../../../src/protocol/http2/wire/hpack-encoder.js";
import { SeededRandom } from "../../../src/testing/index.js";
import { tcpTransport } from "../../../src/transport/tcp.js";
import type { Listener } from "../../../src/transport/transport.js";
import { Child } from "../../tools/child.js";
import { debianLibraries, debianPackages } from "../../tools/debian.js";
import { Client, echo, Server } from "./pair.js";

// Peers that others wrote: Python's hpack and h2, nghttp, h2load and curl, from Debian's packages.

const run = promisify(execFile);
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const transport = tcpTransport(systemClock);
const python = "/usr/bin/python3";
const servers: Server[] = [];
let env: NodeJS.ProcessEnv;
let listener: Listener;
let port = 0;

beforeAll(async () => {
  const packages = ["python3-h2", "python3-hpack", "python3-hyperframe", "nghttp2-client", "curl"];
  const root = debianPackages("--with-dependencies", ...packages);
  env = {
    ...process.env,
    PATH: `${root}/usr/bin:${process.env.PATH}`,
    LD_LIBRARY_PATH: debianLibraries(),
    PYTHONPATH: `${root}/usr/lib/python3/dist-packages`,
  };
  listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    const server = new Server();
    server.onRequestStart = echo;
    server.session = new Http2ServerSession(connection, systemClock, server);
    servers.push(server);
  });
  port = listener.address.port;
}, 120_000);

afterAll(() => listener.close());

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789-_/.% ~{}ABCXYZ"<>|';

function randomText(random: SeededRandom, from: number, to: number, alphabet = letters): string {
  const { length } = alphabet;
  return Array.from({ length: random.integer(from, to) }, () => alphabet[random.integer(0, length - 1)]).join(
    "",
  );
}

function randomFields(random: SeededRandom): Array<[name: string, value: string]> {
  const known = [":method", ":path", "content-type", "grpc-timeout", "x-token", "cookie"];
  return Array.from({ length: random.integer(0, 12) }, () => [
    random.chance(0.6)
      ? random.pick(known)
      : randomText(random, 1, 20, "abcdefghijklmnopqrstuvwxyz-0123456789"),
    random.chance(0.5)
      ? random.pick(["GET", "/", "/a/b", "1", ""])
      : randomText(random, 0, random.pick([3, 30, 600])),
  ]);
}

test("HPACK: random lists from Python's encoder to our decoder, and from ours to Python's", () => {
  const random = SeededRandom.of(7);
  const lists = Array.from({ length: 2000 }, () => ({
    tableBytes: random.chance(0.03) ? random.pick([0, 60, 500, 4096]) : null,
    huffman: random.chance(0.5),
    fields: randomFields(random).map(([name, value]) => [name, value, random.chance(0.1)] as const),
  }));
  const ours = Array.from({ length: 2000 }, () => randomFields(random));
  const encoder = new HpackEncoder();
  const prepared = encoder.prepare([
    { name: ":status", value: "200", indexing: "table" },
    { name: "content-type", value: "application/grpc", indexing: "table" },
  ]);
  const blocks = ours.map((fields) => {
    if (random.chance(0.02)) encoder.setTableMax(random.pick([0, 100, 1000, 4096]));
    const out = new Writer();
    const modes: Indexing[] = ["table", "name", "plain", "never"];
    encoder.encode(
      out,
      prepared,
      fields.map(([name, value]) => ({ name, value, indexing: random.pick(modes) })),
    );
    return out.view().toString("hex");
  });
  const input = JSON.stringify({ lists, blocks });
  const answer = execFileSync(python, [here("./hpack_peer.py")], { env, input, maxBuffer: 1 << 28 });
  const { encoded, decoded } = JSON.parse(answer.toString());
  const constant = prepared.fields.map(({ name, value }) => [name, value]);
  expect(decoded).toEqual(ours.map((fields) => [...constant, ...fields]));
  const decoder = new HpackDecoder({ listMaxBytes: 1 << 20, fieldsMax: 1000 }, 4096);
  const list = new HeaderList();
  const read = encoded.map((hex: string) => {
    const bytes = Buffer.from(hex, "hex");
    expect(decoder.decode(bytes, 0, bytes.length, list)).toBeUndefined();
    return list.slice().map(({ name, value }) => [name, value]);
  });
  expect(read).toEqual(lists.map(({ fields }) => fields.map(([name, value]) => [name, value])));
});

describe("Python's h2", () => {
  test("calls our server", async () => {
    const { stdout } = await run(python, [here("./h2_peer.py"), "client", String(port)], { env });
    expect(stdout).toBe("echoed 60\n");
  });

  test("breaks rules on 300 connections, between which it is served", async () => {
    const { stdout } = await run(python, [here("./h2_peer.py"), "hostile", String(port)], { env });
    expect(stdout).toBe("echoed 60\n".repeat(7));
    await expect.poll(() => servers.filter((one) => one.closed === undefined).length).toBe(0);
    for (const one of servers) expect(one.session.inFlight).toBe(0);
  }, 120_000);

  test("serves our client", async () => {
    const child = new Child(python, [here("./h2_peer.py"), "server"], env);
    const address = { host: "127.0.0.1", port: Number(await child.line(/^\d+$/)) };
    const client = new Client();
    client.session = new Http2ClientSession(
      await transport.connect(address, { timeoutMs: 10_000 }),
      systemClock,
      client,
    );
    const sizes = [0, 1, 16_384, 16_385, 65_535, 65_536, 300_000];
    const calls = Array.from({ length: 50 }, (_, i) =>
      client.request(
        { ":path": "/echo", ":authority": "localhost" },
        Buffer.alloc(sizes[i % sizes.length] as number, i),
      ),
    );
    await Promise.all(calls.map((one) => one.over));
    for (const [i, call] of calls.entries()) {
      expect(call).toMatchObject({
        headers: { ":status": "200" },
        trailers: { done: "yes" },
        failure: undefined,
      });
      expect(call.body.equals(Buffer.alloc(sizes[i % sizes.length] as number, i))).toBe(true);
    }
    client.session.drain();
    await child.line(/^served 50$/);
  });
});

test("curl --http2-prior-knowledge", async () => {
  const url = `http://127.0.0.1:${port}/a/b`;
  const { stdout, stderr } = await run("curl", ["-sv", "--http2-prior-knowledge", "-d", "hello", url], {
    env,
  });
  expect(stdout).toBe("hello");
  expect(stderr).toContain("HTTP/2 200");
  expect(stderr).toContain("done: yes");
});

test("nghttp, with trailers and continuation frames", async () => {
  const body = here("./h2_peer.py");
  const options = ["-v", "--continuation", "--trailer", "x-end: 1", "-d", body, `http://127.0.0.1:${port}/x`];
  const { stdout } = await run("nghttp", options, { env });
  expect(stdout).toContain(":status: 200");
  expect(stdout).toContain("done: yes");
  expect(servers.at(-1)?.requests[0]?.trailers).toEqual({ "x-end": "1" });
});

test("h2load: every request is answered", async () => {
  const options = [
    "-n",
    "5000",
    "-c",
    "5",
    "-m",
    "100",
    "-d",
    here("./frames.ts"),
    `http://127.0.0.1:${port}/x`,
  ];
  const { stdout } = await run("h2load", options, { env });
  expect(stdout).toContain("5000 succeeded, 0 failed, 0 errored, 0 timeout");
});
