import {
  type CallOptions,
  Metadata,
  type RpcChannel,
  RpcController,
  RpcError,
  Status,
} from "../../src/index.js";
import type { ManualClock } from "../../src/testing/index.js";
import {
  type Blob,
  type BlobInput,
  ProbeService,
  type ProbeServiceHandler,
  ProbeServiceStub,
  SideServiceStub,
} from "../support/gen/probe.js";
import type { CallRecord, Ledger } from "./ledger.js";

/** What a request asks of its handler, in its `number`. */
export const Work = {
  REPLY: 0,
  METADATA: 1,
  FAIL: 2,
  THROW: 3,
  NEVER: 4,
  LATER: 5,
  /** Answers at length, and has its caller give up while the reply is leaving. */
  ANSWER_TOO_LATE: 6,
} as const;

/** Just over one chunk, so that the message goes in two. */
const largeBytes = 128 * 1024 + 60;
const noise = Buffer.from(Array.from({ length: largeBytes }, (_, i) => (i * 31 + (i >> 8)) & 255));

/** The run that is played now; the provider, which serves all runs, looks here. */
export interface Stage {
  readonly clock: ManualClock;
  ledger: Ledger;
  /** The connection that was to break has broken. */
  broken(): boolean;
  /** How callers of this run give up, by key. */
  giveUp: Map<string, () => void>;
}

/** Handlers that do what the request says and count themselves. */
export function handlersOn(stage: Stage): ProbeServiceHandler {
  const serve: ProbeServiceHandler["echo"] = (request, context) => {
    const { text, data, number } = request;
    stage.ledger.ran(text, data);
    switch (number) {
      case Work.METADATA:
        context.replyMetadata.set("served", text).set("bytes-bin", Buffer.of(1, 2, 3));
        return request;
      case Work.FAIL:
        throw new RpcError(Status.FAILED_PRECONDITION, "as asked", {
          details: [{ type: "probe.Blob", value: Buffer.of(0x18, 7) }],
          metadata: new Metadata({ hint: "ask otherwise" }),
        });
      case Work.THROW:
        throw new Error("as a bug would");
      case Work.NEVER:
        return new Promise<Blob>((resolve) => {
          context.signal.addEventListener("abort", () => resolve(request));
        });
      case Work.LATER:
        return new Promise<Blob>((resolve) => void stage.clock.setTimer(() => resolve(request), 3));
      case Work.ANSWER_TOO_LATE:
        setImmediate(() => stage.giveUp.get(text)?.());
        return { text, data: noise };
      default:
        return request;
    }
  };
  return { echo: serve, relay: serve, note: serve };
}

/** One channel's calls, in an order that every run repeats. */
export class Exchange {
  readonly #stage: Stage;
  readonly #channel: RpcChannel;
  readonly #stub: ProbeServiceStub;
  readonly #side: SideServiceStub;
  readonly #run: string;
  #calls = 0;

