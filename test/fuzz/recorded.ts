import { RpcChannel } from "../../src/client/channel.js";
import { type ClassicDialect, classicDialects } from "../../src/protocol/classic/classic-wire.js";
import { FrameHeader } from "../../src/protocol/mprpc/wire/header.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime, ManualClock, MemoryNetwork } from "../../src/testing/index.js";
import { hex, vectors } from "../protocol/mprpc/wire/vectors.js";
import { seeded } from "../support/async.js";
import { type AnimalInput, ZooService, ZooServiceStub } from "./gen/zoo.js";
import { TapTransport } from "./tap.js";
import { animalOf, createZoo } from "./zoo.js";

/** Bytes of real exchanges, frame by frame: what every mutation starts from. The same in every run. */
export interface Recorded {
  /** Caller to provider, on one connection, in order. */
  readonly asked: readonly Buffer[];
  /** Provider to caller. */
  readonly answered: readonly Buffer[];
  readonly classic: ReadonlyMap<ClassicDialect, { requests: readonly Buffer[]; replies: readonly Buffer[] }>;
  /** Frames of the golden vectors, chunks and all: material to insert. */
  readonly golden: readonly Buffer[];
}

/** The frames of `bytes`, which must be whole ones. */
export function splitFrames(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  const header = new FrameHeader();
  for (let at = 0; at < bytes.length; ) {
    const bodyAt = at + 4 + bytes.readUInt32LE(at);
    const wrong = header.read(bytes, at + 4, bodyAt);
    if (wrong !== undefined) throw new Error(`recorded bytes are no frames: ${wrong}`);
    frames.push(Buffer.from(bytes.subarray(at, bodyAt + header.bodySize)));
    at = bodyAt + header.bodySize;
  }
  return frames;
}

async function start(protocol: string, port: number) {
  const transport = new TapTransport(new MemoryNetwork());
  const random = seeded(1);
  const parts = { clock: new ManualClock(), transport, random };
  const provider = new RpcProvider(
    createRuntime({ ...parts, settings: { provider: { listen: { host: "127.0.0.1", port } } } }),
  );
  // Who holds is let go by a cancel alone, or at once: no time of the machine may show in what is recorded.
  const holdMs = protocol === "" ? 600_000 : 0;
  provider.notifyService(ZooService, createZoo({ holdMs }).handlers);
  await provider.start();
  const registry = new StaticRegistry(`static://127.0.0.1:${port}${protocol}`);
  const runtime = createRuntime({ ...parts, registry });
  const channel = new RpcChannel(runtime);
  return { transport, provider, channel, runtime, stub: new ZooServiceStub(channel) };
}

/** Everything a caller can do, with a real provider that answers. */
async function recordMprpc(): Promise<Pick<Recorded, "asked" | "answered">> {
  const { transport, provider, channel, runtime, stub } = await start("", 7001);
  await stub.echo(animalOf(1));
  await stub.echo(animalOf(2, 1), {
    timeoutMs: 700,
    metadata: { "x-tenant": "42", "x-bin": Buffer.of(1, 2) },
  });
  await stub.echo({}, { timeoutMs: Infinity, idempotencyKey: "once" });
  await stub.refuse({ name: "dodo" }).catch(() => {});
  await channel.oneway(ZooService.methods.echo, animalOf(3, 1));
  const abort = new AbortController();
  const held = stub.hold({ name: "held" }, { signal: abort.signal }).catch(() => {});
  await stub.echo({ name: "beside it" });
  abort.abort();
  await held;
  await Promise.all([1, 2, 3].map((legs) => stub.echo({ legs, names: ["a", "b"] })));
  await recordStreams(stub);
  // Over 128 KiB: both ways in chunks.
  await stub.echo({ photo: Buffer.alloc(140_000, 5) });
  await provider.shutdown();
  await channel.close();
  await runtime.close();
  const [tape] = transport.tapes;
  if (tape === undefined) throw new Error("nothing was recorded");
  return {
    asked: splitFrames(Buffer.concat(tape.sent)),
    answered: splitFrames(Buffer.concat(tape.received)),
  };
}

/** The three kinds: small messages, announced ones and their chunks, credit, the ends of both sides, and a cancel. */
async function recordStreams(stub: ZooServiceStub): Promise<void> {
  const animals = (many: number, photo = Buffer.alloc(0)): AnimalInput[] =>
    Array.from({ length: many }, (_, legs) => ({ legs, photo }));
  const read = async (stream: AsyncIterable<unknown>, most = Infinity): Promise<void> => {
    let many = 0;
    for await (const _ of stream) if (++many >= most) break;
  };
  await read(stub.herd({ legs: 5, photo: Buffer.of(1) }));
  // Beyond the window: announced, and sent in chunks as credit comes.
  await read(stub.herd({ legs: 1, photo: Buffer.alloc(300_000, 1) }));
  await stub.count(animals(3));
  await stub.count(animals(2, Buffer.alloc(20_000, 2)));
  await read(stub.parade(animals(3, Buffer.of(3))));
  await read(stub.parade(animals(50)), 1);
}

async function recordClassic(dialect: ClassicDialect, port: number) {
  const { transport, provider, channel, runtime, stub } = await start(
    `?protocol=classic&dialect=${dialect}`,
    port,
  );
  await stub.echo(animalOf(1, 1));
  await stub.echo({ name: "zhang san", legs: 2 });
  await stub.hold({ name: "held" }).catch(() => {});
  await stub.grow({ legs: 900 });
  await provider.shutdown();
  await channel.close();
  await runtime.close();
  const joined = (side: "sent" | "received"): Buffer[] =>
    transport.tapes.map((tape) => Buffer.concat(tape[side])).filter((bytes) => bytes.length > 0);
  return { requests: joined("sent"), replies: joined("received") };
}

export async function record(): Promise<Recorded> {
  const classic = new Map<ClassicDialect, { requests: Buffer[]; replies: Buffer[] }>();
  let port = 7002;
  for (const dialect of classicDialects) classic.set(dialect, await recordClassic(dialect, port++));
  const golden = [...vectors.frames, ...vectors.decodeOnly].map((vector) => hex(vector.hex));
  return { ...(await recordMprpc()), classic, golden };
}
