import { type App, type CallEmitter, RpcError, type RpcProvider } from "mprpc";
import { runtimeOf } from "../../src/runtime/app.js";
import type { Blob } from "../support/gen/probe.js";
import type { Monitor } from "./child.js";
import type { LedgerPen, Outcome } from "./ledger.js";
import { type Final, tell } from "./protocol.js";

/** `number` of a request tells its handler what to do: to fail at once, to fail by a bug, or to take so many ms. */
export const failsOnPurpose = -1;
export const failsByBug = -2;

/** The metadata key that carries a call's key there and back. */
export const keyMetadata = "soak-key";

/** A call that has not ended so long after its deadline never will; a machine that stalls must not look like that. */
const overdueMs = 15_000;

export function parseKey(key: string): { life: number; call: number } {
  const [life, call] = key.split(":").map(Number);
  if (!Number.isInteger(life) || !Number.isInteger(call)) throw new Error(`"${key}" is no key of a call`);
  return { life: life as number, call: call as number };
}

/** How a call is followed from its begin to its end. */
export interface CallEntry {
  key: string;
  /** Awaits the call, notes its end in the ledger and checks that the reply is the call's own; rethrows its error. */
  settle<T extends Partial<Blob> | undefined>(reply: Promise<T>, request: Partial<Blob>): Promise<T>;
}

/** The calls a process makes: each must end, once. Keeps nothing of those that have. */
export class CallBook {
  readonly #life: number;
  readonly #pen: LedgerPen;
  readonly #monitor: Monitor;
  /** Calls that have not ended, with the time they must have by. */
  readonly #open = new Map<number, { kind: string; untilMs: number }>();
  #begun = 0;
  #settled = 0;
  #started = 0;
  #ended = 0;
  #lastOkMs = performance.now();
  #longestGapMs = 0;

  constructor(life: number, pen: LedgerPen, monitor: Monitor) {
    this.#life = life;
    this.#pen = pen;
    this.#monitor = monitor;
  }

  /** A second witness: the framework's own events. */
  listen(events: CallEmitter): void {
    events.on("clientStart", () => void this.#started++);
    events.on("clientEnd", () => void this.#ended++);
  }

  get open(): number {
    return this.#open.size;
  }

  /** The longest time without a call that succeeded since this was last asked. */
  takeUnservedMs(): number {
    const gapMs = Math.max(this.#longestGapMs, performance.now() - this.#lastOkMs);
    this.#longestGapMs = 0;
    return gapMs;
  }

  begin(kind: string, timeoutMs: number): CallEntry {
    const call = ++this.#begun;
    const key = `${this.#life}:${call}`;
    this.#open.set(call, { kind, untilMs: performance.now() + timeoutMs + overdueMs });
    return {
      key,
      settle: async (reply, request) => {
        try {
          const value = await reply;
          this.#settle(call, kind, kind === "oneway" ? "sent" : "ok", "OK", "yes", "");
          if (value !== undefined) this.#checkReply(key, value, request);
          return value;
        } catch (error) {
          const { codeName, executed, message } = RpcError.from(error);
          if (!(error instanceof RpcError))
            tell({ type: "fault", text: `${key} (${kind}) failed with ${error}` });
          this.#settle(call, kind, executed, codeName, executed, message);
          throw error;
        }
      },
    };
  }

  #settle(call: number, kind: string, outcome: Outcome, code: string, executed: string, text: string): void {
    if (!this.#open.delete(call))
      tell({ type: "fault", text: `${this.#life}:${call} (${kind}) ended twice` });
    this.#settled++;
    this.#pen.end(call, outcome);
    this.#monitor.ended(kind, code, executed, text);
    if (code !== "OK") return;
    const nowMs = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastOkMs);
    this.#lastOkMs = nowMs;
  }

  #checkReply(key: string, reply: Partial<Blob>, request: Partial<Blob>): void {
    const fault = (text: string) => tell({ type: "fault", text: `${key}: ${text}` });
    if (reply.text !== request.text) fault(`was given the reply to ${reply.text}`);
    const [sent, came] = [request.data ?? Buffer.alloc(0), reply.data ?? Buffer.alloc(0)];
    if (!sent.equals(came)) fault(`${sent.length} bytes were sent, and ${came.length} others came back`);
  }

  /** Tells of calls whose deadline passed long ago. */
  findOverdue(): void {
    const nowMs = performance.now();
    for (const [call, { kind, untilMs }] of this.#open) {
      if (nowMs < untilMs) continue;
      tell({
        type: "fault",
        text: `${this.#life}:${call} (${kind}) has not ended ${overdueMs} ms after its deadline`,
      });
      this.#open.delete(call);
    }
  }

  final(app: App, provider?: RpcProvider): Final {
    return {
      begun: this.#begun,
      settled: this.#settled,
      started: this.#started,
      ended: this.#ended,
      inFlight: this.#open.size + (provider?.inFlight ?? 0),
      connections: provider?.connections ?? 0,
      deadlines: runtimeOf("soak", app).wheel.size,
    };
  }
}