  /** `run` has the same length in every run: it goes over the wire. */
  constructor(stage: Stage, channel: RpcChannel, run: string) {
    this.#stage = stage;
    this.#channel = channel;
    this.#stub = new ProbeServiceStub(this.#channel);
    this.#side = new SideServiceStub(this.#channel);
    this.#run = run;
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  /** Fifty calls over the wire mprpc/2, or as many as are begun before the connection breaks. */
  playModern(): Promise<void> {
    const several = (count: number): Promise<CallRecord>[] =>
      Array.from({ length: count }, (_, i) => this.#unary(i * 3));
    return this.#play([
      ...[0, 40, 80, 120, 160].map((size) => () => [this.#unary(size)]),
      () => Array.from({ length: 12 }, (_, i) => this.#unary(i * 25, i % 4 === 0 ? Work.LATER : Work.REPLY)),
      () => [Work.METADATA, Work.METADATA, Work.FAIL, Work.THROW].map((work) => this.#unary(9, work)),
      () => [this.#unknown(), this.#unknown(), this.#unary(3, Work.FAIL)],
      () => Array.from({ length: 6 }, (_, i) => this.#oneway(i * 20)),
      () => [0, 0, 4, 4].map((afterMs) => this.#cancelled(afterMs)),
      () => [this.#controlled(0), this.#controlled(4)],
      () => [1, 4, 9, 9].map((timeoutMs) => this.#unary(7, Work.NEVER, { timeoutMs })),
      // Small calls pass the large ones.
      () => [this.#unary(largeBytes), ...several(2)],
      () => [this.#largeGivenUp(), ...several(2)],
      () => [this.#answeredTooLate(), ...several(2)],
      () => [this.#unary(1, Work.REPLY, { idempotencyKey: "once" })],
    ]);
  }

  /** Fifty calls to a provider of the classic framework: what its wire has no word for is left out. */
  playClassic(): Promise<void> {
    return this.#play([
      ...[0, 10, 20, 30, 40, 50].map((size) => () => [this.#unary(size)]),
      () => Array.from({ length: 20 }, (_, i) => this.#unary(i * 6, i % 4 === 0 ? Work.LATER : Work.REPLY)),
      () => [Work.FAIL, Work.THROW].map((work) => this.#unary(9, work)),
      () => [this.#unknown()],
      () => [0, 4].map((afterMs) => this.#cancelled(afterMs)),
      () => [this.#controlled(4)],
      () => [4, 9].map((timeoutMs) => this.#unary(7, Work.NEVER, { timeoutMs })),
      () => Array.from({ length: 16 }, (_, i) => this.#unary(i * 3)),
    ]);
  }

  async #play(steps: readonly (() => readonly Promise<CallRecord>[])[]): Promise<void> {
    for (const step of steps) {
      await this.#until(step());
      if (this.#stage.broken()) return;
    }
  }

  get calls(): number {
    return this.#calls;
  }

  /** One more call, which must succeed whatever has happened. */
  async recover(): Promise<void> {
    const { ledger } = this.#stage;
    const call = this.#unary(5, Work.REPLY, { waitForReady: true, timeoutMs: 60_000 });
    await this.#until([call]);
    const { error } = await call;
    if (error !== undefined) ledger.fault("run", `there is no recovery: ${error.message}`);
  }

  #key(): string {
    return `${this.#run}.${String(++this.#calls).padStart(2, "0")}`;
  }

  #unary(sizeBytes: number, work: number = Work.REPLY, options: CallOptions = {}): Promise<CallRecord> {
    const key = this.#key();
    const request = { text: key, number: work, data: noise.subarray(0, sizeBytes) };
    // Two methods, and metadata on some.
    const relays = this.#calls % 3 === 0;
    const metadata = this.#calls % 5 === 0 ? { "x-key": key, "x-bytes-bin": Buffer.of(0, 255) } : undefined;
    const all: CallOptions = { timeoutMs: 5000, ...(metadata === undefined ? {} : { metadata }), ...options };
    return this.#watch(request, all.timeoutMs ?? 5000, () =>
      relays ? this.#stub.relay(request, all) : this.#stub.echo(request, all),
    );
  }

  /** Of a service that the provider does not have. */
  #unknown(): Promise<CallRecord> {
    const request = { text: this.#key(), data: noise.subarray(0, 5) };
    return this.#watch(request, 20, () => this.#side.echo(request, { timeoutMs: 20 }));
  }

  #oneway(sizeBytes: number): Promise<CallRecord> {
    const request = { text: this.#key(), data: noise.subarray(0, sizeBytes) };
    const { note } = ProbeService.methods;
    const sent = () => this.#channel.oneway(note, request, { timeoutMs: 5000 }).then(() => undefined);
    return this.#watch(request, 5000, sent, true);
  }

  #cancelled(afterMs: number, work: number = Work.NEVER): Promise<CallRecord> {
    const request = { text: this.#key(), number: work, data: noise.subarray(0, 11) };
    const abort = new AbortController();
    const call = this.#watch(request, 5000, () =>
      this.#stub.echo(request, { timeoutMs: 5000, signal: abort.signal }),
    );
    this.#giveUp(request.text, afterMs, () => abort.abort());
    return call;
  }

  #controlled(afterMs: number): Promise<CallRecord> {
    const request = { text: this.#key(), number: Work.NEVER, data: noise.subarray(0, 13) };
    const controller = new RpcController();
    const call = this.#watch(request, 5000, async () => {
      const reply = await this.#stub.relay(request, controller, { timeoutMs: 5000 });
      if (controller.error !== undefined) throw controller.error;
      return reply;
    });
    this.#giveUp(request.text, afterMs, () => controller.startCancel());
    return call;
  }

  /** Given up when one chunk of it is on its way. */
  #largeGivenUp(): Promise<CallRecord> {
    const request = { text: this.#key(), number: Work.NEVER, data: noise };
    const abort = new AbortController();
    const call = this.#watch(request, 5000, () =>
      this.#stub.echo(request, { timeoutMs: 5000, signal: abort.signal }),
    );
    setImmediate(() => abort.abort());
    return call;
  }

  /** Given up when one chunk of its large reply is on its way. */
  #answeredTooLate(): Promise<CallRecord> {
    return this.#cancelled(8, Work.ANSWER_TOO_LATE);
  }

  #giveUp(key: string, afterMs: number, giveUp: () => void): void {
    this.#stage.giveUp.set(key, giveUp);
    if (afterMs === 0) giveUp();
    else this.#stage.clock.setTimer(giveUp, afterMs);
  }

  #watch(
    request: BlobInput & { text: string; data: Buffer },
    timeoutMs: number,
    call: () => Promise<Blob | undefined>,
    oneway = false,
  ): Promise<CallRecord> {
    const { text: key, data } = request;
    return this.#stage.ledger.watch({ key, data, timeoutMs, oneway }, call);
  }

  async #until(calls: readonly Promise<CallRecord>[]): Promise<void> {
    await turnUntil(this.#stage.clock, Promise.all(calls), () => `${this.#stage.ledger.unsettled}`);
  }
}

/** Time that no call, no retry and no connection takes. */
const hangsAfterMs = 300_000;

/** Turns the event loop until `work` is done; when nothing is under way in it, time passes, in steps that grow. */
export async function turnUntil<T>(clock: ManualClock, work: Promise<T>, state: () => string): Promise<T> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  work.then(finish, finish);
  const endMs = clock.now() + hangsAfterMs;
  for (let turn = 0, stepMs = 1; !done; turn++) {
    await quiet();
    if (done) break;
    if (clock.now() > endMs) throw new Error(`hangs: ${state()}`);
    clock.advance(stepMs);
    // Short deadlines are met to the millisecond.
    if (turn > 40) stepMs = Math.min(stepMs * 1.5, 500);
  }
  return work;
}

/** Resolves when the event loop has nothing to do but wait. */
export async function quiet(): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (process.getActiveResourcesInfo().includes("Immediate"));
}
