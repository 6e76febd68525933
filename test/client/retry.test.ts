import { describe, expect, test } from "vitest";
import { settle } from "../../src/testing/index.js";
import { failure } from "../support/async.js";
import { Cluster, startPair } from "../support/cluster.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

describe("transparent retry", () => {
  test("a provider that drains: its refused calls run elsewhere, none is lost, none runs twice", async () => {
    const served: string[] = [];
    const cluster = new Cluster({});
    const handlers = (name: string) => ({
      async echo(request: { number: number }) {
        served.push(`${request.number}`);
        await settle();
        return { text: name, number: request.number };
      },
    });
    const a = await cluster.provider(handlers("a"));
    await cluster.provider(handlers("b"));
    const stub = new ProbeServiceStub(cluster.channel());
    await stub.echo({ number: -1 });
    await stub.echo({ number: -2 });
    const calls: Array<Promise<{ number: number }>> = [];
    for (let number = 0; number < 200; number++) {
      calls.push(stub.echo({ number }));
      if (number === 100) void a.shutdown();
      if (number % 10 === 0) await new Promise((go) => setImmediate(go));
    }
    await cluster.clock.run(3000);
    const replies = await Promise.all(calls);
    expect(replies.map(({ number }) => number)).toEqual(replies.map((_, i) => i));
    expect(new Set(served).size).toBe(served.length);
  });

  test("UNAVAILABLE from a handler is not tried again: it ran", async () => {
    const { RpcError } = await import("../../src/error/rpc-error.js");
    const { Status } = await import("../../src/error/status.js");
    let ran = 0;
    const { stub } = await startPair({
      handlers: {
        echo() {
          ran++;
          throw new RpcError(Status.UNAVAILABLE, "busy");
        },
      },
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "yes",
      attempts: 1,
    });
    expect(ran).toBe(1);
  });

  test("refused before the handler twice: told to the caller", async () => {
    const { RpcError } = await import("../../src/error/rpc-error.js");
    const { Status } = await import("../../src/error/status.js");
    const { stub } = await startPair({
      serverInterceptors: [
        () => async () => {
          throw new RpcError(Status.UNAVAILABLE, "closed for lunch");
        },
      ],
    });
    expect(await failure(stub.echo({}))).toMatchObject({
      codeName: "UNAVAILABLE",
      executed: "never",
      attempts: 2,
      rawMessage: "closed for lunch",
    });
  });
});
