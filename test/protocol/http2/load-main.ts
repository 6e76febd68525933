// How many requests a second a bare server on the HTTP/2 core answers, and what each costs it: under h2load, and under our client.
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../../src/base/clock.js";
import { Http2ClientSession, type ResponseHandler } from "../../../src/protocol/http2/client-session.js";
import { Http2ServerSession } from "../../../src/protocol/http2/server-session.js";
import type { Http2Stream, StreamFailure, StreamHandler } from "../../../src/protocol/http2/stream.js";
import type { PreparedHeaders } from "../../../src/protocol/http2/wire/hpack-encoder.js";
import { tcpTransport } from "../../../src/transport/tcp.js";
import { deferred } from "../../support/async.js";
import { debianLibraries, debianPackages } from "../../tools/debian.js";
import { readOptions, wholeNumber } from "../../tools/program.js";

const usage = `Usage: node --import tsx test/protocol/http2/load-main.ts [options]

A bare server on the HTTP/2 core, under h2load and under our own client: calls a second, CPU of the server for each.

  --calls N   in each row; default 200000
  -h, --help
`;

const bodyBytes = 64;
/** Of nghttp2, on the PATH or unpacked. */
const loadProgram = "h2load";
const table = (name: string, value: string) => ({ name, value, indexing: "table" as const });
const transport = tcpTransport(systemClock);

/** Sends `bodyBytes`, written where they leave from. */
function writeBody(stream: Http2Stream, endStream: boolean): void {
  const writer = stream.beginData();
  writer.ensure(bodyBytes);
  writer.buffer.fill(1, writer.position, writer.position + bodyBytes);
  writer.position += bodyBytes;
  stream.endData(endStream);
}

class Responder implements StreamHandler {
  readonly #head: PreparedHeaders;
  readonly #tail: PreparedHeaders;

  constructor(head: PreparedHeaders, tail: PreparedHeaders) {
    this.#head = head;
    this.#tail = tail;
  }

  onData(stream: Http2Stream, _bytes: Buffer, _start: number, _end: number, endStream: boolean): void {
    if (!endStream) return;
    stream.headers(this.#head);
    writeBody(stream, false);
    stream.end(this.#tail);
  }

  onTrailers(): void {}
  onWritable(): void {}
  onReset(stream: Http2Stream): void {
    stream.release();
  }
}

async function serve(): Promise<void> {
  const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    const owner = { onRequest: (): StreamHandler => new Responder(head, tail), onSessionClosed: () => {} };
    const session = new Http2ServerSession(connection, systemClock, owner);
    const head = session.prepare([table(":status", "200"), table("content-type", "application/grpc")]);
    const tail = session.prepare([table("grpc-status", "0")]);
  });
  let before = process.cpuUsage();
  process.on("message", () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    process.send?.(user + system);
  });
  process.send?.(listener.address.port);
}

async function callAtDepth(port: number, depth: number, calls: number): Promise<number> {
  const connection = await transport.connect({ host: "127.0.0.1", port }, { timeoutMs: 10_000 });
  const { promise: welcomed, resolve: onWelcome } = deferred<void>();
  const owner = { onWelcome, onRoom: () => {}, onGoAway: () => {}, onSessionClosed: () => {} };
  const session = new Http2ClientSession(connection, systemClock, owner);
  const head = session.prepare([
    table(":method", "POST"),
    table(":scheme", "http"),
    table(":path", "/a/b"),
    table("te", "trailers"),
  ]);
  // The connection does not keep the process alive, as a channel's do not.
  const alive = setInterval(() => {}, 1000);
  // Until then it opens a hundred streams at most.
  await welcomed;
  const startMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    let left = calls;
    let sent = 0;
    const call = (): void => {
      const stream = sent++ < calls ? session.open(handler, head, undefined, false) : undefined;
      if (stream !== undefined) writeBody(stream, true);
    };
    const handler: ResponseHandler = {
      onResponse: () => {},
      onData: () => {},
      onWritable: () => {},
      onTrailers: () => (--left === 0 ? resolve() : call()),
      onReset: (_, failure: StreamFailure) => reject(new Error(failure.reason)),
    };
    for (let i = 0; i < depth; i++) call();
  });
  const seconds = (performance.now() - startMs) / 1000;
  session.close("done");
  clearInterval(alive);
  return calls / seconds;
}

async function main(): Promise<void> {
  const calls = wholeNumber(
    "calls",
    readOptions(usage, { calls: { type: "string", default: "200000" } }).calls,
    1,
  );
  const root = debianPackages("--with-dependencies", "nghttp2-client");
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: debianLibraries(),
    PATH: `${root}/usr/bin:${process.env.PATH}`,
  };
  const child = fork(fileURLToPath(import.meta.url), ["--serve"], { execArgv: ["--import", "tsx"] });
  const [port] = await once(child, "message");
  const cpuUs = async (): Promise<number> => {
    child.send("cpu");
    return (await once(child, "message"))[0];
  };
  const h2load = (depth: number, count: number): number => {
    const args = [
      "-n",
      String(count),
      "-c",
      "1",
      "-m",
      String(depth),
      "-d",
      fileURLToPath(new URL("./frames.ts", import.meta.url)),
    ];
    const text = execFileSync(loadProgram, [...args, `http://127.0.0.1:${port}/a/b`], { env }).toString();
    return Number(/([\d.]+) req\/s/.exec(text)?.[1]);
  };
  const loads = {
    h2load: async (depth: number, count: number) => h2load(depth, count),
    "our client": (depth: number, count: number) => callAtDepth(port, depth, count),
  };
  for (const [name, load] of Object.entries(loads)) {
    for (const depth of [1, 16, 64, 256]) {
      const count = depth === 1 ? Math.ceil(calls / 10) : calls;
      await load(depth, Math.ceil(count / 4));
      await cpuUs();
      const perSecond = await load(depth, count);
      const us = (await cpuUs()) / count;
      console.log(
        `${name}, ${depth} in flight: ${Math.round(perSecond)} calls/s, ${us.toFixed(2)} us of the server's CPU each`,
      );
    }
  }
  child.kill();
}

await (process.argv.includes("--serve") ? serve() : main());
