import { once } from "node:events";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { BatchWriter } from "../../src/logger/batch-writer.js";
import type { Destination } from "../../src/logger/destination.js";
import { Mailbox, slotCount } from "../../src/logger/mailbox.js";
import { startWorker } from "../../src/logger/start-worker.js";
import { readLog, tempDir } from "./support.js";

type Move = number | "blocked" | "failed";

/** Takes as many bytes at a time as `moves` say, or refuses; afterwards everything at once. */
class MoodyDestination implements Destination {
  text = "";
  readonly #moves: Move[];

  constructor(moves: Move[]) {
    this.#moves = [...moves];
  }

  nameOf(): string {
    return "the test";
  }

  write(bytes: Buffer, offset: number): number {
    const move = this.#moves.shift() ?? bytes.length;
    if (move === "failed") throw new Error("no");
    const end = move === "blocked" ? offset : Math.min(offset + move, bytes.length);
    this.text += bytes.toString("latin1", offset, end);
    return end;
  }
}

// The writer tells of failures on stderr; not here.
vi.mock(import("../../src/log/report.js"), () => ({ reportToStderr: () => {} }));

test("every byte is written once and in order, wherever the worker was stopped", () => {
  const moves = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom("blocked", "failed")));
  const batches = fc.array(fc.array(fc.stringMatching(/^[a-z]{0,8}$/), { minLength: 1, maxLength: 5 }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(batches, moves, fc.integer({ min: 0, max: 20 }), (texts, list, stepsOfWorker) => {
      const mailbox = new Mailbox();
      const destination = new MoodyDestination(list as Move[]);
      const worker = new BatchWriter(new Mailbox(mailbox.memory), destination, 0);
      const posts = texts.map((lines) => lines.map((line) => `${line}\n`).join(""));
      let [posted, reaped] = [0, 0];
      const exchange = () => {
        while (reaped < posted && mailbox.isFree(reaped % slotCount)) reaped += 1;
        while (posted < posts.length && posted - reaped < slotCount) {
          mailbox.post(posted % slotCount, posts[posted] as string, 20250101);
          posted += 1;
        }
      };
      for (let step = 0; step < stepsOfWorker; step += 1) {
        exchange();
        expect(mailbox.acquire()).toBe(true);
        worker.step();
        mailbox.release();
      }
      expect(mailbox.claim(1)).toBe(true);
      expect(mailbox.acquire()).toBe(false);
      exchange();
      const main = new BatchWriter(mailbox, destination, reaped % slotCount);
      while (reaped < posts.length) {
        main.step();
        exchange();
      }
      expect(main.step()).toBe("idle");
      expect(destination.text).toBe(posts.join(""));
      expect(mailbox.failing).toBe(false);
    }),
  );
});

test("a claim waits for a write in progress, and gives up when it hangs", () => {
  const mailbox = new Mailbox();
  expect(mailbox.acquire()).toBe(true);
  expect(mailbox.claim(1)).toBe(false);
  mailbox.release();
  expect(mailbox.acquire()).toBe(false);
  expect(mailbox.claim(1)).toBe(true);
});

test("failing is news once, and so is its end", () => {
  const mailbox = new Mailbox();
  expect([mailbox.setFailing(false), mailbox.setFailing(true), mailbox.setFailing(true)]).toEqual([
    false,
    true,
    false,
  ]);
  expect(mailbox.setFailing(false)).toBe(true);
});

test("text of every width fits its slot and arrives as UTF-8", () => {
  const mailbox = new Mailbox();
  const text = `${"日".repeat(1000)}é😀\ud800\n`;
  mailbox.post(1, text, 20250101);
  const content = mailbox.content(1);
  expect(content?.bytes.toString()).toBe(text.replace("\ud800", "\ufffd"));
  expect(content).toMatchObject({ day: 20250101, offset: 0 });
  expect(mailbox.content(0)).toBeUndefined();
});

test("the worker runs from the sources: writes, answers when asked, ends when claimed", async () => {
  const dir = tempDir();
  const mailbox = new Mailbox();
  const file = { kind: "file", dir, pattern: "a.log", maxBytes: 0, maxFiles: 1 } as const;
  mailbox.post(0, "one\n", 20250101);
  mailbox.requestReply();
  mailbox.signal();
  const worker = startWorker({ memory: mailbox.memory, destination: file, retryMs: 1000 });
  await once(worker, "message");
  expect(mailbox.isFree(0)).toBe(true);
  expect(readLog(dir).lines).toEqual(["one"]);

  const exit = once(worker, "exit");
  expect(mailbox.claim(10_000)).toBe(true);
  mailbox.post(1, "two\n", 20250101);
  expect(await exit).toEqual([0]);
  expect(readLog(dir).lines).toEqual(["one"]);
});
