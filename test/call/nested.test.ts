import { describe, expect, test } from "vitest";
import type { CallContext } from "../../src/call/context.js";
import type { RpcError } from "../../src/error/rpc-error.js";
import { settle } from "../../src/testing/index.js";
import { deferred, failure } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { type Blob, ProbeServiceStub } from "../support/gen/probe.js";

describe("nested calls", () => {
  async function chain() {
    const entered = deferred<CallContext>("the inmost handler");
    const nested = deferred<RpcError>("the nested call's failure");
    const times: number[] = [];
    const pair = await startPair({
      handlers: {
        // relay -> note -> echo, each through the caller's stub, as a handler would.
        async relay(request, context) {
          times.push(context.timeLeftMs());
          try {
            return await inner.note(request, { timeoutMs: request.number || 60_000 });
          } catch (error) {
            nested.resolve(error as RpcError);
            throw error;
          }
        },
        async note(request, context) {
          times.push(context.timeLeftMs());
          // Across a timer's worth of awaits the call is still known.
          await settle();
          return inner.echo(request, { timeoutMs: 60_000 });
        },
        echo(_, context) {
          times.push(context.timeLeftMs());
          entered.resolve(context);
          return new Promise<Blob>(() => {});
        },
      },
    });
    const inner = new ProbeServiceStub(pair.cluster.channel());
    return { ...pair, entered, nested, times };
  }

  test("inherit what is left: the child has the smaller of its own and its parent's", async () => {
    const { stub, clock, entered, times } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 900 }));
    await entered.promise;
    expect(times).toEqual([900, 900, 900]);
    await clock.run(910);
    expect((await call).codeName).toBe("DEADLINE_EXCEEDED");
  });

  test("a nearer deadline of their own stays", async () => {
    const { stub, clock, entered, times, nested } = await chain();
    const call = failure(stub.relay({ number: 200 }, { timeoutMs: 900 }));
    await entered.promise;
    expect(times).toEqual([900, 200, 200]);
    await clock.run(210);
    expect((await nested.promise).codeName).toBe("DEADLINE_EXCEEDED");
    expect(await call).toMatchObject({ codeName: "DEADLINE_EXCEEDED", executed: "yes" });
  });

  test("a fraction is rounded down at each hop", async () => {
    const { stub, clock, entered, times } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 900.7 }));
    await entered.promise;
    expect(times).toEqual([900, 900, 900]);
    await clock.run(1000);
    await call;
  });

  test("a parent cancelled cancels its children, and theirs", async () => {
    const { stub, entered, nested, provider } = await chain();
    const abort = new AbortController();
    const call = failure(stub.relay({}, { signal: abort.signal }));
    const inmost = await entered.promise;
    const aborted = new Promise((resolve) => inmost.signal.addEventListener("abort", resolve));
    abort.abort();
    expect(await call).toMatchObject({ codeName: "CANCELLED", executed: "maybe" });
    await aborted;
    expect(inmost.signal.reason).toMatchObject({ codeName: "CANCELLED" });
    expect(await nested.promise).toMatchObject({
      codeName: "CANCELLED",
      rawMessage: "the calling handler was cancelled",
    });
    await settle();
    expect(provider.inFlight).toBe(0);
  });

  test("a parent whose deadline passes ends its children with DEADLINE_EXCEEDED", async () => {
    const { stub, clock, entered, nested } = await chain();
    const call = failure(stub.relay({}, { timeoutMs: 300 }));
    const inmost = await entered.promise;
    await clock.run(310);
    await call;
    expect((await nested.promise).codeName).toBe("DEADLINE_EXCEEDED");
    expect(inmost.signal.reason).toMatchObject({ codeName: "DEADLINE_EXCEEDED" });
  });

  test("started after the parent was cancelled: fail at once, never sent", async () => {
    const entered = deferred<CallContext>("the handler");
    const after = deferred<RpcError>("the nested failure");
    let reached = 0;
    const { cluster, stub } = await startPair({
      handlers: {
        async relay(request, context) {
          entered.resolve(context);
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
          after.resolve(await failure(inner.echo(request)));
          return request;
        },
        echo(request) {
          reached++;
          return request;
        },
      },
    });
    const inner = new ProbeServiceStub(cluster.channel());
    const abort = new AbortController();
    const call = failure(stub.relay({}, { signal: abort.signal }));
    await entered.promise;
    abort.abort();
    await call;
    expect(await after.promise).toMatchObject({ codeName: "CANCELLED", executed: "never" });
    expect(reached).toBe(0);
  });

  test("a connection made for a nested call does not carry its caller's deadline to others", async () => {
    const { cluster, stub } = await startPair({
      handlers: {
        relay: (request) => inner.echo(request),
        echo: (_, context) => ({ number: context.timeLeftMs() }),
      },
    });
    const runtime = cluster.runtime();
    const inner = new ProbeServiceStub(cluster.channel({}, runtime));
    let later = 0;
    // Runs on what the connection brings, not in any handler.
    runtime.events.on("clientEnd", () => {
      if (later++ === 0) outside.resolve(inner.echo({}, { timeoutMs: 9000 }));
    });
    const outside = deferred<Blob | Promise<Blob>>("a call from a listener");
    await stub.relay({}, { timeoutMs: 500 });
    expect((await outside.promise).number).toBe(9000);
  });
});
