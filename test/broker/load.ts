import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Broker } from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime } from "../../src/testing/index.js";
import { Child } from "../tools/child.js";
import { compiled } from "../tools/compiled.js";
import { isPoison, loadTopic } from "./load-topic.js";
import { startServer } from "./servers.js";

export interface LoadOptions {
  readonly driver: "redis" | "nats";
  readonly messages: number;
  readonly members: number;
  /** Between one kill -9 of a member and the next, ms. */
  readonly killEveryMs: number;
  readonly restarts: number;
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

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Publishes, while members are killed at random and the server is restarted, and counts what became of every message. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { driver, messages, log } = options;
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-load-"));
  const memberFile = compiled(new URL("load-member.ts", import.meta.url));
  const server = await startServer(driver);
  const url = `${driver}://127.0.0.1:${server.port}`;
  await using app = createRuntime({ log: silentLogger });
  const broker = new Broker(app, { url });
  const notes = new Notes(messages);
  const members: Child[] = [];
  const heaps: number[] = [];
  let started = 0;
  const startMember = async (group: string, delayMs = 0): Promise<Child> => {
    const file = path.join(folder, `notes-${started++}`);
    if (group === "workers") notes.add(file);
    const args = ["--expose-gc", memberFile, url, group, file, String(delayMs)];
    // One that comes while the server reads its data in gives up, as a supervisor would see: it is started again.
    for (let tries = 1; ; tries++) {
      const child = new Child(process.execPath, args);
      try {
        await child.line(/^joined/);
        return child;
      } catch (error) {
        await child.kill();
        if (tries === 20) throw error;
      }
    }
  };
  try {
    members.push(
      ...(await Promise.all(Array.from({ length: options.members }, () => startMember("workers")))),
    );
    const slow = await startMember("slow", 5);
    slow.process.stdout?.on("data", (text) => {
      const heap = /heap (\d+)/.exec(String(text))?.[1];
      if (heap !== undefined) heaps.push(Number(heap));
    });
    const startMs = performance.now();
    let next = 0;
    let published = 0;
    let failedPublishes = 0;
    const publishAll = async (): Promise<void> => {
      while (next < messages) {
        const number = next++;
        for (;;) {
          try {
            await broker.publish(loadTopic, { number, text: "a message of the load" });
            break;
          } catch (error) {
            if (failedPublishes++ % 256 === 0) log(`a publish failed: ${String(error)}`);
            await sleep(20);
          }
        }
        published++;
      }
    };
    let done = false;
    let kills = 0;
    const killer = (async () => {
      while (!done) {
        await sleep(options.killEveryMs * (0.5 + Math.random()));
        if (done) return;
        const at = Math.floor(Math.random() * members.length);
        await members[at]?.kill("SIGKILL");
        kills++;
        members[at] = await startMember("workers");
      }
    })();
    let restarts = 0;
    const restarter = (async () => {
      while (restarts < options.restarts) {
        while (published < (messages * (restarts + 1)) / (options.restarts + 1)) await sleep(20);
        await server.restart(100);
        restarts++;
        log(`the server was restarted at ${published}`);
      }
    })();
    await Promise.all([...Array.from({ length: publishersMax }, publishAll), restarter]);
    log(`published ${published} in ${Math.round(performance.now() - startMs)} ms`);
    const poison = Array.from({ length: messages }, (_, i) => i).filter(isPoison);
    const wanted = messages - poison.length;
    const letters = broker.deadLetters(loadTopic, "workers");
    const readDead = async (): Promise<number[]> => {
      const numbers: number[] = [];
      for await (const letter of letters) numbers.push(letter.decode().number);
      return numbers;
    };
    // Until nothing changes any more: what is lost is never found.
    let dead: number[] = [];
    for (let last = "", still = 0; still < 15; await sleep(1000)) {
      notes.read();
      dead = await readDead().catch(() => dead);
      const state = `${notes.finished} ${notes.duplicates} ${dead.length}`;
      still = state === last ? still + 1 : 0;
      if (still === 0)
        log(`finished ${notes.finished} of ${wanted}, dead ${dead.length} of ${poison.length}`);
      last = state;
      if (notes.finished >= wanted && dead.length >= poison.length) break;
    }
    const perSecond = (messages * 1000) / (performance.now() - startMs);
    done = true;
    await killer;
    // What was taken twice may come to its end a little later.
    await sleep(500);
    notes.read();
    dead = await readDead();
    const given = new Set(dead);
    const missing = poison.filter((number) => !given.has(number)).length;
    const wrong = dead.filter((number) => !isPoison(number)).length;
    const [slowHeapFirst = 0] = heaps.slice(2);
    return {
      ...{ published, failedPublishes, kills, restarts, perSecond, slowHeapFirst },
      lost: wanted - notes.finished,
      duplicates: notes.duplicates,
      poison: poison.length,
      deadLetters: given.size,
      deadTwice: dead.length - given.size,
      deadWrong: missing + wrong,
      slowHeapMost: Math.max(...heaps.slice(2), 0),
    };
  } finally {
    for (const member of members) await member.kill();
    notes.close();
    await broker.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}
