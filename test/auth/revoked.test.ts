// A call is judged again when its request is whole: what was taken away meanwhile counts, however the caller spreads its bytes.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { TokenIdentity } from "../../src/auth/authenticator.js";
import { parsePolicyFile } from "../../src/auth/policy.js";
import { Status } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import type { Connection, Transport } from "../../src/transport/transport.js";
import { deferred, failure } from "../support/async.js";
import type { ClusterOptions, Over } from "../support/cluster.js";
import { ForwardedConnection } from "../support/forwarded-connection.js";
import { FlowServiceStub } from "../support/gen/flow.js";
import { ProbeServiceStub } from "../support/gen/probe.js";
import { canary } from "../tools/leaks/secrets.js";
import { nameIn, startGuarded, token } from "./guarded.js";

/** Passes on so many bytes once it is told to hold, and the rest when it is told to let go. */
class Holding {
  #room = Infinity;
  #waiting: Array<() => void> = [];
  readonly #inner: Transport;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  holdAfter(bytes: number): void {
    this.#room = bytes;
  }

  letGo(): void {
    this.#room = Infinity;
    for (const write of this.#waiting.splice(0)) write();
  }

  pass(inner: Connection, data: Uint8Array): boolean {
    const now = data.subarray(0, this.#room);
    this.#room -= now.length;
    if (now.length === data.length) return inner.write(data);
    if (now.length > 0) inner.write(now);
    // Its memory may be used again.
    const later = Buffer.from(data.subarray(now.length));
    this.#waiting.push(() => inner.write(later));
    return true;
  }

  get transport(): Transport {
    const inner = this.#inner;
    const connect: Transport["connect"] = async (address, options) =>
      new HeldConnection(await inner.connect(address, options), this);
    return {
      connect,
      listen: (...all) => inner.listen(...all),
      localHostTowards: (to) => inner.localHostTowards(to),
    };
  }
}

class HeldConnection extends ForwardedConnection {
  readonly #holding: Holding;

  constructor(inner: Connection, holding: Holding) {
    super(inner);
    this.#holding = holding;
  }

  override write(data: Uint8Array): boolean {
    return this.#holding.pass(this.inner, data);
  }
}

let writes = 0;
function put(file: string, text: string): void {
  const draft = `${file}.${writes++}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

type Answer = TokenIdentity | string | undefined;
type AnswerOf = (name: string, wallMs: number) => Answer | Promise<Answer>;

/** A provider with files of rules and of tokens, and an authenticator whose answers are the test's. Its caller can stop in the middle of a request. */
async function start(over: Over, answerOf: AnswerOf, more = {}) {
  const home = mkdtempSync(path.join(tmpdir(), "mprpc-auth-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const [rules, tokensFile] = [path.join(home, "authz.conf"), path.join(home, "tokens")];
  put(rules, "* = token:*");
  put(tokensFile, `carol:${canary()}`);
  const asked: string[] = [];
  const signals: AbortSignal[] = [];
  const policy = { file: rules, parse: (text: string) => parsePolicyFile(text, rules) };
  const options: ClusterOptions = {
    over,
    settings: { auth: { policy, tokensFile, checkTimeoutMs: 20_000 }, provider: more },
  };
  const pair = await startGuarded(
    {
      authenticators: [
        async (metadata, _peer, signal) => {
          asked.push(nameIn(metadata));
          signals.push(signal);
          return answerOf(nameIn(metadata), pair.clock.wallNow());
        },
      ],
    },
    undefined,
    options,
  );
  const holding = new Holding(pair.cluster.network.as(undefined));
  const runtime = pair.cluster.runtime({ transport: holding.transport });
  const channel = pair.cluster.channel({}, runtime);
  return {
    ...pair,
    ...{ asked, signals, holding },
    stub: new ProbeServiceStub(channel),
    flow: new FlowServiceStub(channel),
    /** What earlier answers said counts no more. */
    async forget(): Promise<void> {
      put(tokensFile, `carol:${canary()}`);
      await pair.clock.run(4500);
    },
    async rule(text: string): Promise<void> {
      put(rules, text);
      await pair.clock.run(4500);
    },
  };
}

/** More than one chunk, and more than what is passed on. */
const data = Buffer.alloc(400_000, 3);
const options = { ...token("alice"), timeoutMs: 60_000 };

describe.each(["memory", "grpc"] as const)("over %s, a call whose request has not come yet", (over) => {
  /** The caller is known, and stops in the middle of a request. */
  async function begun(answerOf: AnswerOf, kind: "unary" | "stream" = "unary") {
    const pair = await start(over, answerOf);
    await pair.stub.note({}, options);
    pair.holding.holdAfter(100_000);
    const abort = new AbortController();
    const cancellable = { ...options, signal: abort.signal };
    const call =
      kind === "unary"
        ? pair.stub.echo({ data }, cancellable).then(({ data: back }) => back.length)
        : (async () => {
            for await (const { number } of pair.flow.watch({ data }, cancellable)) return number;
            return -1;
          })();
    call.catch(() => {});
    await settle();
    expect([pair.asked, pair.provider.inFlight]).toEqual([["alice"], 1]);
    return { ...pair, call, abort };
  }

  test.each(["unary", "stream"] as const)("does not run once its token is taken away: %s", async (kind) => {
    let answer: Answer = "token:alice";
    const { call, holding, forget, served, provider } = await begun(() => answer, kind);
    answer = undefined;
    await forget();
    holding.letGo();
    expect(await failure(call)).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect([served, provider.inFlight]).toEqual([[], 0]);
  });

  test.each(["unary", "stream"] as const)("does not run once its rule is taken away: %s", async (kind) => {
    const { call, holding, rule, served, denied } = await begun(() => "token:alice", kind);
    await rule("* = token:bob");
    holding.letGo();
    expect(await failure(call)).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    expect(served).toEqual([]);
    expect(denied).toHaveLength(1);
  });

  test("does not run once its token has expired", async () => {
    const started = { wallMs: 0 };
    const { call, holding, clock, served } = await begun((_name, wallMs) => {
      started.wallMs ||= wallMs;
      return { name: "token:alice", expiresAtMs: started.wallMs + 3000 };
    });
    await clock.run(4000);
    holding.letGo();
    expect(await failure(call)).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(served).toEqual([]);
  });

  test("does not run once its token is another's", async () => {
    let answer = "token:alice";
    const { call, holding, forget, served } = await begun(() => answer);
    answer = "token:bob";
    await forget();
    holding.letGo();
    expect(await failure(call)).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(served).toEqual([]);
  });

  test.each(["unary", "stream"] as const)(
    "waits for the answer and runs when its token is as good as before: %s",
    async (kind) => {
      const second = deferred<Answer>();
      let answers: Array<Answer | Promise<Answer>> = ["token:alice", second.promise];
      const { call, holding, forget, served, asked, provider } = await begun(() => answers.shift(), kind);
      await forget();
      holding.letGo();
      for (let turns = 0; turns < 5; turns++) await settle();
      expect([asked.length, served, provider.inFlight]).toEqual([2, [], 1]);
      second.resolve("token:alice");
      expect(await call).toBe(kind === "unary" ? data.length : 1);
      expect(served.map((one) => one.split(" ")[2])).toEqual(["token:alice"]);
      expect(asked).toHaveLength(2);
      answers = [];
    },
  );

  test("waits for as long as a check may take: nothing of it is still to come", async () => {
    const [first, second] = [deferred<Answer>(), deferred<Answer>()];
    const answers = [first.promise, second.promise];
    const pair = await start(over, () => answers.shift());
    const { stub, holding, forget, clock } = pair;
    const call = stub.echo({ data }, { ...options, timeoutMs: 100_000 });
    call.catch(() => {});
    await clock.run(14_000);
    first.resolve("token:alice");
    expect((await call).data).toHaveLength(data.length);
    holding.holdAfter(100_000);
    const other = stub.echo({ data }, { ...options, timeoutMs: 100_000 });
    other.catch(() => {});
    await settle();
    await forget();
    holding.letGo();
    await clock.run(14_000);
    second.resolve("token:alice");
    expect((await other).data).toHaveLength(data.length);
  });

  test("ends while it waits, and then nothing waits for the answer", async () => {
    const answers: Array<Answer | Promise<Answer>> = ["token:alice", deferred<Answer>().promise];
    const { call, abort, holding, forget, served, signals, provider } = await begun(() => answers.shift());
    await forget();
    holding.letGo();
    await settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    abort.abort();
    expect(await failure(call)).toMatchObject({ code: Status.CANCELLED });
    await settle();
    expect([signals[1]?.aborted, served, provider.inFlight]).toEqual([true, [], 0]);
  });
});

describe.each(["memory", "grpc", "inproc"] as const)("a token that many others followed, over %s", (over) => {
  const use = (name: string) => ({ ...token(name), timeoutMs: 60_000 });

  test("is refused at once when it is taken away", async () => {
    let alice: Answer = "token:alice";
    const { stub, forget } = await start(over, (name) => (name === "alice" ? alice : `token:${name}`));
    for (let again = 0; again < 2; again++) await stub.note({}, use("alice"));
    for (let at = 0; at < 260; at++) await stub.note({}, use(`t${at}`));
    alice = undefined;
    await forget();
    expect(await failure(stub.note({}, use("alice")))).toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  test("counts what its bearer does on all connections together", async () => {
    const pair = await start(over, (name) => `token:${name}`, { inFlightPerCallerMax: 2 });
    const { cluster, waiting, holding } = pair;
    const limited: unknown[] = [];
    for (let connection = 0; connection < 3; connection++) {
      const runtime = cluster.runtime({ transport: holding.transport });
      const stub = new ProbeServiceStub(cluster.channel({}, runtime));
      await stub.note({}, use("alice")).catch(() => {});
      await stub.note({}, use("alice")).catch(() => {});
      for (let at = 0; at < 260; at++) await stub.note({}, use(`t${at}`));
      const calls = [0, 1, 2].map(() => stub.relay({}, use("alice")));
      for (const call of calls) call.catch((error) => limited.push(error.code));
      await settle();
    }
    expect([waiting.length, limited]).toEqual([2, Array(7).fill(Status.RESOURCE_EXHAUSTED)]);
    for (const go of waiting) go();
  });
});
