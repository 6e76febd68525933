import { describe, expect, test } from "vitest";
import { type NetworkOptions, SeededRandom, Simulation } from "../../src/testing/index.js";
import { connected, dial, Ear } from "./support.js";

function noise(sizeBytes: number, seed = 1): Buffer {
  const random = SeededRandom.of(seed);
  return Buffer.from(Array.from({ length: sizeBytes }, () => random.integer(0, 255)));
}

describe("a connection of a simulation", () => {
  test.each<NetworkOptions>([
    { split: 0, coalesce: 0 },
    { split: 0.9, coalesce: 0.1, jitterMs: 20 },
    { split: 0.5, coalesce: 1, windowBytes: [64, 64] },
  ])("carries every byte in order, each way: %j", async (network) => {
    for (let seed = 1; seed <= 5; seed++) {
      const sim = new Simulation({ seed, network });
      const { client, server } = await connected(sim);
      const [there, back] = [noise(5000, seed), noise(3000, seed + 100)];
      client.connection.write(there.subarray(0, 100));
      client.connection.write(there.subarray(100));
      server.connection.write(back);
      await sim.run(20_000);
      expect(server.bytes.equals(there)).toBe(true);
      expect(client.bytes.equals(back)).toBe(true);
      if (network.split !== 0) expect(server.chunks.length).toBeGreaterThan(2);
    }
  });

  test("takes no more than the window while the other side does not read, and drains when it does", async () => {
    const sim = new Simulation({ network: { windowBytes: [1000, 1000] } });
    const { client, server } = await connected(sim);
    server.connection.pause();
    const data = noise(2500);
    expect(client.connection.write(data)).toBe(false);
    expect(client.connection.unwrittenBytes).toBe(1500);
    await sim.run(5000);
    expect([client.told, server.told]).toEqual([[], []]);
    server.connection.resume();
    await sim.run(100);
    expect(server.bytes.equals(data)).toBe(true);
    expect([client.told, client.connection.unwrittenBytes]).toEqual([["drain"], 0]);
  });

  test("a host that reads slowly takes its time", async () => {
    const sim = new Simulation();
    const { client, server, far } = await connected(sim);
    far.readBytesPerMs = 10;
    client.connection.write(noise(1000));
    await sim.run(50);
    expect(server.bytes.length).toBeGreaterThan(300);
    expect(server.bytes.length).toBeLessThan(700);
    await sim.run(100);
    expect(server.bytes.length).toBe(1000);
  });

  test("ends well when both sides end, and stays half open until then", async () => {
    const sim = new Simulation();
    const { client, server } = await connected(sim);
    client.connection.write(noise(10));
    client.connection.end();
    await sim.run(100);
    expect([server.told, client.told]).toEqual([["data", "end"], []]);
    server.connection.write(noise(10));
    server.connection.end();
    await sim.run(100);
    expect([client.told, server.told]).toEqual([
      ["data", "end", "close well"],
      ["data", "end", "close well"],
    ]);
  });

  test("destroy sends what has left, and then the end", async () => {
    const sim = new Simulation();
    const { client, server } = await connected(sim);
    client.connection.write(noise(10));
    client.connection.destroy();
    await sim.run(100);
    expect([client.told, server.told]).toEqual([["close well"], ["data", "end"]]);
  });

  test("destroy with bytes unread is a reset", async () => {
    const sim = new Simulation();
    const { client, server } = await connected(sim);
    client.connection.pause();
    server.connection.write(noise(10));
    await sim.run(100);
    client.connection.destroy();
    await sim.run(100);
    expect(server.told).toEqual(["close read ECONNRESET"]);
  });

  test("reset is heard as a failure", async () => {
    const sim = new Simulation();
    const { client, server } = await connected(sim);
    server.connection.reset();
    await sim.run(100);
    expect([server.told, client.told]).toEqual([["close well"], ["close read ECONNRESET"]]);
    expect(client.connection.write(noise(1))).toBe(true);
  });

  test("a write to a side that is gone is answered with a reset", async () => {
    const sim = new Simulation();
    const { client, server } = await connected(sim);
    server.connection.destroy();
    await sim.run(100);
    expect(client.told).toEqual(["end"]);
    client.connection.write(noise(10));
    await sim.run(100);
    expect(client.told.at(-1)).toBe("close read ECONNRESET");
  });

  test.each([1, 7, 99])(
    "cut after %i bytes, no more than these arrive, and both ends hear of it",
    async (afterBytes) => {
      for (let seed = 1; seed <= 10; seed++) {
        const sim = new Simulation({ seed });
        const { client, server, near, far } = await connected(sim);
        expect(sim.cut(near, far, { afterBytes })).toBe(1);
        const data = noise(200);
        client.connection.write(data);
        await sim.run(100);
        expect(data.subarray(0, afterBytes).subarray(0, server.bytes.length).equals(server.bytes)).toBe(true);
        expect(client.told.at(-1)).toBe("close read ECONNRESET");
        expect(server.told.at(-1)).toBe("close read ECONNRESET");
      }
    },
  );

  test("dropped, it falls silent and nobody is told; a new one works", async () => {
    const sim = new Simulation();
    const { client, server, near, far } = await connected(sim);
    sim.drop(near, far);
    client.connection.write(noise(10));
    server.connection.write(noise(10));
    await sim.run(60_000);
    expect([client.told, server.told]).toEqual([[], []]);
    await sim.until(dial(near.app, "far"));
  });

  test("during a partition nothing arrives; after it everything does", async () => {
    const sim = new Simulation();
    const { client, server, near, far } = await connected(sim);
    sim.partition(near, far);
    const data = noise(100);
    client.connection.write(data.subarray(0, 40));
    await sim.run(5000);
    client.connection.write(data.subarray(40));
    await expect(sim.until(dial(near.app, "far"))).rejects.toThrow(
      "no connection to far:80 within 2000 ms (channel.connecttimeout)",
    );
    expect(server.told).toEqual([]);
    sim.heal(near);
    await sim.run(1000);
    expect(server.bytes.equals(data)).toBe(true);
    await sim.until(dial(near.app, "far"));
  });

  test("a partition of one way lets the other way pass", async () => {
    const sim = new Simulation();
    const { client, server, near, far } = await connected(sim);
    sim.partition(near, far, { oneWay: true });
    client.connection.write(noise(10));
    server.connection.write(noise(20));
    await sim.run(1000);
    expect([client.bytes.length, server.bytes.length]).toEqual([20, 0]);
    sim.heal(far, near);
    await sim.run(1000);
    expect(server.bytes.length).toBe(10);
  });

  test("connections overtake each other, each keeps its own order", async () => {
    const sim = new Simulation({ network: { latencyMs: [1, 1], jitterMs: 50 } });
    const { near, far } = await connected(sim);
    const order: string[] = [];
    const port = { host: far.address, port: 81 };
    await far.app.transport.listen(port, (connection) => {
      connection.setHandler({
        onData: (chunk) => void order.push(...chunk.toString()),
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {},
      });
    });
    const a = await sim.until(dial(near.app, "far", 81));
    const b = await sim.until(dial(near.app, "far", 81));
    for (const letter of ["a", "b", "c", "d", "e", "f"]) {
      a.write(Buffer.from(letter));
      b.write(Buffer.from(letter.toUpperCase()));
      await sim.run(5);
    }
    await sim.run(1000);
    expect(order.filter((one) => one >= "a").join("")).toBe("abcdef");
    expect(order.filter((one) => one < "a").join("")).toBe("ABCDEF");
    expect(order.join("").toLowerCase()).not.toBe("aabbccddeeff");
  });

  test("connects are refused without a listener, by a host that refuses, and for a host that is down or unknown", async () => {
    const sim = new Simulation();
    const { near, far, listener } = await connected(sim);
    await expect(sim.until(dial(near.app, "nowhere"))).rejects.toThrow(
      "cannot connect to nowhere:80: ENOTFOUND",
    );
    await expect(sim.until(dial(near.app, "far", 99))).rejects.toThrow(
      "cannot connect to far:99: ECONNREFUSED",
    );
    far.refusesConnections = true;
    await expect(sim.until(dial(near.app, "far"))).rejects.toThrow("ECONNREFUSED");
    far.refusesConnections = false;
    await sim.until(dial(near.app, "far"));
    await listener.close();
    await expect(sim.until(dial(near.app, "far"))).rejects.toThrow("ECONNREFUSED");
    far.crash();
    await expect(sim.until(dial(near.app, "far"))).rejects.toThrow("ECONNREFUSED");
  });

  test("a connect that is given up leaves nothing at either side", async () => {
    const sim = new Simulation({ network: { latencyMs: [5, 5], jitterMs: 0 } });
    const { near, server } = await connected(sim);
    for (const giveUpAfterMs of [0, 4, 7]) {
      const abort = new AbortController();
      const connecting = near.app.transport.connect(
        { host: "far", port: 80 },
        { timeoutMs: 2000, signal: abort.signal },
      );
      sim.after(giveUpAfterMs, () => abort.abort());
      await expect(sim.until(connecting)).rejects.toThrow("connecting to far:80 was given up");
      await sim.run(100);
    }
    expect(server.told).toEqual([]);
    expect(sim.trace.lines.filter((line) => line.includes("accept"))).toHaveLength(2);
    expect(sim.trace.lines.filter((line) => /far #\d+ close read ECONNRESET/.test(line))).toHaveLength(1);
  });

  test("random faults strike connections at some byte, and a seed repeats them", async () => {
    const outcome = async (seed: number) => {
      const sim = new Simulation({ seed, network: { cut: 0.5, drop: 0.3, refuse: 0.2 } });
      const near = sim.host("near");
      const far = sim.host("far");
      await far.app.transport.listen(
        { host: far.address, port: 80 },
        (connection) => void new Ear(connection),
      );
      const outcomes: string[] = [];
      for (let round = 0; round < 20; round++) {
        try {
          const client = new Ear(await sim.until(dial(near.app, "far")));
          client.connection.write(Buffer.alloc(300_000));
          await sim.run(1000);
          outcomes.push(client.told.at(-1) ?? "silent");
        } catch (error) {
          outcomes.push((error as Error).message);
        }
      }
      return outcomes;
    };
    const first = await outcome(3);
    expect(new Set(first).size).toBeGreaterThan(2);
    expect(await outcome(3)).toEqual(first);
    expect(await outcome(4)).not.toEqual(first);
  });

  test("what a paused host is sent waits for it, and its timers fire late", async () => {
    const sim = new Simulation();
    const { client, server, near, far } = await connected(sim);
    let firedAtMs = 0;
    far.app.clock.setTimer(() => {
      firedAtMs = sim.nowMs;
    }, 10);
    far.pause();
    client.connection.write(noise(10));
    await sim.until(dial(near.app, "far"));
    await sim.run(500);
    expect([server.told, firedAtMs]).toEqual([[], 0]);
    const resumedAtMs = sim.nowMs;
    far.resume();
    await sim.run(10);
    expect([server.told, firedAtMs]).toEqual([["data"], resumedAtMs]);
  });
});
