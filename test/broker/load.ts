import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { Broker } from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { type Backlog, openBacklog } from "./backlog.js";
import { isPoison, loadTopic } from "./load-topic.js";
import { type BrokerServer, NatsServer, startServer } from "./servers.js";

export interface LoadOptions {
  readonly driver: "redis" | "nats";
  readonly messages: number;
  readonly members: number;
  /** A member is killed (kill -9) each time when about so many more messages were handled. */
  readonly killEvery: number;
  readonly restarts: number;
  /** nats: each kill leaves the server without knowledge of how far groups have come, as one that comes while it writes that. */
  readonly forget: boolean;
  readonly log: (text: string) => void;
}

export interface LoadReport {
  /** Publishes that resolved: all of them, some after more than one try. */
  readonly published: number;
  readonly failedPublishes: number;
  /** Numbers whose publish resolved and that no handler finished, poison aside. */
  readonly lost: number;
  readonly duplicates: number;
  readonly poison: number;
  /** Different messages among the dead letters. */
  readonly deadLetters: number;
  /** Dead letters of a message that has one already: a publish that failed, and was made again, may have been kept both times. */
  readonly deadTwice: number;
  /** Dead letters of messages that are no poison, and poison without any. */
  readonly deadWrong: number;
  readonly kills: number;
  readonly restarts: number;
  /** From the first publish until nothing waited any more. */
  readonly seconds: number;
  readonly perSecond: number;
  /** Heap of the slow member, bytes: after its first seconds, and the most. */
  readonly slowHeapFirst: number;
  readonly slowHeapMost: number;
}

const publishersMax = 256;

/** What members have noted, read as it grows. */
class Notes {
  readonly counts: Uint16Array;
  finished = 0;
  duplicates = 0;
  readonly #files: Array<{ readonly handle: number; at: number }> = [];

  constructor(messages: number) {
    this.counts = new Uint16Array(messages);
  }

  add(file: string): void {
    this.#files.push({ handle: openSync(file, "a+"), at: 0 });
  }

  read(): void {
    for (const file of this.#files) {
      const bytes = Buffer.alloc(fstatSync(file.handle).size - file.at);
      const got = readSync(file.handle, bytes, 0, bytes.length, file.at);
      const whole = got - (got % 4);
      file.at += whole;
      for (let at = 0; at < whole; at += 4) this.#note(bytes.readUInt32LE(at));
    }
  }

  #note(number: number): void {
    const count = (this.counts[number] ?? 0) + 1;
    this.counts[number] = count;
    if (count === 1) this.finished++;
    else this.duplicates++;
  }

  close(): void {
    for (const { handle } of this.#files) closeSync(handle);
  }
}

/** Counts up, and lets others wait until it has come so far. */
class Counter {
  value = 0;
  readonly #waiting = new Set<{ readonly value: number; readonly resolve: () => void }>();

  add(count: number): void {
    this.value += count;
    for (const one of this.#waiting) {
      if (this.value < one.value) continue;
      this.#waiting.delete(one);
      one.resolve();
    }
  }

  reached(value: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add({ value, resolve });
      this.add(0);
    });
  }
}

interface MembersParts {
  readonly folder: string;
  readonly program: string;
  readonly url: string;
  readonly notes: Notes;
}

/** The members of both groups: as many workers as are wanted, one of them killed now and then, and one slow member. */
class Members {
  readonly handled = new Counter();
  readonly heaps: number[] = [];
  kills = 0;
  readonly #parts: MembersParts;
  readonly #workers: Child[] = [];
  #slow: Child | undefined;
  #started = 0;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  async start(count: number): Promise<void> {
    this.#workers.push(
      ...(await Promise.all(Array.from({ length: count }, () => this.#startOne("workers", 0)))),
    );
    this.#slow = await this.#startOne("slow", 5);
  }

  async #startOne(group: string, delayMs: number): Promise<Child> {
    const { folder, program, url, notes } = this.#parts;
    const file = path.join(folder, `notes-${this.#started++}`);
    if (group === "workers") notes.add(file);
    const args = ["--expose-gc", program, url, group, file, String(delayMs)];
    // One that comes while the server reads its data in gives up, as a supervisor would see: it is started again.
    for (let tries = 1; ; tries++) {
      const child = new Child(process.execPath, args);
      child.process.stdout?.on("data", (text) => this.#onText(String(text)));
      try {
        await child.line(/^joined/);
        return child;
      } catch (error) {
        await child.kill();
        if (tries === 20) throw error;
      }
    }
  }

  #onText(text: string): void {
    for (const [, what, number] of text.matchAll(/^(noted|heap) (\d+)/gm)) {
      if (what === "noted") this.handled.add(Number(number));
      else this.heaps.push(Number(number));
    }
  }

