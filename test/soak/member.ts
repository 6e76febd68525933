import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { programOf } from "./programs.js";
import { type Final, onMessage, type Sample, type Spec } from "./protocol.js";

/** A process that takes longer to start, or to end when it is asked to, hangs. */
const hangMs = 180_000;
const keptLines = 30;

export interface MemberEvents {
  onSample(member: Member, sample: Sample): void;
  onFault(text: string): void;
}

/** One process of the cluster, from its start to its end. */
export class Member {
  readonly spec: Spec;
  readonly role: "provider" | "caller";
  readonly startedMs = Date.now();
  /** Unix time, ms; undefined until then. */
  readyMs: number | undefined;
  endedMs: number | undefined;
  port = 0;
  final: Final | undefined;
  /** A handler of it ran. */
  hasServed = false;
  readonly #child: ChildProcess;
  readonly #events: MemberEvents;
  readonly #exit: Promise<unknown>;
  readonly #lines: string[] = [];
  #expected: "none" | "kill" | "stop" = "none";
  #onReady: () => void = () => {};
  readonly #ready = new Promise<void>((resolve) => {
    this.#onReady = resolve;
  });

  constructor(role: "provider" | "caller", spec: Spec, events: MemberEvents) {
    this.role = role;
    this.spec = spec;
    this.#events = events;
    this.#child = fork(programOf(role), [JSON.stringify(spec)], {
      execArgv: ["--expose-gc"],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", (line) => this.#onLine(line));
    }
    onMessage(this.#child, (message) => {
      if (message.type === "ready") {
        this.port = message.port;
        this.readyMs = Date.now();
        this.#onReady();
      } else if (message.type === "sample") {
        if (message.sample.served > 0) this.hasServed = true;
        this.#events.onSample(this, message.sample);
      } else if (message.type === "fault") this.#fault(message.text);
      else this.final = message.final;
    });
    this.#exit = once(this.#child, "exit").then(([code, signal]) => this.#onExit(code, signal));
  }

  get name(): string {
    return `${this.spec.name} (life ${this.spec.life}, pid ${this.#child.pid})`;
  }

  get alive(): boolean {
    return this.endedMs === undefined;
  }

  /** Resolves when it serves, or calls. */
  async ready(): Promise<void> {
    await this.#within("starts", Promise.race([this.#ready, this.#exit]));
    if (this.readyMs === undefined) throw new Error(`${this.name} did not start: ${this.#lines.join("\n")}`);
  }

  async kill(): Promise<void> {
    this.#expected = "kill";
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  /** Asks it to end, and waits until it has by itself. */
  async stop(): Promise<void> {
    this.#expected = "stop";
    this.#child.kill("SIGTERM");
    await this.#within("ends after SIGTERM", this.#exit);
  }

  #onLine(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > keptLines) this.#lines.shift();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.endedMs = Date.now();
    if (this.#expected === "kill") return;
    const how = `${signal ?? `code ${code}`}: ${this.#lines.join("\n")}`;
    if (this.#expected === "none") this.#fault(`ended by itself, ${how}`);
    else if (code !== 0) this.#fault(`was asked to stop and ended with ${how}`);
    else if (this.final === undefined) this.#fault("was asked to stop and did not say goodbye");
  }

  #fault(text: string): void {
    this.#events.onFault(`${this.name}: ${text}`);
  }

  async #within(what: string, done: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const hang = new Promise<"hangs">((resolve) => {
      timer = setTimeout(() => resolve("hangs"), hangMs);
    });
    const first = await Promise.race([done, hang]);
    clearTimeout(timer);
    if (first !== "hangs") return;
    this.#fault(`hangs: more than ${hangMs} ms until it ${what}; ${this.#lines.join("\n")}`);
    await this.kill();
  }
}
