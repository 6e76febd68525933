import { describe, expect, test } from "vitest";
import type { CallContext } from "../../src/call/context.js";
import { RpcController } from "../../src/call/controller.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { settle } from "../../src/testing/index.js";
import { deferred } from "../support/async.js";
import { startPair } from "../support/cluster.js";
import { wheelOf } from "../support/wheel.js";

describe("at the caller", () => {
  test("a call that succeeds", async () => {
    const { stub } = await startPair();
    const controller = new RpcController();
    expect(controller.failed()).toBe(false);
    const reply = await stub.echo({ text: "x" }, controller);
    expect(reply?.text).toBe("x");
    expect(controller.failed()).toBe(false);
    expect(controller.errorText()).toBe("");
    expect(controller.error).toBeUndefined();
    expect(controller.isCanceled()).toBe(false);
  });

  test("a call that fails resolves undefined, and the controller knows why", async () => {
    const { stub } = await startPair({
      handlers: {
        echo: () => {
          throw new RpcError(Status.NOT_FOUND, "no such user");
        },
      },
    });
    const controller = new RpcController();
    expect(await stub.echo({}, controller)).toBeUndefined();
    expect(controller.failed()).toBe(true);
    expect(controller.errorText()).toMatch(/^\[not_found\] no such user \(probe\.ProbeService\.Echo at /);
    expect(controller.error).toMatchObject({ codeName: "NOT_FOUND", executed: "yes" });
  });

  test("call options go in beside it", async () => {
    const { stub } = await startPair({
      handlers: { echo: (_, context) => ({ number: context.timeLeftMs() }) },
    });
    expect((await stub.echo({}, new RpcController(), { timeoutMs: 123 }))?.number).toBe(123);
  });

  test("startCancel cancels here and at the provider", async () => {
    const entered = deferred<CallContext>("the handler");
    const { stub, provider } = await startPair({
      handlers: {
        echo: (_, context) => {
          entered.resolve(context);
          return new Promise(() => {});
        },
      },
    });
    const controller = new RpcController();
    const call = stub.echo({}, controller);
    const context = await entered.promise;
    const told = new Promise<void>((resolve) => context.controller.notifyOnCancel(resolve));
    controller.startCancel();
    expect(await call).toBeUndefined();
    expect(controller.isCanceled()).toBe(true);
    expect(controller.failed()).toBe(true);
    expect(controller.error).toMatchObject({ codeName: "CANCELLED", executed: "maybe" });
    expect(controller.errorText()).toContain("cancelled by RpcController.startCancel()");
    await told;
    expect(context.controller.isCanceled()).toBe(true);
    expect(provider.inFlight).toBe(0);
  });

  test("cancelled before the call: never sent", async () => {
    const { stub, provider } = await startPair();
    const controller = new RpcController();
    controller.startCancel();
    expect(await stub.echo({}, controller)).toBeUndefined();
    expect(controller.error).toMatchObject({ codeName: "CANCELLED", executed: "never" });
    expect(provider.connections).toBe(0);
  });

  test("cancelled after the call: the reply stands", async () => {
    const { stub } = await startPair();
    const controller = new RpcController();
    expect((await stub.echo({ text: "x" }, controller))?.text).toBe("x");
    controller.startCancel();
    expect(controller.failed()).toBe(false);
  });

  test("reset while busy throws, afterwards it makes all new", async () => {
    const hold = deferred();
    const { stub } = await startPair({
      handlers: {
        async echo() {
          await hold.promise;
          throw new RpcError(Status.ABORTED, "again");
        },
      },
    });
    const controller = new RpcController();
    const call = stub.echo({}, controller);
    expect(() => controller.reset()).toThrow("RpcController.reset() while its call is in flight");
    hold.resolve();
    await call;
    controller.startCancel();
    expect(controller.failed() && controller.isCanceled()).toBe(true);
    controller.reset();
    expect([controller.failed(), controller.errorText(), controller.isCanceled()]).toEqual([
      false,
      "",
      false,
    ]);
    expect((await stub.relay({ text: "again" }, controller))?.text).toBe("again");
  });

  test("one controller for two calls at a time is refused, and the first goes on", async () => {
    const { stub } = await startPair();
    const controller = new RpcController();
    const first = stub.echo({ text: "first" }, controller);
    await expect(stub.echo({}, controller)).rejects.toThrow("one controller for each call");
    expect((await first)?.text).toBe("first");
    expect((await stub.echo({ text: "next" }, controller))?.text).toBe("next");
  });

  test("callMethod is the classic form", async () => {
    const { channel } = await startPair();
    const { ProbeService } = await import("../support/gen/probe.js");
    const controller = new RpcController();
    const reply = await channel.callMethod(ProbeService.methods.echo, controller, { text: "x" });
    expect(reply?.text).toBe("x");
  });

  test.each([
    ["cancelled during the call", true],
    ["when it ends", false],
  ])("notifyOnCancel calls exactly once: %s", async (_, cancels) => {
    const hold = deferred();
    const { stub } = await startPair({
      handlers: {
        async echo(request) {
          await hold.promise;
          return request;
        },
      },
    });
    const controller = new RpcController();
    let told = 0;
    controller.notifyOnCancel(() => void told++);
    const call = stub.echo({}, controller);
    await settle();
    expect(told).toBe(0);
    if (cancels) {
      controller.startCancel();
      expect(told).toBe(1);
      controller.startCancel();
    }
    hold.resolve();
    await call;
    await settle();
    expect(told).toBe(1);
    // Over already: at once.
    controller.notifyOnCancel(() => void told++);
    expect(told).toBe(2);
  });

  test("a callback that throws spoils neither the call nor the other callbacks", async () => {
    const { stub, log } = await startPair();
    const controller = new RpcController();
    let told = false;
    controller.notifyOnCancel(() => {
      throw new Error("broken");
    });
    controller.notifyOnCancel(() => {
      told = true;
    });
    expect((await stub.echo({ text: "x" }, controller))?.text).toBe("x");
    expect(controller.failed()).toBe(false);
    expect(told).toBe(true);
    expect(log.at("error")).toEqual(["a notifyOnCancel callback threw"]);
  });
});

describe("in a handler", () => {
  test("setFailed fails the call with its text, whatever is returned", async () => {
    const { stub, log } = await startPair({
      handlers: {
        echo(request, context) {
          context.controller.setFailed("the account is locked");
          expect(context.controller.failed()).toBe(true);
          return request;
        },
      },
    });
    const controller = new RpcController();
    expect(await stub.echo({}, controller)).toBeUndefined();
    expect(controller.error).toMatchObject({
      codeName: "UNKNOWN",
      rawMessage: "the account is locked",
      executed: "yes",
    });
    expect(log.at("error")).toEqual([]);
  });

  test("notifyOnCancel is called once when the call ends well", async () => {
    const told: boolean[] = [];
    const { stub } = await startPair({
      handlers: {
        echo(request, { controller }) {
          controller.notifyOnCancel(() => void told.push(controller.isCanceled()));
          return request;
        },
      },
    });
    await stub.echo({});
    await settle();
    expect(told).toEqual([false]);
  });

  test.each(["reply", "cancel", "deadline"])("a callback that throws at the %s hurts nobody", async (how) => {
    const entered = deferred("the handler");
    const { stub, log, clock, provider, providerRuntime } = await startPair({
      handlers: {
        echo(request, { controller }) {
          controller.notifyOnCancel(() => {
            throw Object.create(null);
          });
          entered.resolve();
          return how === "reply" ? request : new Promise(() => {});
        },
      },
    });
    const controller = new RpcController();
    const call = stub.echo({}, controller, { timeoutMs: 100 });
    await entered.promise;
    if (how === "cancel") controller.startCancel();
    if (how === "deadline") await clock.run(200);
    await call;
    await settle();
    expect(provider.inFlight).toBe(0);
    expect(wheelOf(providerRuntime).size).toBe(0);
    expect(log.at("error")).toHaveLength(1);
    expect(log.at("error")[0]).toMatch(/^a notifyOnCancel callback of probe\.ProbeService\.Echo threw: /);
    expect((await stub.relay({ text: "alive" })).text).toBe("alive");
  });

  test("the controller asked for after the cancel is cancelled already", async () => {
    const entered = deferred<CallContext>("the handler");
    const { stub } = await startPair({
      handlers: {
        echo: (_, context) => {
          entered.resolve(context);
          return new Promise(() => {});
        },
      },
    });
    const controller = new RpcController();
    const call = stub.echo({}, controller);
    const context = await entered.promise;
    controller.startCancel();
    await call;
    await settle();
    let told = 0;
    context.controller.notifyOnCancel(() => void told++);
    expect([context.controller.isCanceled(), context.signal.aborted, told]).toEqual([true, true, 1]);
  });

  test("a controller serves its call alone: reset in the handler throws", async () => {
    const thrown = deferred<unknown>("reset");
    const { stub } = await startPair({
      handlers: {
        echo(request, { controller }) {
          try {
            controller.reset();
          } catch (error) {
            thrown.resolve(error);
          }
          return request;
        },
      },
    });
    await stub.echo({});
    expect(await thrown.promise).toBeInstanceOf(Error);
  });
});
