import { fileURLToPath } from "node:url";
import {
  Client,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { load } from "@grpc/proto-loader";
import type { Meter } from "../../meter.js";
import {
  checkCount,
  pieceOf,
  type StreamCaller,
  type StreamLoad,
  type StreamProvider,
  type StreamTarget,
  sideBySide,
} from "../target.js";

/** The peer: one insecure channel, and `data` and `drain` events, which cost it less than iterators. */

const protoFile = fileURLToPath(new URL("../../../streams.proto", import.meta.url));

interface Piece {
  data?: Buffer;
}
interface WatchRequest {
  payloadBytes: number;
}
interface PutReply {
  pieces: number;
}
interface Methods {
  Watch: MethodDefinition<WatchRequest, Piece>;
  Put: MethodDefinition<Piece, PutReply>;
  Chat: MethodDefinition<Piece, Piece>;
}

async function streamsService(): Promise<{ definition: ServiceDefinition; methods: Methods }> {
  const definition = (await load(protoFile))["bench.Streams"] as ServiceDefinition;
  const { Watch, Put, Chat } = definition;
  return { definition, methods: { Watch, Put, Chat } as Methods };
}

async function startProvider(): Promise<StreamProvider> {
  let received = 0;
  const server = new Server();
  server.addService((await streamsService()).definition, {
    Watch(call: ServerWritableStream<WatchRequest, Piece>) {
      const { payloadBytes } = call.request;
      if (payloadBytes === 0) {
        call.write({});
        return;
      }
      const piece = pieceOf(payloadBytes);
      const pump = () => {
        while (!call.cancelled && call.write(piece)) {}
      };
      call.on("drain", pump).on("error", () => {});
      pump();
    },
    Put(call: ServerReadableStream<Piece, PutReply>, callback: sendUnaryData<PutReply>) {
      let pieces = 0;
      call.on("data", () => {
        pieces += 1;
        received += 1;
      });
      call.on("end", () => callback(null, { pieces }));
    },
    Chat(call: ServerDuplexStream<Piece, Piece>) {
      call.on("data", (piece: Piece) => {
        if (!call.write(piece)) call.pause();
      });
      call.on("drain", () => call.resume()).on("end", () => call.end());
      call.on("error", () => {});
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    endpoint: `127.0.0.1:${port}`,
    received: () => received,
    close: async () => server.forceShutdown(),
  };
}

class Peer {
  readonly client: Client;
  readonly #methods: Methods;

  constructor(endpoint: string, methods: Methods) {
    this.client = new Client(endpoint, credentials.createInsecure());
    this.#methods = methods;
  }

  openWatch(payloadBytes: number): ClientReadableStream<Piece> {
    const { path, requestSerialize, responseDeserialize } = this.#methods.Watch;
    const request = { payloadBytes };
    return this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  }

  openChat() {
    const { path, requestSerialize, responseDeserialize } = this.#methods.Chat;
    return this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  }

  /** With one message in it. */
  openSpokenChat(): ClientReadableStream<Piece> {
    const call = this.openChat();
    call.write({});
    return call;
  }

  watch(meter: Meter, { payloadBytes }: StreamLoad): Promise<void> {
    const call = this.openWatch(payloadBytes);
    return new Promise((resolve, reject) => {
      call.on("data", () => {
        meter.completed += 1;
        if (!meter.running) call.cancel();
      });
      call.on("error", (error: Error & { code?: number }) =>
        error.code === status.CANCELLED ? resolve() : reject(error),
      );
    });
  }

  put(meter: Meter, { payloadBytes }: StreamLoad): Promise<void> {
    const piece = pieceOf(payloadBytes);
    const { path, requestSerialize, responseDeserialize } = this.#methods.Put;
    let sent = 0;
    return new Promise<PutReply>((resolve, reject) => {
      const call = this.client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        (error, reply?: PutReply) => (error === null && reply !== undefined ? resolve(reply) : reject(error)),
      );
      const pump = () => {
        let hasRoom = true;
        while (hasRoom && meter.running) {
          sent += 1;
          meter.completed += 1;
          hasRoom = call.write(piece);
        }
        if (!meter.running) call.end();
      };
      call.on("drain", pump);
      pump();
    }).then(({ pieces }) => checkCount(sent, pieces));
  }

  chat(meter: Meter, load: StreamLoad): Promise<void> {
    const piece = pieceOf(load.payloadBytes);
    const call = this.openChat();
    let outstanding = load.outstanding ?? 1;
    return new Promise((resolve, reject) => {
      call.on("data", () => {
        meter.completed += 1;
        outstanding -= 1;
        if (meter.running) {
          outstanding += 1;
          call.write(piece);
        } else if (outstanding === 0) call.end();
      });
      call.on("end", resolve).on("error", reject);
      for (let count = outstanding; count > 0; count -= 1) call.write(piece);
    });
  }
}

/** Resolves with the first message. That the stream is cancelled at the end is no failure of it. */
function firstMessage(call: ClientReadableStream<Piece>): Promise<void> {
  return new Promise((resolve, reject) => {
    call.once("data", () => resolve()).on("error", reject);
  });
}

async function startCaller(endpoint: string): Promise<StreamCaller> {
  const peer = new Peer(endpoint, (await streamsService()).methods);
  const drives = { server: "watch", client: "put", bidi: "chat" } as const;
  const held: ClientReadableStream<Piece>[] = [];
  return {
    drive: (meter, load) => sideBySide(load, () => peer[drives[load.kind]](meter, load)),
    held: {
      async openIdle(kind, count) {
        for (let opened = 0; opened < count; opened += 1) {
          const call = kind === "server" ? peer.openWatch(0) : peer.openSpokenChat();
          held.push(call);
          await firstMessage(call);
        }
      },
      async stall(payloadBytes) {
        const call = peer.openWatch(payloadBytes);
        held.push(call);
        await firstMessage(call);
        call.pause();
      },
    },
    async close() {
      for (const call of held) call.cancel();
      peer.client.close();
    },
  };
}

export const target: StreamTarget = { startProvider, startCaller };
