import { expect, test } from "vitest";
import { newsOf, nothingSaid, overallOf, rowsOf, type Said } from "../../web/src/upload/overall.js";
import { type Remembered, RememberedUploads } from "../../web/src/upload/remembered.js";
import { Speed, timeLeftMs } from "../../web/src/upload/speed.js";
import {
  newUpload,
  type Phase,
  progressOf,
  reduceUpload,
  type UploadEvent,
  type UploadState,
} from "../../web/src/upload/state.js";
import type { UploadView } from "../../web/src/upload/view.js";
import { Slots, wait } from "../../web/src/upload/wait.js";

function after(...events: UploadEvent[]): UploadState {
  return events.reduce(reduceUpload, newUpload(100));
}

const sending: UploadEvent[] = [{ type: "hash" }, { type: "check" }, { type: "send", existingBytes: 0 }];
const reached: Record<Phase, UploadEvent[]> = {
  waiting: [],
  hashing: [{ type: "hash" }],
  checking: [{ type: "hash" }, { type: "check" }],
  sending,
  finishing: [...sending, { type: "finish" }],
  paused: [{ type: "pause" }],
  done: [...sending, { type: "finish" }, { type: "done", instant: false }],
  failed: [{ type: "fail", error: "why" }],
  cancelled: [{ type: "cancel" }],
};

test("every phase with every event", () => {
  const events: UploadEvent[] = [
    { type: "hash" },
    { type: "check" },
    { type: "send", existingBytes: 5 },
    { type: "finish" },
    { type: "done", instant: true },
    { type: "fail", error: 1 },
    { type: "pause" },
    { type: "resume" },
    { type: "retry" },
    { type: "cancel" },
  ];
  // A dot: ignored. In the order of `events`.
  const table: Record<Phase, string> = {
    waiting: "hashing checking . . . failed paused . . cancelled",
    hashing: ". checking . . . failed paused . . cancelled",
    checking: ". . sending . done failed paused . . cancelled",
    sending: ". . sending finishing . failed paused . . cancelled",
    finishing: ". . sending . done failed paused . . cancelled",
    paused: ". . . . . . . waiting . cancelled",
    done: ". . . . . . . . . .",
    failed: ". . . . . . . . waiting cancelled",
    cancelled: ". . . . . . . . waiting .",
  };
  for (const [phase, row] of Object.entries(table) as Array<[Phase, string]>) {
    const state = after(...reached[phase]);
    expect(state.phase).toBe(phase);
    const next = events.map((event) => reduceUpload(state, event));
    const names = next.map((one) => (one === state ? "." : one.phase));
    expect(names.join(" "), phase).toBe(row);
  }
});

test("bytes stay within the file", () => {
  const state = after({ type: "hash" }, { type: "hashed", bytes: 500 });
  expect(state.hashedBytes).toBe(100);
  expect(after(...sending, { type: "sent", bytes: 101 }).sentBytes).toBe(100);
  expect(after(...sending, { type: "sent", bytes: -1 }).sentBytes).toBe(0);
});

test("progress that comes after a pause changes nothing", () => {
  const paused = after(...sending, { type: "sent", bytes: 40 }, { type: "pause" });
  expect(reduceUpload(paused, { type: "sent", bytes: 60 })).toBe(paused);
  expect(reduceUpload(paused, { type: "done", instant: false })).toBe(paused);
  expect(paused.sentBytes).toBe(40);
});

test("progress runs from none to all, for an empty file too", () => {
  expect(progressOf(newUpload(100))).toBe(0);
  expect(progressOf(after(...sending))).toBeCloseTo(0.1);
  expect(progressOf(after(...sending, { type: "sent", bytes: 50 }))).toBeCloseTo(0.55);
  expect(progressOf(after(...reached.done))).toBe(1);
  expect(progressOf(newUpload(0))).toBe(0);
});

test("speed is of the last seconds", () => {
  const speed = new Speed(5000);
  expect(speed.bytesPerSecond(0)).toBe(0);
  speed.add(0, 0);
  for (let second = 1; second <= 10; second++) speed.add(second * 1000, second * 1000);
  expect(speed.bytesPerSecond(10_000)).toBeCloseTo(1000);
  // Nothing comes any more: it falls.
  expect(speed.bytesPerSecond(20_000)).toBeLessThan(500);
  speed.add(10, 21_000);
  expect(speed.bytesPerSecond(22_000)).toBe(0);
});

test("time left is known once there is a speed", () => {
  expect(timeLeftMs(1000, 0)).toBeUndefined();
  expect(timeLeftMs(1000, 100)).toBe(10_000);
});

class FakeStorage {
  readonly values = new Map<string, string>();
  full = false;
  getItem(key: string): string | null {
    return this.values.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    if (this.full) throw new Error("full");
    this.values.set(key, value);
  }
}

const upload: Remembered = {
  name: "a.bin",
  sizeBytes: 5,
  lastModifiedMs: 1000,
  hash: "a".repeat(64),
  parentId: 0,
};

