import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  Broker,
  type BrokerOptions,
  defineTopic,
  type EventContext,
  PoisonMessage,
} from "../../src/broker/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { createRuntime, type TestApp } from "../../src/testing/index.js";
import { Item } from "../support/gen/flow.js";
import { eventually, Recorder } from "../tools/wait.js";
import { ackWaitOver, type OpenBroker, wallClock } from "./passing.js";

/** What a driver is tested with. */
export interface Subject {
  readonly url: string;
  /** For `memory:`: what the brokers of a test share. */
  readonly options?: BrokerOptions;
  close(): Promise<void>;
}

interface Seen {
  readonly number: number;
  readonly context: EventContext;
}

let names = 0;

/** What every driver must do, on a real server. */
export function brokerConformance(driver: string, start: () => Promise<Subject>): void {
  describe(`the driver of ${driver}`, () => {
    let subject: Subject;
    let app: TestApp & AsyncDisposable;
    const open: AsyncDisposable[] = [];
    let topic = defineTopic("unset", Item);

    const newBroker: OpenBroker = (options = {}, on = app) => {
      const broker = new Broker(on, { url: subject.url, ...subject.options, ...options });
      open.push(broker);
      return broker;
    };
    const publishAll = (broker: Broker, count: number, from = 0): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, (_, i) => broker.publish(topic, { number: from + i })));
    const fast = { group: "workers", ackWaitMs: 1000, retry: { initialMs: 10, maxMs: 40 } };

    beforeAll(async () => {
      subject = await start();
    });
    beforeEach(() => {
      app = createRuntime({ log: silentLogger, settings: { provider: { drainTimeoutMs: 200 } } });
      topic = defineTopic(`conformance.t${process.pid}-${names++}`, Item);
      return async () => {
        for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
        await app.close();
      };
    });
    afterAll(() => subject.close());

    test("hands each message to one member of every group, published before it joined or after", async () => {
      const broker = newBroker();
      await publishAll(broker, 20);
      const seen = { a: new Recorder<number[]>(), b: new Recorder<number[]>() };
      for (const group of ["a", "b"] as const) {
        const got: number[] = [];
        for (const member of [broker, newBroker()]) {
          await member.subscribe(topic, { ...fast, group }, ({ number }) => {
            got.push(number);
            seen[group].push(got);
          });
        }
      }
      await publishAll(broker, 20, 20);
      const all = Array.from({ length: 40 }, (_, i) => i);
      for (const group of ["a", "b"] as const) {
        const got = await seen[group].until(`40 messages for ${group}`, (list) => list.length >= 40);
        expect([...got].sort((x, y) => x - y)).toEqual(all);
      }
    });

    test("carries key, id, metadata of every kind and the time, and numbers attempts", async () => {
      const broker = newBroker();
      const seen = new Recorder<Seen>();
      await broker.subscribe(topic, fast, ({ number }, context) => {
        seen.push({ number, context });
        if (context.attempt < 3) throw new Error("not yet");
      });
      const metadata = {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tags: ["one", "two words", ""],
        text: "多行\r\n  text ",
        blob: Uint8Array.from([0, 1, 255]),
      };
      const before = Date.now();
      const { position } = await broker.publish(
        topic,
        { number: 7 },
        { key: "order/7 é", id: "id 7", metadata },
      );
      await seen.until("the third attempt", ({ context }) => context.attempt === 3);
      expect(seen.values.map(({ context }) => context.attempt)).toEqual([1, 2, 3]);
      for (const { number, context } of seen.values) {
        expect(number).toBe(7);
        expect([context.position, context.id, context.key]).toEqual([position, "id 7", "order/7 é"]);
        expect(context.metadata.get("traceparent")).toBe(metadata.traceparent);
        expect(context.metadata.getAll("tags")).toEqual(metadata.tags);
        expect(context.metadata.get("text")).toBe(metadata.text);
        expect(context.metadata.get("blob")).toEqual(Buffer.from([0, 1, 255]));
        expect(context.metadata.size).toBe(6);
        expect(Math.abs(context.publishedAt.getTime() - before)).toBeLessThan(60_000);
        expect([context.group, context.topic.name, context.maxAttempts]).toEqual(["workers", topic.name, 5]);
      }
    });

    test("moves what fails too often to the dead letters, which can be read, removed and replayed", async () => {
      const broker = newBroker();
      const attempts = new Map<number, number>();
      const dead = new Recorder<number>();
      let count = 0;
      broker.events.on("deadLetter", () => dead.push(++count));
      const replayed = new Recorder<EventContext>();
      let cured = false;
      const handler = ({ number }: { number: number }, context: EventContext): void => {
        if (cured) {
          replayed.push(context);
          return;
        }
        attempts.set(number, (attempts.get(number) ?? 0) + 1);
        if (number === 9) throw new PoisonMessage("never any good");
        if (number % 3 === 0) throw new Error(`no ${number} — here`);
      };
      await broker.subscribe(topic, { ...fast, maxAttempts: 3 }, handler);
      const others = new Recorder<number>();
      await broker.subscribe(topic, { ...fast, group: "others" }, ({ number }) => others.push(number));
      await Promise.all(
        Array.from({ length: 10 }, (_, number) =>
          broker.publish(topic, { number }, { key: `k${number}`, metadata: { m: String(number) } }),
        ),
      );
      await dead.until("four dead letters", (n) => n >= 4);
      const letters = broker.deadLetters(topic, "workers");
      const list = await letters.list();
      expect(list.map((one) => one.decode().number).sort()).toEqual([0, 3, 6, 9]);
      for (const letter of list) {
        const { number } = letter.decode();
        expect(letter.key).toBe(`k${number}`);
        expect(letter.metadata.toJSON()).toEqual({ m: String(number) });
        expect(letter.attempts).toBe(number === 9 ? 1 : 3);
        expect(letter.error).toBe(number === 9 ? "never any good" : `no ${number} — here`);
        expect(letter.id).toBe(letter.origin);
      }
      expect([...attempts.entries()].sort(([a], [b]) => a - b).map(([, n]) => n)).toEqual([
        ...[3, 1, 1, 3, 1, 1, 3, 1, 1, 1],
      ]);
      const [first, second, third] = list;
      if (first === undefined || second === undefined || third === undefined) throw new Error("too few");
      const page = await letters.list({ limit: 2, after: first.position });
      expect(page.map(({ position }) => position)).toEqual([second.position, third.position]);

      await letters.remove(second);
      await expect(letters.remove(second)).rejects.toMatchObject({ codeName: "NOT_FOUND" });
      cured = true;
      await others.until("all for the others", () => others.values.length === 10);
      await letters.replay(first);
      const again = await replayed.until("the replayed one", () => true);
      expect([again.id, again.attempt, again.key]).toEqual([first.id, 1, first.key]);
      expect(again.publishedAt).toEqual(first.publishedAt);
      const rest: string[] = [];
      for await (const one of letters) rest.push(one.position);
      expect(rest).toEqual(list.slice(2).map(({ position }) => position));
      // A message behind it has come, and the replayed one has not: it was for the other group alone.
      await broker.publish(topic, { number: 100 });
      await others.until("the one behind", (number) => number === 100);
      expect(others.values).toHaveLength(11);
    });

    test("takes no more than maxInFlight, and runs no more than concurrency", async () => {
      const broker = newBroker();
      let running = 0;
      let most = 0;
      let held = 0;
      const gates: Array<() => void> = [];
      const done = new Recorder<number>();
      const started = new Recorder<number>();
      const unfinished = (): number => 60 - new Set(done.values).size;
      const subscription = await broker.subscribe(
        topic,
        { ...fast, concurrency: 3, maxInFlight: 7 },
        async ({ number }) => {
          most = Math.max(most, ++running);
          held = Math.max(held, subscription.inFlight);
          started.push(number);
          await new Promise<void>((resolve) => gates.push(resolve));
          running--;
          done.push(number);
        },
      );
      await publishAll(broker, 60);
      while (unfinished() > 0) {
        const ended = done.values.length;
        await started.until("as many as may", () => running >= Math.min(3, unfinished()));
        for (const go of gates.splice(0)) go();
        await done.until("they end", () => done.values.length > ended);
      }
      expect(most).toBe(3);
      expect(held).toBeLessThanOrEqual(7);
    });

    test("keeps what a slow handler works on, and what waits behind it, from other members", async () => {
      const [one, other] = [newBroker(), newBroker()];
      const seen = new Recorder<string>();
      let free = (): void => {};
      const gate = new Promise<void>((resolve) => {
        free = resolve;
      });
      await one.subscribe(topic, { ...fast, concurrency: 1, maxInFlight: 10 }, async ({ number }) => {
        seen.push(`one ${number}`);
        await gate;
      });
      await publishAll(one, 5);
      await seen.until("the first", () => true);
      await other.subscribe(topic, fast, ({ number }) => seen.push(`other ${number}`));
      for (let times = 0; times < 3; times++) {
        await ackWaitOver(newBroker, { ...fast, group: `control-${times}` }, `${topic.name}-${times}`);
      }
      const early = seen.values.length;
      free();
      await seen.until("all", () => seen.values.length >= 5);
      expect(early).toBe(1);
      expect(new Set(seen.values.map((text) => text.split(" ")[1])).size).toBe(5);
      expect(seen.values).toHaveLength(5);
    });

    test("a subscription that is closed gives back what it has not begun, and waits for what it has", async () => {
      const [one, other] = [newBroker(), newBroker()];
      const began = new Recorder<number>();
      let finish = (): void => {};
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const finished: number[] = [];
      const leaving = await one.subscribe(
        topic,
        { ...fast, ackWaitMs: 30_000, concurrency: 2, maxInFlight: 10 },
        async ({ number }) => {
          began.push(number);
          await gate;
          finished.push(number);
        },
      );
      await publishAll(one, 10);
      await began.until("two", () => began.values.length === 2);
      const closing = leaving.close({ drainTimeoutMs: 20_000 });
      const taken = new Recorder<number>();
      await other.subscribe(topic, { ...fast, ackWaitMs: 30_000 }, ({ number }) => taken.push(number));
      await taken.until("eight given back", () => taken.values.length === 8);
      expect(finished).toEqual([]);
      finish();
      await closing;
      expect(finished.sort()).toEqual([...began.values].sort());
      expect(new Set([...taken.values, ...finished]).size).toBe(10);
      expect(leaving.inFlight).toBe(0);
    });

    test("a handler that outlasts the drain is told, and its message goes to another", async () => {
      const [one, other] = [newBroker(), newBroker()];
      const began = new Recorder<number>();
      let reason: unknown;
      const leaving = await one.subscribe(
        topic,
        { ...fast, ackWaitMs: 30_000 },
        ({ number }, { signal }) =>
          new Promise<void>((_, reject) => {
            began.push(number);
            signal.addEventListener("abort", () => {
              reason = signal.reason;
              reject(signal.reason);
            });
          }),
      );
      await one.publish(topic, { number: 1 });
      await began.until("it runs", () => true);
      await leaving.close({ drainTimeoutMs: 1 });
      expect(reason).toMatchObject({ codeName: "CANCELLED" });
      const taken = new Recorder<number>();
      await other.subscribe(topic, { ...fast, ackWaitMs: 30_000 }, ({ number }) => taken.push(number));
      await taken.until("it is handed out again", (number) => number === 1);
    });

    test("a new group begins where it says, and an old one where it is moved to", async () => {
      const broker = newBroker();
      // Kept by a group that has finished nothing: some brokers keep no others.
      const keeper = await broker.subscribe(
        topic,
        { group: "keeper", concurrency: 1, maxInFlight: 1 },
        () => {
          throw new Error("not now");
        },
      );
      await keeper.close();
      const positions: string[] = [];
      for (let number = 0; number < 6; number++) {
        positions.push((await broker.publish(topic, { number })).position);
      }
      const cutAt = new Date(Date.now() + 1);
      await wallClock(cutAt.getTime());
      for (let number = 6; number < 8; number++) await broker.publish(topic, { number });
      const readBy = async (group: string, from: "new" | "first" | Date | { after: string }) => {
        const seen = new Recorder<number>();
        await broker.subscribe(topic, { ...fast, group, from, concurrency: 1 }, ({ number }) =>
          seen.push(number),
        );
        return seen;
      };
      const first = await readBy("first", "first");
      const after = await readBy("after", { after: positions[2] as string });
      const since = await readBy("since", cutAt);
      const fresh = await readBy("fresh", "new");
      await broker.publish(topic, { number: 8 });
      const lists = await Promise.all(
        [first, after, since, fresh].map(async (seen) => {
          await seen.until("the last", () => seen.values.includes(8));
          return [...seen.values].sort();
        }),
      );
      expect(lists).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8], [6, 7, 8], [8]]);
      await broker.seek(topic, "fresh", { after: positions[4] as string });
      await fresh.until("five to eight once more", () =>
        [5, 6, 7, 8].every((one) => fresh.values.includes(one)),
      );
      expect(fresh.values.filter((one) => one < 5)).toEqual([]);
      await expect(broker.seek(topic, "fresh", { after: "nowhere" })).rejects.toMatchObject({
        codeName: "INVALID_ARGUMENT",
      });
    });

    test("without a group each subscriber gets every message from then on, and one it cannot handle is given up", async () => {
      const broker = newBroker();
      await broker.publish(topic, { number: 0 });
      const own = { ackWaitMs: 1000, maxAttempts: 2, retry: { initialMs: 10, maxMs: 40 } };
      const seen = [new Recorder<number>(), new Recorder<number>()] as const;
      const subscriptions = await Promise.all(
        seen.map((list) => newBroker().subscribe(topic, own, ({ number }) => list.push(number))),
      );
      const failures = new Recorder<number>();
      const failing = newBroker();
      const ends = new Recorder<string>();
      failing.events.on("deliveryEnd", ({ outcome }) => ends.push(outcome));
      const third = await failing.subscribe(topic, own, ({ number }, { attempt }) => {
        failures.push(attempt);
        throw new Error(`${number} is not liked`);
      });
      await publishAll(broker, 20, 1);
      for (const list of seen) {
        await list.until("20 messages", () => new Set(list.values).size >= 20);
        expect([...new Set(list.values)].sort((a, b) => a - b)).toEqual(
          Array.from({ length: 20 }, (_, i) => i + 1),
        );
      }
      await ends.until("all given up", () => ends.values.filter((one) => one === "dead").length >= 20);
      expect(failures.values.every((attempt) => attempt <= 2)).toBe(true);
      const groups = [...subscriptions, third].map(({ group }) => group);
      expect(new Set(groups).size).toBe(3);
      await subscriptions[0]?.close();
      await broker.publish(topic, { number: 21 });
      await seen[1].until("one more", (number) => number === 21);
      expect(seen[0].values).not.toContain(21);
      expect(() => broker.deadLetters(topic, third.group)).toThrow(TypeError);
    });

    test("a message that is no message of the type is a dead letter at once, one too old is none", async () => {
      const broker = newBroker();
      const bytes = defineTopic(topic.name, {
        typeName: "raw",
        create: (input?: Buffer) => input ?? Buffer.alloc(0),
        encode: (message: Buffer, writer) => void writer.raw(message),
        decode: () => Buffer.alloc(0),
      });
      const seen = new Recorder<number>();
      const ends = new Recorder<string>();
      broker.events.on("deliveryEnd", ({ outcome }) => ends.push(outcome));
      await broker.publish(topic, { number: 1 }, { ttlMs: 1 });
      await wallClock(Date.now() + 2);
      await broker.publish(bytes, Buffer.from([0xff, 0xff]));
      await broker.publish(topic, { number: 2 });
      await broker.subscribe(topic, fast, ({ number }) => seen.push(number));
      await ends.until("three ends", () => ends.values.length === 3);
      expect([...ends.values].sort()).toEqual(["acked", "dead", "expired"]);
      expect(seen.values).toEqual([2]);
      const [letter] = await broker.deadLetters(topic, "workers").list();
      expect(letter?.error).toContain("the message is no");
      expect(() => letter?.decode()).toThrow();
      expect(Buffer.from(letter?.payload ?? [])).toEqual(Buffer.from([0xff, 0xff]));
    });

    test("a publish that is aborted, or too large, or closed, says so", async () => {
      const broker = newBroker();
      await expect(
        broker.publish(topic, { number: 1 }, { signal: AbortSignal.abort() }),
      ).rejects.toMatchObject({ codeName: "CANCELLED" });
      const large = broker.publish(topic, { data: Buffer.alloc(5 * 1024 * 1024) });
      await expect(large).rejects.toMatchObject({ codeName: "RESOURCE_EXHAUSTED", executed: "never" });
      await expect(
        broker.publish(topic, { number: 1 }, { metadata: { "mprpc-key": "x" } }),
      ).rejects.toMatchObject({ codeName: "INVALID_ARGUMENT" });
      await broker.close();
      await expect(broker.publish(topic, { number: 1 })).rejects.toMatchObject({
        codeName: "UNAVAILABLE",
        executed: "never",
      });
    });

    test("is left with nothing when its brokers are closed", async () => {
      const broker = newBroker();
      const seen = new Recorder<number>();
      const subscription = await broker.subscribe(topic, fast, ({ number }) => seen.push(number));
      await publishAll(broker, 300);
      await seen.until("all", () => seen.values.length === 300);
      await subscription.close();
      // What it has acked stays acked for those that come later.
      const other = newBroker();
      const late = new Recorder<number>();
      await other.subscribe(topic, fast, ({ number }) => late.push(number));
      await other.publish(topic, { number: 1000 });
      await late.until("the last", (number) => number === 1000);
      expect(late.values).toEqual([1000]);
      await eventually("the broker closes", async () => {
        await broker.close();
        return true;
      });
    });
  });
}
