import { type CallOptions, type ClientInterceptor, RpcChannel, RpcController } from "../../src/index.js";
import { type HostProgram, SeededRandom, type SimulatedApp } from "../../src/testing/index.js";
import { type BlobInput, ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import type { CallKind, CallRecord } from "./ledger.js";
import { failsByBug, failsOnPurpose } from "./services.js";
import { StreamCaller } from "./streams.js";
import { recorded, type World } from "./world.js";

const noise = ((): Buffer => {
  const random = SeededRandom.of(1, "noise");
  return Buffer.from(Uint32Array.from({ length: 65_536 }, () => random.word()).buffer);
})();

/** A caller's process: a channel, and a loop of calls that goes on by itself. `current` gets the newest of each host. */
export function callerProgram(world: World, current: Map<string, Caller>): HostProgram {
  const { sim, plan, ledger, sabotage } = world;
  let lives = 0;
  return (host) => {
    ledger.join(host);
    const interceptors = [...(plan.intercepted ? [passes] : []), ...(sabotage.clientInterceptors ?? [])];
    const app = sabotage.callerApp?.(host) ?? host;
    const channel = new RpcChannel(app, { balancer: plan.balancer, interceptors });
    const name = `${host.host}.${++lives}`;
    const streams = new StreamCaller(world, host, channel, name);
    const caller = new Caller(world, host, channel, SeededRandom.of(sim.seed, name), streams);
    current.set(host.host, caller);
    void caller.run(name);
    void caller.streams.run(name);
    return channel;
  };
}

/** Three providers, and three connections to each at most. */
const connectionsMax = 9;

const passes: ClientInterceptor = (next) => async (call) => {
  call.metadata.set("passed", "1");
  return next(call);
};

export class Caller {
  readonly streams: StreamCaller;
  #begun = false;
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #app: SimulatedApp;
  readonly #channel: RpcChannel;
  readonly #stub: ProbeServiceStub;

  constructor(
    world: World,
    app: SimulatedApp,
    channel: RpcChannel,
    random: SeededRandom,
    streams: StreamCaller,
  ) {
    this.streams = streams;
    this.#world = world;
    this.#app = app;
    this.#channel = channel;
    this.#stub = new ProbeServiceStub(channel);
    this.#random = random;
  }

  async run(name: string): Promise<void> {
    const { callsPerCaller, callGapMs } = this.#world.plan;
    for (let number = 1; number <= callsPerCaller; number++) {
      await this.#app.sleep(this.#random.between(0, callGapMs * 2));
      void this.#call(`${name}.${number}`);
    }
    this.#begun = true;
  }

  /** It has begun all its calls. */
  get done(): boolean {
    return this.#begun && this.streams.done;
  }

  /** Makes one call of a kind that chance picks. */
  #call(key: string): Promise<void> {
    const random = this.#random;
    const { plan } = this.#world;
    const rolling = plan.mode === "rolling";
    const kind = random.pick<CallKind>([
      "unary",
      "unary",
      "unary",
      "controller",
      "oneway",
      "nested",
      "ready",
    ]);
    const size = random.chance(0.06) ? random.integer(65_536, 200_000) : random.integer(0, 300);
    const start = random.integer(0, noise.length - size);
    const data = noise.subarray(start, start + size);
    const timeoutMs = rolling ? 30_000 : random.pick([1, 30, 400, 3000, 3000, plan.starves ? 400 : Infinity]);
    const number = random.pick([0, 0, 0, 5, random.integer(1, 300), failsOnPurpose, failsByBug]);
    const cancelAfterMs = !rolling && random.chance(0.15) ? random.between(0, 60) : undefined;
    const record = this.#world.ledger.begin({
      ...{ key, kind, caller: this.#app, body: data },
      deadlineMs: kind === "oneway" ? Infinity : this.#world.sim.nowMs + timeoutMs,
    });
    return this.#make(record, { text: key, data, number }, { timeoutMs, cancelAfterMs });
  }

  #make(
    record: CallRecord,
    request: BlobInput,
    { timeoutMs, cancelAfterMs }: { timeoutMs: number; cancelAfterMs: number | undefined },
  ): Promise<void> {
    const { ledger } = this.#world;
    const options: CallOptions = {
      timeoutMs,
      metadata: { key: record.key },
      onMetadata: (metadata) => {
        const key = metadata.getText("key");
        if (key !== undefined && key !== record.key)
          ledger.fault(`${record.key} was given metadata of ${key}`);
      },
      ...(this.#random.chance(0.2) ? { idempotencyKey: record.key } : {}),
      ...(record.kind === "ready" || this.#random.chance(0.2) ? { waitForReady: true } : {}),
    };
    if (record.kind === "controller") return this.#withController(record, request, options, cancelAfterMs);
    const abort = new AbortController();
    if (cancelAfterMs !== undefined) this.#app.clock.setTimer(() => abort.abort(), cancelAfterMs);
    const all = { ...options, ...(cancelAfterMs === undefined ? {} : { signal: abort.signal }) };
    if (record.kind === "oneway") {
      const sent = this.#channel.oneway(ProbeService.methods.note, request, all);
      return recorded(
        ledger,
        record,
        sent.then(() => undefined),
      );
    }
    const call = record.kind === "nested" ? this.#stub.relay(request, all) : this.#stub.echo(request, all);
    return recorded(ledger, record, call);
  }

  async #withController(
    record: CallRecord,
    request: BlobInput,
    options: CallOptions,
    cancelAfterMs: number | undefined,
  ): Promise<void> {
    const { ledger } = this.#world;
    const controller = new RpcController();
    if (cancelAfterMs !== undefined) this.#app.clock.setTimer(() => controller.startCancel(), cancelAfterMs);
    const reply = await this.#stub.echo(request, controller, options);
    if (controller.error !== undefined) ledger.fail(record, controller.error);
    else if (reply === undefined) ledger.fault(`${record.key} has neither a reply nor an error`);
    else ledger.succeed(record, reply);
  }

  /** A call that must succeed, now that all is well again: the system has recovered. */
  async recovers(): Promise<void> {
    const grpc = this.#world.plan.settings.provider?.protocols?.includes("mprpc") === false;
    // Over gRPC nothing is pinged that rests: it takes a call on each connection to find out that one has fallen silent.
    let good = 0;
    for (let tries = 0; grpc && good < connectionsMax && tries < 60; tries++) {
      good = (await this.#wakes(tries)) ? good + 1 : 0;
    }
    const key = `${this.#app.host}.recovered`;
    const timeoutMs = 20_000;
    const record = this.#world.ledger.begin({
      ...{ key, kind: "recovery", caller: this.#app, body: noise.subarray(0, 100) },
      deadlineMs: this.#world.sim.nowMs + timeoutMs,
    });
    const options = { timeoutMs, waitForReady: true };
    await recorded(
      this.#world.ledger,
      record,
      this.#stub.echo({ text: key, data: noise.subarray(0, 100) }, options),
    );
  }

  /** Whether an ordinary call succeeds. */
  async #wakes(tries: number): Promise<boolean> {
    const key = `${this.#app.host}.woken.${tries}`;
    const { ledger, sim } = this.#world;
    const body = noise.subarray(0, 100);
    const deadlineMs = sim.nowMs + 20_000;
    const record = ledger.begin({ key, kind: "nested", caller: this.#app, body, deadlineMs });
    const call = this.#stub.echo({ text: key, data: body }, { timeoutMs: 20_000 });
    await recorded(ledger, record, call);
    return call.then(
      () => true,
      () => false,
    );
  }
}