test("an upload is remembered by name, size, time and hash, for its user", () => {
  const storage = new FakeStorage();
  const remembered = new RememberedUploads(storage, "ann");
  remembered.add(upload);
  remembered.add(upload);
  expect(remembered.list()).toEqual([upload]);
  expect(new RememberedUploads(storage, "bob").list()).toEqual([]);
  const file = { name: "a.bin", sizeBytes: 5, lastModifiedMs: 1000 };
  expect(remembered.hashOf(file)).toBe(upload.hash);
  expect(remembered.hashOf({ ...file, sizeBytes: 6 })).toBeUndefined();
  expect(remembered.hashOf({ ...file, lastModifiedMs: 1001 })).toBeUndefined();
  remembered.remove(upload);
  expect(remembered.list()).toEqual([]);
});

test("storage that is broken or full does not stop uploads", () => {
  const storage = new FakeStorage();
  const remembered = new RememberedUploads(storage, "ann");
  for (const bad of ["{", "null", "5", '[{"name":1}]', '[{"name":"a","hash":"x"}]']) {
    storage.values.set("clouddisk.uploads.ann", bad);
    expect(remembered.list(), bad).toEqual([]);
  }
  storage.full = true;
  expect(() => remembered.add(upload)).not.toThrow();
});

test("slots are used by so many at a time, and who gives up leaves the line", async () => {
  const slots = new Slots(1);
  const { signal } = new AbortController();
  const gone = new AbortController();
  const order: string[] = [];
  let release = (): void => {};
  const first = slots.use(signal, () => new Promise<void>((resolve) => (release = resolve)));
  const second = slots.use(gone.signal, async () => void order.push("second"));
  const third = slots.use(signal, async () => void order.push("third"));
  gone.abort(new Error("gave up"));
  await expect(second).rejects.toThrow("gave up");
  release();
  await Promise.all([first, third]);
  expect(order).toEqual(["third"]);
});

test("waiting ends with its signal", async () => {
  const controller = new AbortController();
  const waiting = wait(1_000_000, controller.signal);
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});

function view(id: number, events: UploadEvent[]): UploadView {
  return { id, name: `${id}.bin`, state: after(...events), bytesPerSecond: 0 };
}

test("all uploads as one: by bytes, without those that were cancelled", () => {
  const half: UploadEvent[] = [...sending, { type: "sent", bytes: 50 }];
  const uploads = [view(1, reached.done), view(2, half), view(3, reached.paused), view(4, reached.cancelled)];
  const { progress, ...counts } = overallOf(uploads);
  expect(counts).toEqual({ total: 3, done: 1, active: 1, paused: 1, failed: 0, leftBytes: 50 });
  expect(progress).toBeCloseTo((1 + 0.55) / 3);
  expect(overallOf([]).progress).toBe(0);
  expect(overallOf([{ ...view(1, []), state: { ...newUpload(0), phase: "done" } }]).progress).toBe(1);
});

test("of uploads the beginning, each quarter, each failure and the end are told once", () => {
  let said: Said = nothingSaid;
  const tell = (...uploads: UploadView[]) => {
    const told = newsOf(uploads, said);
    said = told.said;
    return told.news;
  };
  const sent = (bytes: number): UploadEvent[] => [...sending, { type: "sent", bytes }];
  expect(tell()).toBeUndefined();
  expect(tell(view(1, []), view(2, []))).toEqual({ kind: "started", count: 2 });
  expect(tell(view(1, sent(30)), view(2, []))).toBeUndefined();
  expect(tell(view(1, sent(90)), view(2, []))).toEqual({ kind: "percent", percent: 25 });
  expect(tell(view(1, sent(90)), view(2, []))).toBeUndefined();
  const failure = { kind: "failed", name: "2.bin", error: "why", others: 0 };
  expect(tell(view(1, sent(90)), view(2, reached.failed))).toEqual(failure);
  expect(tell(view(1, reached.done), view(2, reached.failed))).toEqual({ kind: "done", count: 1 });
  expect(tell(view(1, reached.done), view(2, reached.failed))).toBeUndefined();
  expect(tell(view(1, reached.done), view(2, []))).toBeUndefined();
  expect(tell(view(1, reached.done), view(2, reached.paused))).toBeUndefined();
  expect(tell(view(1, reached.done), view(2, reached.done))).toBeUndefined();
  // Too quick to be seen at work.
  const three = [view(1, reached.done), view(2, reached.done), view(3, reached.done)];
  expect(tell(...three)).toEqual({ kind: "done", count: 3 });
});

test("of many uploads those that are not done are shown, then the latest", () => {
  const uploads = Array.from({ length: 10 }, (_, at) => view(at, at === 2 || at === 9 ? [] : reached.done));
  expect(rowsOf(uploads, 10)).toBe(uploads);
  expect(rowsOf(uploads, 4).map(({ id }) => id)).toEqual([2, 7, 8, 9]);
  expect(rowsOf(uploads, 1).map(({ id }) => id)).toEqual([2]);
});