  /** Kills one of the workers, and starts another, each time when about `every` more messages were handled, until `over` resolves. */
  async killUntil(over: Promise<void>, every: number): Promise<void> {
    let isOver = false;
    const end = over.then(() => {
      isOver = true;
    });
    for (;;) {
      await Promise.race([end, this.handled.reached(this.handled.value + every * (0.5 + Math.random()))]);
      if (isOver) return;
      const at = Math.floor(Math.random() * this.#workers.length);
      await this.#workers[at]?.kill("SIGKILL");
      this.kills++;
      this.#workers[at] = await this.#startOne("workers", 0);
    }
  }

  async kill(): Promise<void> {
    for (const one of [...this.#workers, this.#slow]) await one?.kill();
  }
}

/** Publishes 0 to `messages` - 1, each until the broker has it. */
class Publishers {
  readonly published = new Counter();
  failed = 0;
  readonly #broker: Broker;
  readonly #log: (text: string) => void;
  #up = true;
  #onUp: Array<() => void> = [];

  constructor(broker: Broker, log: (text: string) => void) {
    this.#broker = broker;
    this.#log = log;
    broker.events.on("disconnected", () => {
      this.#up = false;
    });
    broker.events.on("connected", () => {
      this.#up = true;
      for (const resolve of this.#onUp.splice(0)) resolve();
    });
  }

  async run(messages: number): Promise<void> {
    let next = 0;
    const loop = async (): Promise<void> => {
      while (next < messages) await this.#publish(next++);
    };
    await Promise.all(Array.from({ length: publishersMax }, loop));
  }

  async #publish(number: number): Promise<void> {
    for (;;) {
      try {
        await this.#broker.publish(loadTopic, { number, text: "a message of the load" });
        this.published.add(1);
        return;
      } catch (error) {
        if (this.failed++ % publishersMax === 0) this.#log(`a publish failed: ${String(error)}`);
        await this.#connected();
      }
    }
  }

  /** Resolves in another turn of the event loop, and not before the broker is there. */
  #connected(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#up) setImmediate(resolve);
      else this.#onUp.push(resolve);
    });
  }
}

/** The server is killed, and started again when the broker has noticed. */
async function restart(server: BrokerServer, broker: Broker, forget: boolean): Promise<void> {
  const noticed = new Promise<void>((resolve) => {
    const off = broker.events.on("disconnected", () => {
      off();
      resolve();
    });
  });
  await server.kill();
  await noticed;
  if (forget && server instanceof NatsServer) await server.forget();
  await server.start();
}

/** A group whose state is the same for so long will not end, ms. */
const stuckMs = 60_000;

/** Resolves when nothing of the group waits any more: what was not handled by then is lost. Resolves as well when it is stuck. */
async function settled(backlog: Backlog, members: Members, log: (text: string) => void): Promise<void> {
  let [seen, sinceMs] = [-1, performance.now()];
  for (;;) {
    if (await backlog.isEmpty().catch(() => false)) return;
    const { value } = members.handled;
    if (value !== seen) {
      [seen, sinceMs] = [value, performance.now()];
      log(`handled ${value}`);
    } else if (performance.now() - sinceMs > stuckMs) {
      log("the group is stuck");
      return;
    }
    // A server tells nobody that a group has nothing to do: it is asked again.
    await setTimeout(200);
  }
}

/** Publishes, while members are killed at random and the server is restarted, and counts what became of every message. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { driver, messages, log } = options;
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-load-"));
  const program = compiled(new URL("load-member.ts", import.meta.url));
  // With the default, everysec, Redis holds back what it writes while the disk is busy with an fsync, and has answered by then.
  const server = await startServer(driver, ...(driver === "redis" ? ["--appendfsync", "always"] : []));
  const url = `${driver}://127.0.0.1:${server.port}`;
  await using app = createRuntime({ log: silentLogger });
  const broker = new Broker(app, { url });
  const notes = new Notes(messages);
  const members = new Members({ folder, program, url, notes });
  let backlog: Backlog | undefined;
  try {
    await members.start(options.members);
    backlog = await openBacklog(driver, server.port, loadTopic.name, "workers");
    const startMs = performance.now();
    const publishers = new Publishers(broker, log);
    const restarter = async (): Promise<void> => {
      for (let done = 1; done <= options.restarts; done++) {
        await publishers.published.reached(Math.floor((messages * done) / (options.restarts + 1)));
        await restart(server, broker, options.forget);
        log(`the server was restarted at ${publishers.published.value}`);
      }
    };
    const work = async (): Promise<void> => {
      await Promise.all([publishers.run(messages), restarter()]);
      log(`published ${messages} in ${Math.round(performance.now() - startMs)} ms`);
      await settled(backlog as Backlog, members, log);
    };
    const working = work();
    await Promise.all([working, members.killUntil(working, options.killEvery)]);
    const seconds = (performance.now() - startMs) / 1000;
    notes.read();
    const dead: number[] = [];
    for await (const letter of broker.deadLetters(loadTopic, "workers")) dead.push(letter.decode().number);
    return {
      ...{ published: publishers.published.value, failedPublishes: publishers.failed },
      ...{ kills: members.kills, restarts: options.restarts },
      ...countsOf(messages, notes, dead),
      ...{ seconds, perSecond: messages / seconds, ...heapsOf(members.heaps) },
    };
  } finally {
    await members.kill();
    notes.close();
    await backlog?.close();
    await broker.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function countsOf(messages: number, notes: Notes, dead: readonly number[]) {
  const poison = Array.from({ length: messages }, (_, i) => i).filter(isPoison);
  const given = new Set(dead);
  const missing = poison.filter((number) => !given.has(number)).length;
  const wrong = dead.filter((number) => !isPoison(number)).length;
  return {
    lost: messages - poison.length - notes.finished,
    duplicates: notes.duplicates,
    poison: poison.length,
    deadLetters: given.size,
    deadTwice: dead.length - given.size,
    deadWrong: missing + wrong,
  };
}

/** Without the first two, in which the member is warming up. */
function heapsOf(heaps: readonly number[]) {
  const later = heaps.slice(2);
  return { slowHeapFirst: later[0] ?? 0, slowHeapMost: Math.max(...later, 0) };
}
