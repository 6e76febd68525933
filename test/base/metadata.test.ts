import { expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";

test("keys are case-insensitive and kept in lower case", () => {
  const metadata = new Metadata({ "X-Request-Id": "7" });
  expect(metadata.get("x-request-id")).toBe("7");
  expect(metadata.has("X-REQUEST-ID")).toBe(true);
  expect([...metadata]).toEqual([["x-request-id", "7"]]);
});

test("a key may repeat; order is kept; the first value is the one got", () => {
  const metadata = new Metadata().append("a", "1").append("b", "2").append("A", "3");
  expect(metadata.get("a")).toBe("1");
  expect(metadata.getAll("a")).toEqual(["1", "3"]);
  expect(metadata.size).toBe(3);
  expect([...metadata].map(([key]) => key)).toEqual(["a", "b", "a"]);
});

test("set replaces every value, delete removes every value", () => {
  const metadata = new Metadata({ a: ["1", "2", "3"], b: "4" });
  metadata.set("a", "9");
  expect(metadata.getAll("a")).toEqual(["9"]);
  metadata.delete("A");
  expect([...metadata]).toEqual([["b", "4"]]);
  metadata.delete("missing");
  expect(metadata.size).toBe(1);
});

test("what is not there", () => {
  const metadata = new Metadata();
  expect(metadata.get("a")).toBeUndefined();
  expect(metadata.getAll("a")).toEqual([]);
  expect(metadata.has("a")).toBe(false);
  expect(metadata.size).toBe(0);
});

test("a value that equals a key is not mistaken for it", () => {
  const metadata = new Metadata().append("a", "b").append("b", "a");
  expect(metadata.getAll("a")).toEqual(["b"]);
  expect(metadata.get("b")).toBe("a");
  metadata.delete("a");
  expect([...metadata]).toEqual([["b", "a"]]);
});

test("binary values come back as Buffers over the same bytes", () => {
  const whole = new Uint8Array([1, 2, 3, 4]);
  const metadata = new Metadata({ "token-bin": whole.subarray(1, 3) });
  const value = metadata.get("token-bin");
  expect(Buffer.isBuffer(value)).toBe(true);
  expect(value).toEqual(Buffer.from([2, 3]));
});

test("a copy is independent; from() of a Metadata is itself", () => {
  const first = new Metadata({ a: "1" });
  const copy = new Metadata(first);
  copy.append("b", "2");
  expect(first.size).toBe(1);
  expect(Metadata.from(first)).toBe(first);
  expect(Metadata.from({ a: "1" }).get("a")).toBe("1");
});

test.each(["", "with space", "ключ", "a:b", "k".repeat(257), "new\nline"])("the key %j is refused", (key) => {
  expect(() => new Metadata().append(key, "v")).toThrow(TypeError);
  expect(() => new Metadata().append(key, "v")).toThrow(JSON.stringify(key));
});

test("a value that is neither text nor bytes is refused", () => {
  expect(() => new Metadata().append("a", 5 as unknown as string)).toThrow(
    "metadata a: a value is a string or a Uint8Array, not number",
  );
});

test("toJSON: names of Object's own members are ordinary keys", () => {
  const metadata = new Metadata().append("constructor", "1").append("__proto__", "2");
  expect(JSON.stringify(metadata)).toBe('{"constructor":"1","__proto__":"2"}');
});

test("toJSON: repeats become arrays, bytes base64", () => {
  const metadata = new Metadata({ a: ["1", "2", "3"], b: Buffer.from("hi") });
  expect(JSON.parse(JSON.stringify(metadata))).toEqual({ a: ["1", "2", "3"], b: "aGk=" });
});

test("getText and getBytes read the first value either way", () => {
  const metadata = new Metadata({ text: ["Grüße\n", "2"], bin: Buffer.from("€"), none: Buffer.of(0xff) });
  expect([metadata.getText("TEXT"), metadata.getText("bin"), metadata.getText("none")]).toEqual([
    "Grüße\n",
    "€",
    "\ufffd",
  ]);
  expect(metadata.getBytes("text")).toEqual(Buffer.from("Grüße\n"));
  expect(metadata.getBytes("Bin")).toEqual(Buffer.from("€"));
  expect([metadata.getText("absent"), metadata.getBytes("absent")]).toEqual([undefined, undefined]);
});

test("a bad key is named as it was given", () => {
  expect(() => new Metadata({ "X Y": "1" })).toThrow('metadata key "X Y" is not valid');
});
