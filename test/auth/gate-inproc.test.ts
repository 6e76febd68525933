import { describe, expect, test } from "vitest";
import { type Address, Status } from "../../src/index.js";
import { Health, Reflection } from "../../src/services/builtin.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { nameIn, startGuarded, token } from "./guarded.js";
import { tokenTests } from "./token-tests.js";

tokenTests("inproc");

const start = (...[options, as, more]: Parameters<typeof startGuarded>) =>
  startGuarded(options, as, { ...more, over: "inproc" });

describe("callers within the process", () => {
  test("are inproc:node to the policy, and nothing is allowed to them that it does not say", async () => {
    const policy = { "probe.ProbeService/Echo": "inproc:*", "*": "secret:web" };
    const { stub, flow, served, denied } = await start({ policy });
    await stub.echo({});
    expect(served).toEqual(["Echo inproc:node undefined"]);
    for (const call of [
      stub.note({}),
      flow.put([{ number: 1 }]),
      flow.watch({})[Symbol.asyncIterator]().next(),
    ]) {
      expect(await failure(call)).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    }
    expect(denied).toHaveLength(3);
  });

  test("with a token as well, where the policy wants both", async () => {
    const { stub } = await start({
      policy: { "*": "inproc:node + token:alice" },
      authenticators: [async (metadata) => `token:${nameIn(metadata)}`],
    });
    await stub.echo({}, token("alice"));
    expect(await failure(stub.echo({}, token("bob")))).toMatchObject({ code: Status.PERMISSION_DENIED });
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
  });

  test("cancelled, late or closed while their token is checked: no handler runs, and the check ends", async () => {
    const signals: AbortSignal[] = [];
    const { stub, flow, clock, served, provider, channel } = await start({
      policy: { "*": "token:*" },
      authenticators: [
        (_metadata, _peer, signal) => {
          signals.push(signal);
          return new Promise(() => {});
        },
      ],
    });
    const abort = new AbortController();
    const cancelled = failure(flow.put([{ number: 1 }], { ...token("a"), signal: abort.signal }));
    await settle();
    abort.abort();
    expect(await cancelled).toMatchObject({ code: Status.CANCELLED });
    const late = failure(stub.echo({}, { ...token("b"), timeoutMs: 100 }));
    await clock.run(200);
    expect(await late).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    const lost = failure(stub.echo({}, { ...token("c"), timeoutMs: 3000 }));
    await settle();
    const closing = channel.close();
    await clock.run(5000);
    await closing;
    await lost;
    await settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
    expect(served).toEqual([]);
    expect(provider.inFlight).toBe(0);
  });

  test("wait without a handler's place, and are refused when none is left by then", async () => {
    const answer = deferred<string>();
    const settings = { provider: { inFlightMax: 1, inFlightPerConnectionMax: 100 } };
    const pair = await start(
      { policy: { "*": "token:x" }, authenticators: [() => answer.promise] },
      undefined,
      { settings },
    );
    const calls = [1, 2, 3].map((number) => pair.stub.relay({ number }, token("x")));
    const outcomes = Promise.allSettled(calls);
    await settle();
    expect(pair.waiting).toHaveLength(0);
    answer.resolve("token:x");
    await settle();
    expect(pair.waiting).toHaveLength(1);
    pair.waiting[0]?.();
    const [first, ...others] = await outcomes;
    expect(first).toMatchObject({ status: "fulfilled", value: { number: 1 } });
    for (const one of others)
      expect(one).toMatchObject({ reason: { code: Status.RESOURCE_EXHAUSTED, executed: "never" } });
    expect(pair.provider.inFlight).toBe(0);
  });

  test("reach health without a rule, and reflection only with one", async () => {
    const open = async (policy: Record<string, string>) => {
      const { cluster, provider } = await start({ policy });
      const endpoint = {
        ...(provider.address as Address),
        protocol: "mprpc",
        weight: 1,
        attributes: {},
      } as const;
      return cluster.channel({ registry: new FixedRegistry([endpoint]) });
    };
    const closed = await open({ "probe.*": "inproc:*" });
    expect((await closed.call(Health.methods.check, { service: "" })).status).toBe(1);
    const denied = failure(closed.call(Reflection.methods.listServices, {}));
    expect(await denied).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    const ruled = await open({ "mprpc.*": "inproc:*" });
    expect((await ruled.call(Reflection.methods.listServices, {})).services.length).toBeGreaterThan(0);
  });
});
