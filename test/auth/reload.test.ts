import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { parsePolicyFile } from "../../src/auth/policy.js";
import { RpcProvider, Status } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { Cluster } from "../support/cluster.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { canary } from "../tools/leaks/secrets.js";
import { nameIn, startGuarded, token } from "./guarded.js";

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "mprpc-auth-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

let writes = 0;
/** As careful programs do: renamed into place. */
function put(file: string, text: string): void {
  const draft = `${file}.${writes++}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

test("tokens without rules, and rules that are not used, are told of at the start", async () => {
  const home = folder();
  const tokensFile = path.join(home, "tokens");
  put(tokensFile, `web:${canary()}\n`);
  const policyFile = path.join(home, "authz.conf");
  put(policyFile, "* = none\n");
  const policy = { file: policyFile, parse: (text: string) => parsePolicyFile(text, policyFile) };

  const open = await startGuarded({}, undefined, { settings: { auth: { tokensFile } } });
  expect(open.log.at("warn")).toEqual([expect.stringMatching(/^callers without a token are served like/)]);
  const own = await startGuarded({ policy: { "*": "any" } }, undefined, { settings: { auth: { policy } } });
  expect(own.log.at("warn")).toEqual([
    `the rules of ${policyFile} are not used: the provider has its own (option policy)`,
  ]);
});

async function start(files: { policy: string; tokens?: string }) {
  const home = folder();
  const policyFile = path.join(home, "authz.conf");
  const tokensFile = path.join(home, "tokens");
  put(policyFile, files.policy);
  if (files.tokens !== undefined) put(tokensFile, files.tokens);
  const cluster = new Cluster({
    settings: {
      auth: {
        policy: { file: policyFile, parse: (text) => parsePolicyFile(text, policyFile) },
        tokensFile: files.tokens === undefined ? undefined : tokensFile,
      },
    },
  });
  const provider = new RpcProvider(cluster.runtime());
  provider.notifyService(ProbeService, {
    echo: (request) => request,
    relay: (request) => request,
    note: (request) => request,
  });
  provider.notifyService(FlowService, {
    async *watch(_request, { signal }) {
      yield { number: 1 };
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
    put: async () => ({ number: 0 }),
    async *chat(requests) {
      yield* requests;
    },
    ask: (request) => request,
  });
  cluster.onClose(() => provider.shutdown());
  const runtime = cluster.runtime({ transport: cluster.network.as("secret:web") });
  const channel = cluster.channel({}, runtime);
  return {
    ...{ cluster, provider, policyFile, tokensFile, log: cluster.log, clock: cluster.clock },
    stub: new ProbeServiceStub(channel),
    flow: new FlowServiceStub(channel),
  };
}

test("a policy is read again; one that cannot be parsed keeps the old", async () => {
  const { provider, stub, policyFile, clock, log } = await start({ policy: "* = secret:web" });
  await provider.start();
  await stub.echo({});
  put(policyFile, "* = secret:other\nprobe.ProbeService/Note = secret:web");
  await clock.run(5000);
  expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  await stub.note({});
  put(policyFile, "* = secret:web\nthis is no rule");
  await clock.run(5000);
  expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  expect(log.at("error").join()).toContain("authz.conf:2: expected pattern = value");
  rmSync(policyFile);
  await clock.run(5000);
  await stub.note({});
  put(policyFile, "* = secret:web");
  await clock.run(5000);
  await stub.echo({});
});

test("a provider whose policy cannot be parsed does not start", async () => {
  const { provider } = await start({ policy: "* = everybody" });
  await expect(provider.start()).rejects.toThrow(/authz\.conf:1: expected any, none, classic/);
});

test("open streams that a new policy does not allow end PERMISSION_DENIED, the others go on", async () => {
  const { cluster, provider, flow, policyFile, clock } = await start({ policy: "* = secret:*" });
  await provider.start();
  const runtime = cluster.runtime({ transport: cluster.network.as("secret:other") });
  const other = new FlowServiceStub(cluster.channel({}, runtime)).watch({})[Symbol.asyncIterator]();
  const watched = flow.watch({})[Symbol.asyncIterator]();
  await Promise.all([watched.next(), other.next()]);
  const end = failure(watched.next() as Promise<unknown>);
  put(policyFile, "* = secret:*\nflow.FlowService/Watch = secret:other");
  await clock.run(5000);
  expect(await end).toMatchObject({ code: Status.PERMISSION_DENIED });
  expect(provider.inFlight).toBe(1);
});

test("a token that was taken out of its file is refused, on open connections and streams too", async () => {
  const [aliceToken, bobToken] = [canary(), canary()];
  const good = `alice:${aliceToken}\nbob:${bobToken}`;
  const { provider, stub, flow, tokensFile, clock } = await start({ policy: "* = token:*", tokens: good });
  await provider.start();
  const alice = { metadata: { authorization: `Bearer ${aliceToken}` } };
  const bob = { metadata: { authorization: `Bearer ${bobToken}` } };
  await stub.echo({}, alice);
  await stub.echo({}, bob);
  const watched = flow.watch({}, alice)[Symbol.asyncIterator]();
  await watched.next();
  const end = failure(watched.next() as Promise<unknown>);
  put(tokensFile, `bob:${bobToken}`);
  await clock.run(5000);
  expect(await end).toMatchObject({ code: Status.UNAUTHENTICATED });
  expect(await failure(stub.echo({}, alice))).toMatchObject({ code: Status.UNAUTHENTICATED });
  await stub.echo({}, bob);
});

test.each([
  [
    "auth.policy",
    { policy: { file: "/nobody/has/this", parse: (text: string) => parsePolicyFile(text, "x") } },
  ],
  ["auth.tokens", { tokensFile: "/nobody/has/this" }],
])("a provider whose %s is missing does not start, and names the key", async (setting, auth) => {
  const cluster = new Cluster({ settings: { auth } });
  const provider = new RpcProvider(cluster.runtime()).notifyService(ProbeService, {
    echo: (request) => request,
    relay: (request) => request,
    note: (request) => request,
  });
  await expect(provider.start()).rejects.toThrow(`${setting}: cannot read /nobody/has/this: ENOENT`);
});

describe("when a file of tokens changes", () => {
  /** A provider with an authenticator of its own beside such a file, and what makes the file change. */
  async function beside(authenticate: Authenticate) {
    const tokensFile = path.join(folder(), "tokens");
    put(tokensFile, `bob:${canary()}`);
    const options = { policy: { "*": "token:*" }, authenticators: [authenticate] };
    const pair = await startGuarded(options, undefined, { settings: { auth: { tokensFile } } });
    /** It is found within this time, and no check takes so long that it is given up. */
    const change = async (): Promise<void> => {
      put(tokensFile, `bob:${canary()}`);
      await pair.clock.run(4500);
    };
    return { ...pair, change };
  }

  test("a token that is being checked meanwhile is checked again: the answer may be of before", async () => {
    const answers = [deferred<string | undefined>(), deferred<string | undefined>()];
    let asked = 0;
    const { stub, change, served } = await beside(() => (answers[asked++] ?? deferred<string>()).promise);
    const call = failure(stub.echo({}, { ...token("x"), timeoutMs: 60_000 }));
    await settle();
    await change();
    answers[0]?.resolve("token:x");
    await settle();
    expect(asked).toBe(2);
    answers[1]?.resolve(undefined);
    expect(await call).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(served).toEqual([]);
  });

  /** So many streams, each with a token of its own; then a check takes as long as the test wants. */
  async function streaming(streams: number) {
    const state = { slow: false, running: 0, most: 0, answers: new Map<string, () => void>() };
    const pair = await beside(async (metadata) => {
      state.most = Math.max(state.most, ++state.running);
      const name = nameIn(metadata);
      if (state.slow) await new Promise<void>((resolve) => state.answers.set(name, resolve));
      state.running--;
      return `token:${name}`;
    });
    for (let at = 0; at < streams; at++) {
      const replies = pair.flow.watch({}, token(`t${at}`))[Symbol.asyncIterator]();
      await replies.next();
      replies.next().catch(() => {});
    }
    expect(pair.provider.inFlight).toBe(streams);
    Object.assign(state, { slow: true, most: 0 });
    /** The check of the token of that name ends well. */
    const answer = (name: string): void => {
      state.answers.get(name)?.();
      state.answers.delete(name);
    };
    return { ...pair, state, answer };
  }

  test("the tokens of all open streams are checked again, however many they are", async () => {
    const streams = 1100;
    const { change, provider, state, answer } = await streaming(streams);
    await change();
    let answered = 0;
    while (state.answers.size > 0) {
      answered += state.answers.size;
      for (const name of [...state.answers.keys()]) answer(name);
      await settle();
    }
    expect(answered).toBe(streams);
    expect(state.most).toBe(512);
    expect(state.running).toBe(0);
    expect(provider.inFlight).toBe(streams);
  });

  test("the tokens of calls are checked too while those of many open streams are", async () => {
    const { change, stub, served, state, answer } = await streaming(1100);
    served.length = 0;
    await change();
    expect(state.running).toBe(512);
    for (const name of ["alice", "bob", "carol"]) {
      // The next stream takes the place of the one that was answered, and never one that is kept for calls.
      answer([...state.answers.keys()][0] as string);
      const called = stub.echo({}, token(name));
      await settle();
      expect(state.running).toBe(513);
      answer(name);
      await called;
    }
    expect(served).toEqual(["alice", "bob", "carol"].map((name) => `Echo undefined token:${name}`));
  });
});

test("under load no call is judged by half a policy", async () => {
  // Each of the two allows exactly one of the methods; half of either would allow both or none.
  const policies = ["Echo", "Note"].map((open) => {
    const lines = Array.from({ length: 200 }, (_, i) => `other.Service${i}/* = secret:web`);
    const closed = open === "Echo" ? "Note" : "Echo";
    return ["* = secret:web", ...lines, `probe.ProbeService/${closed} = none`].join("\n");
  });
  const { provider, stub, policyFile, clock } = await start({ policy: policies[0] as string });
  await provider.start();
  let mixed = 0;
  const changes = new Set<string>();
  for (let round = 0; round < 20; round++) {
    put(policyFile, policies[round % 2] as string);
    const calls = Array.from({ length: 50 }, () => Promise.allSettled([stub.echo({}), stub.note({})]));
    await clock.run(5000);
    for (const pair of calls) {
      const outcomes = (await pair).map(({ status }) => status);
      if (outcomes[0] === outcomes[1]) mixed++;
      changes.add(outcomes.join());
    }
  }
  expect(mixed).toBe(0);
  expect(changes.size).toBe(2);
});
