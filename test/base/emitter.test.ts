import { expect, test } from "vitest";
import { Emitter } from "../../src/base/emitter.js";

interface Events {
  tick: number;
  done: string;
}

test("listeners hear their own event, in the order they came", () => {
  const emitter = new Emitter<Events>();
  const heard: string[] = [];
  emitter.on("tick", (n) => heard.push(`a${n}`));
  emitter.on("tick", (n) => heard.push(`b${n}`));
  emitter.on("done", (text) => heard.push(text));
  emitter.emit("tick", 1);
  emitter.emit("done", "end");
  expect(heard).toEqual(["a1", "b1", "end"]);
});

test("nobody listening is fine, and visible", () => {
  const emitter = new Emitter<Events>();
  expect(emitter.has("tick")).toBe(false);
  emitter.emit("tick", 1);
  const off = emitter.on("tick", () => {});
  expect(emitter.has("tick")).toBe(true);
  expect(emitter.has("done")).toBe(false);
  off();
  expect(emitter.has("tick")).toBe(false);
});

test("unsubscribing is idempotent and leaves the others", () => {
  const emitter = new Emitter<Events>();
  const heard: string[] = [];
  const off = emitter.on("tick", () => heard.push("a"));
  emitter.on("tick", () => heard.push("b"));
  off();
  off();
  emitter.emit("tick", 1);
  expect(heard).toEqual(["b"]);
});

test("one function subscribed twice is two subscriptions", () => {
  const emitter = new Emitter<Events>();
  let heard = 0;
  const listener = () => heard++;
  const off = emitter.on("tick", listener);
  emitter.on("tick", listener);
  emitter.emit("tick", 1);
  off();
  off();
  emitter.emit("tick", 2);
  expect(heard).toBe(3);
});

test("a listener that throws neither stops the others nor reaches the emitter", () => {
  const errors: Array<[unknown, string]> = [];
  const emitter = new Emitter<Events>((error, event) => errors.push([error, event]));
  const heard: number[] = [];
  const failure = new Error("listener");
  emitter.on("tick", () => {
    throw failure;
  });
  emitter.on("tick", (n) => heard.push(n));
  emitter.emit("tick", 5);
  expect(heard).toEqual([5]);
  expect(errors).toEqual([[failure, "tick"]]);
});

test("changes made while emitting take effect with the next event", () => {
  const emitter = new Emitter<Events>();
  const heard: string[] = [];
  const off = emitter.on("tick", () => {
    heard.push("first");
    off();
    emitter.on("tick", () => heard.push("late"));
  });
  emitter.on("tick", () => heard.push("second"));
  emitter.emit("tick", 1);
  expect(heard).toEqual(["first", "second"]);
  emitter.emit("tick", 2);
  expect(heard).toEqual(["first", "second", "second", "late"]);
});
