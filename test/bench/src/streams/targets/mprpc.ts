import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { OutgoingStream, RpcChannel, RpcProvider } from "mprpc";
import { type Piece, type PieceInput, Streams, StreamsStub } from "../../gen/streams.js";
import type { Meter } from "../../meter.js";
import { initNode } from "../../node.js";
import {
  checkCount,
  type IdleKind,
  pieceOf,
  type StreamCaller,
  type StreamLoad,
  type StreamProvider,
  type StreamTarget,
  sideBySide,
} from "../target.js";

/** A node as it comes. Both processes meet in a registry folder of their own; the endpoint is that registry. */

/** A client stream has the deadline of a unary call unless it is told otherwise. */
const longMs = 600_000;

async function startProvider(grpc: boolean): Promise<StreamProvider> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-"));
  const app = await initNode(`file:${folder}`, ["rpcserverip=127.0.0.1", "rpcserverport=0"]);
  let received = 0;
  const provider = new RpcProvider(app);
  provider.notifyService(Streams, {
    async *watch({ payloadBytes }, { signal }) {
      if (payloadBytes === 0) {
        yield {};
        if (!signal.aborted) await once(signal, "abort");
        return;
      }
      const piece = pieceOf(payloadBytes);
      while (!signal.aborted) yield piece;
    },
    async put(requests) {
      let pieces = 0;
      for await (const _ of requests) {
        pieces += 1;
        received += 1;
      }
      return { pieces };
    },
    async *chat(requests) {
      for await (const piece of requests) yield piece;
    },
  });
  const { host, port } = await provider.start();
  return {
    endpoint: grpc ? `static://grpc://${host}:${port}` : `file:${folder}`,
    received: () => received,
    async close() {
      await provider.shutdown();
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function watch(stub: StreamsStub, meter: Meter, { payloadBytes }: StreamLoad): Promise<void> {
  for await (const _ of stub.watch({ payloadBytes })) {
    meter.completed += 1;
    if (!meter.running) break;
  }
}

async function put(stub: StreamsStub, meter: Meter, { payloadBytes }: StreamLoad): Promise<void> {
  const piece = pieceOf(payloadBytes);
  let sent = 0;
  async function* pieces(): AsyncGenerator<PieceInput> {
    while (meter.running) {
      sent += 1;
      meter.completed += 1;
      yield piece;
    }
  }
  const reply = await stub.put(pieces(), { timeoutMs: longMs });
  checkCount(sent, reply.pieces);
}

async function chat(stub: StreamsStub, meter: Meter, load: StreamLoad): Promise<void> {
  const piece = pieceOf(load.payloadBytes);
  const out = new OutgoingStream<PieceInput>();
  let outstanding = load.outstanding ?? 1;
  for (let count = outstanding; count > 0; count -= 1) void out.write(piece);
  for await (const _ of stub.chat(out)) {
    meter.completed += 1;
    outstanding -= 1;
    if (meter.running) {
      outstanding += 1;
      void out.write(piece);
    } else if (outstanding === 0) out.end();
  }
  checkCount(outstanding, 0);
}

const drives = { server: watch, client: put, bidi: chat };

/** Opens a stream that somebody waits on, and resolves when it has had a message. */
function openIdle(stub: StreamsStub, kind: IdleKind): Promise<void> {
  return new Promise((resolve, reject) => {
    const read = async () => {
      const out = new OutgoingStream<PieceInput>();
      const stream = kind === "server" ? stub.watch({}) : stub.chat(out);
      if (kind === "bidi") void out.write({});
      for await (const _ of stream) resolve();
    };
    read().catch(reject);
  });
}

async function startCaller(endpoint: string): Promise<StreamCaller> {
  const app = await initNode(endpoint, []);
  const channel = new RpcChannel(app);
  const stub = new StreamsStub(channel);
  const stalled: AsyncIterator<Piece>[] = [];
  return {
    drive: (meter, load) => sideBySide(load, () => drives[load.kind](stub, meter, load)),
    held: {
      async openIdle(kind, count) {
        for (let opened = 0; opened < count; opened += 1) await openIdle(stub, kind);
      },
      async stall(payloadBytes) {
        const iterator = stub.watch({ payloadBytes })[Symbol.asyncIterator]();
        await iterator.next();
        stalled.push(iterator);
      },
    },
    async close() {
      for (const iterator of stalled) await iterator.return?.();
      await channel.close();
      await app.close();
    },
  };
}

export function mprpcStreams(grpc: boolean): StreamTarget {
  return { startProvider: () => startProvider(grpc), startCaller };
}

export const target: StreamTarget = mprpcStreams(false);
