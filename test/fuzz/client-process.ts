// Callers that are attacked, in a process of their own. Arguments: the port of the driver, and per slot
// the query of its registry ("" or "?protocol=classic&dialect=le32") and the port of its evil provider.
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { StaticRegistry } from "../../src/registry/static.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { CountingLog } from "./counting-log.js";
import { type Animal, ZooServiceStub } from "./gen/zoo.js";
import { animalOf } from "./zoo.js";

/** What the driver wants of a slot. */
export interface ClientCase {
  calls: number;
  timeoutMs: number;
}

/** What a slot says of the case before, and of the process. */
export interface ClientReport {
  slot: number;
  /** Undefined: it has had none. */
  outcomes: string[] | undefined;
  /** Why a call to the honest provider, on the same channel, went wrong. */
  honest: string | undefined;
  rssBytes: number;
}

const callsInARow = 6;
/** Streams of replies have no deadline unless they are given one. */
const attackedStreamTimeoutMs = 2000;
const [driverPort = "", ...slots] = process.argv.slice(2);
const log = new CountingLog();
const transport = tcpTransport(systemClock);
const runtimeOf = (url: string) => createRuntime({ transport, log, registry: new StaticRegistry(url) });
const driver = new ZooServiceStub(
  new RpcChannel(runtimeOf(`static://127.0.0.1:${driverPort}`), { timeoutMs: Infinity }),
);

async function playSlot(slot: number, query: string, port: string): Promise<void> {
  // Evil and honest providers of one channel, and so of one runtime.
  const url = `static://fuzz.ZooService=127.0.0.1:${port},probe.ProbeService=127.0.0.1:${driverPort}${query}`;
  const runtime = runtimeOf(url);
  let [outcomes, honest]: [string[] | undefined, string | undefined] = [undefined, undefined];
  for (let round = 0; ; round++) {
    const report: ClientReport = { slot, outcomes, honest, rssBytes: process.memoryUsage().rss };
    const { name } = await driver.next({ name: JSON.stringify(report) });
    if (name === "") return;
    const { calls, timeoutMs }: ClientCase = JSON.parse(name);
    const channel = new RpcChannel(runtime, { timeoutMs });
    const text = `${slot}.${round}`;
    [outcomes, honest] = await Promise.all([
      attacked(new ZooServiceStub(channel), calls),
      served(new ProbeServiceStub(channel), text),
    ]);
    await channel.close();
  }
}

/** How the calls ended: `calls` at a time, and as soon as one is answered the next, so that there is always one to hit. */
async function attacked(zoo: ZooServiceStub, calls: number): Promise<string[]> {
  const outcomes: string[] = [];
  const again = async (first: number): Promise<void> => {
    for (let i = first; i < first + callsInARow; i++) {
      const outcome = await outcomeOf(zoo, i);
      outcomes.push(outcome);
      if (outcome.startsWith("UNAVAILABLE")) return;
    }
  };
  await Promise.all(Array.from({ length: calls }, (_, i) => again(i)));
  return outcomes;
}

/** Of every kind, by turns. */
async function callOf(zoo: ZooServiceStub, i: number): Promise<void> {
  const animals = Array.from({ length: 5 }, (_, legs) => animalOf(legs, 0));
  const timeoutMs = attackedStreamTimeoutMs;
  switch (i % 6) {
    case 1:
      return read(zoo.herd({ legs: 20 }, { timeoutMs }));
    case 2:
      return void (await zoo.hold({ name: "held" }));
    case 3:
      return void (await zoo.count(animals));
    case 4:
      return read(zoo.parade(animals, { timeoutMs }));
    default:
      return void (await zoo.echo(animalOf(i, 1), { metadata: { "x-i": `${i}` } }));
  }
}

async function read(stream: AsyncIterable<Animal>): Promise<void> {
  for await (const { legs } of stream) if (!Number.isInteger(legs)) throw new Error(`legs: ${legs}`);
}

async function outcomeOf(zoo: ZooServiceStub, i: number): Promise<string> {
  try {
    await callOf(zoo, i);
    return "OK";
  } catch (error) {
    if (!(error instanceof RpcError)) return `NO RpcError: ${String(error)}`;
    return `${error.codeName} ${error.rawMessage}`;
  }
}

async function served(probe: ProbeServiceStub, text: string): Promise<string | undefined> {
  try {
    const reply = await probe.echo({ text, number: 7 }, { timeoutMs: 20_000 });
    return reply.text === text && reply.number === 7 ? undefined : `got ${JSON.stringify(reply.text)}`;
  } catch (error) {
    return String(error);
  }
}

await Promise.all(
  slots.map((text, slot) => {
    const [query = "", port = ""] = text.split("#");
    return playSlot(slot, query, port);
  }),
);
console.log("done");
// The channel to the driver is all that is left.
process.exit(0);
