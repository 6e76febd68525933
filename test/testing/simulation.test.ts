import { describe, expect, test } from "vitest";
import { MprpcApplication, RpcChannel, RpcProvider } from "../../src/index.js";
import { runtimeOf } from "../../src/runtime/app.js";
import { type SimulatedApp, Simulation } from "../../src/testing/index.js";
import { ProbeService, ProbeServiceStub } from "../support/gen/probe.js";
import { echoes, probeProgram } from "./support.js";

/** A stub on a host of its own. */
function caller(sim: Simulation, name = "shop"): { stub: ProbeServiceStub; channel: RpcChannel } {
  const channel = new RpcChannel(sim.host(name).app);
  return { stub: new ProbeServiceStub(channel), channel };
}

describe("a simulation", () => {
  test("runs providers and channels as they are, and nothing is left at its end", async () => {
    const sim = new Simulation({ seed: 3 });
    sim.host("orders", probeProgram());
    await sim.run(100);
    const { stub, channel } = caller(sim);
    const data = Buffer.alloc(300_000, 7);
    expect((await sim.until(stub.echo({ text: "hello" }))).text).toBe("hello");
    expect((await sim.until(stub.echo({ data }))).data.equals(data)).toBe(true);
    await sim.until(channel.close());
    await sim.end();
    expect(sim.trace.lines.at(0)).toBe("0.000 orders starts");
  });

  test("the same seed gives the same trace, another seed another", async () => {
    const play = async (seed: number) => {
      const sim = new Simulation({ seed, network: { cut: 0.3, split: 0.5 } });
      sim.host("orders", probeProgram());
      await sim.run(100);
      const { stub } = caller(sim);
      for (let i = 0; i < 20; i++) {
        await sim.until(stub.echo({ data: Buffer.alloc(20_000) }).catch(() => {}));
      }
      return { hash: sim.trace.hash, lines: sim.trace.lines };
    };
    const first = await play(5);
    expect(await play(5)).toEqual(first);
    expect((await play(6)).hash).not.toBe(first.hash);
  });

  test("what promises, nextTick and setImmediate still do is done before time goes on", async () => {
    const sim = new Simulation();
    const times: number[] = [];
    sim.host("a", async (app) => {
      for (let round = 0; round < 3; round++) {
        await app.sleep(10);
        for (let turn = 0; turn < 20; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
          await new Promise<void>((resolve) => process.nextTick(resolve));
        }
        times.push(sim.nowMs);
      }
    });
    await sim.run(1);
    // Due at the same time as the first sleep, and set after it.
    sim.after(9, () => times.push(-1));
    await sim.run(1000);
    expect(times).toEqual([10, -1, 20, 30]);
  });

  test("a crash is heard by callers, its entry goes with its session, and a restart is found again", async () => {
    const sim = new Simulation({ sessionTimeoutMs: 3000 });
    const orders = sim.host("orders", probeProgram());
    await sim.run(100);
    const { stub } = caller(sim);
    await sim.until(stub.echo({}));
    orders.crash();
    expect(orders.up).toBe(false);
    expect(() => orders.app).toThrow("host orders is down");
    await expect(sim.until(stub.echo({}))).rejects.toThrow(/\[unavailable\]/);
    await sim.run(4000);
    await expect(sim.until(stub.echo({}))).rejects.toThrow("no provider of probe.ProbeService");
    orders.start();
    await sim.until(orders.ready);
    await sim.run(100);
    await sim.until(stub.echo({}));
  });

  test("timers and handlers of a crashed process do nothing any more", async () => {
    const sim = new Simulation();
    const done: string[] = [];
    const program = async (app: SimulatedApp) => {
      app.clock.setTimer(() => done.push("timer"), 50);
      await app.sleep(60);
      done.push("sleep");
    };
    const host = sim.host("a", program);
    await sim.run(40);
    const old = host.app;
    host.restart(100);
    await sim.run(99);
    void old.sleep(0).then(() => done.push("old"));
    await sim.run(40);
    expect([host.up, done]).toEqual([true, []]);
    await sim.run(100);
    expect(done).toEqual(["timer", "sleep"]);
  });

  test("a call waits out a partition when its deadline allows, and fails by it when not", async () => {
    const sim = new Simulation();
    sim.host("orders", probeProgram());
    await sim.run(100);
    const { stub } = caller(sim);
    await sim.until(stub.echo({}));
    sim.partition("shop", "orders");
    sim.after(1000, () => sim.heal("shop", "orders"));
    const [patient, hasty] = await sim.until(
      Promise.allSettled([stub.echo({}, { timeoutMs: 3000 }), stub.echo({}, { timeoutMs: 500 })]),
    );
    expect(patient?.status).toBe("fulfilled");
    expect(hasty).toMatchObject({ reason: { name: "RpcError", executed: "maybe" } });
  });

  test("a host cut off from the registry loses its entry, and registers again when it is back", async () => {
    const sim = new Simulation();
    sim.host("orders", probeProgram());
    await sim.run(100);
    sim.partition("orders", "registry");
    await sim.run(10_000);
    const { stub } = caller(sim);
    await expect(sim.until(stub.echo({}))).rejects.toThrow("no provider of probe.ProbeService");
    sim.heal();
    await sim.run(5000);
    await sim.until(stub.echo({}));
  });

  test("stop drains: calls in flight end, and the host is gone", async () => {
    const sim = new Simulation();
    const orders = sim.host("orders", (app) =>
      probeProgram({
        echo: async (request) => {
          await app.sleep(500);
          return request;
        },
      })(app),
    );
    await sim.run(100);
    const { stub } = caller(sim);
    const call = stub.echo({ number: 4 });
    await sim.run(50);
    const stopped = orders.stop();
    expect((await sim.until(call)).number).toBe(4);
    await sim.until(stopped);
    expect([orders.up, orders.leftovers]).toEqual([false, []]);
  });

  test("end tells what was left behind", async () => {
    const sim = new Simulation();
    sim.host("a", (app) => {
      app.clock.setTimer(() => {}, 1e9);
      return undefined;
    });
    await sim.run(10);
    await expect(sim.end()).rejects.toThrow("the simulation left behind: 1 timers of a after its stop");
  });

  test("a program that throws makes the run fail", async () => {
    const sim = new Simulation();
    sim.host("a", async () => {
      throw new Error("no conf");
    });
    await expect(sim.run(10)).rejects.toThrow("host a did not start: no conf");
  });

  test("until says so when what is waited for does not come", async () => {
    const sim = new Simulation();
    sim.note("something happened");
    await expect(sim.until(new Promise(() => {}), 5000)).rejects.toThrow(
      /did not happen within 5000 ms of the simulation; the trace ends\n {2}0.000 something happened/,
    );
    expect(sim.nowMs).toBe(5000);
  });

  test("time is run by one at a time", async () => {
    const sim = new Simulation();
    const running = sim.run(10);
    await expect(sim.run(10)).rejects.toThrow("the simulation is running already");
    await running;
  });

  test("bad options and names are told", () => {
    expect(() => new Simulation({ seed: 1.5 })).toThrow('Simulation: option "seed": expected an integer');
    expect(() => new Simulation({ network: { split: 2 } })).toThrow(
      'option "split": expected a number from 0 to 1',
    );
    const sim = new Simulation();
    sim.host("a");
    expect(() => sim.host("a")).toThrow("host: a is there already");
    expect(() => sim.partition("a", "b")).toThrow("there is no host b");
  });

  test("a program that makes its own application runs unchanged", async () => {
    const sim = new Simulation();
    const argv = ["node", "orders.js", "--rpcserverport=8000"];
    sim.host("orders", async (app) => {
      const application = await MprpcApplication.init(argv, app.parts);
      const provider = new RpcProvider(application).notifyService(ProbeService, echoes);
      await provider.start();
      return [application, provider];
    });
    await sim.run(100);
    const shop = sim.host("shop");
    const application = await MprpcApplication.init(["node", "shop.js"], shop.app.parts);
    const channel = new RpcChannel(application);
    const stub = new ProbeServiceStub(channel);
    expect((await sim.until(stub.echo({ number: 5 }))).number).toBe(5);
    expect(runtimeOf("the test", application).clock.now()).toBe(shop.app.clock.now());
    await sim.until(channel.close());
    await sim.until(application.close());
    await sim.end();
    expect(sim.trace.lines.join("\n")).toContain("10.0.0.3:8000");
  });
});
