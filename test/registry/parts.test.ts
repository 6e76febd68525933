import { expect, test } from "vitest";
import type { Clock } from "../../src/base/clock.js";
import { silentLogger } from "../../src/log/logger.js";
import {
  decodeEntry,
  encodeEntry,
  isServiceName,
  makeIncarnation,
  type ProviderEntry,
} from "../../src/registry/entry.js";
import { RegistryError } from "../../src/registry/errors.js";
import { type OpenRegistryOptions, openRegistry } from "../../src/registry/open.js";
import { Reconciler } from "../../src/registry/reconciler.js";
import { ServiceView } from "../../src/registry/view.js";
import {
  decodeClassicAddress,
  encodeClassicAddress,
  isNumericIPv4,
} from "../../src/registry/zookeeper/layout.js";
import { parseDurationMs } from "../../src/values/duration.js";
import { redactUrl } from "../../src/values/url-text.js";

const entry: ProviderEntry = {
  address: { host: "::1", port: 8000 },
  ...{ weight: 2.5, startedAtMs: 1_700_000_000_000, incarnation: "00ff00ff00ff00ff" },
  attributes: { version: "1 %&=+?/", "zone.x": "é\u{1F600}" },
};

test("an entry reads back, and its name is a plain znode name", () => {
  const name = encodeEntry(entry);
  expect(name).toMatch(/^[\x21-\x7e]+$/);
  expect(name).not.toContain("/");
  expect(decodeEntry(name)).toEqual(entry);
});

test.each([
  "",
  "x",
  "%",
  "127.0.0.1%3A8000",
  "127.0.0.1%3A99999%3Fi%3D1",
  "127.0.0.1%3A1%3Fi%3D1%26w%3D-1",
  "127.0.0.1%3A1%3Fi%3D1%26w%3DInfinity",
  "127.0.0.1%3A1%3Fi%3D1%26w%3D1e7",
  "127.0.0.1%3A0%3Fi%3D1",
  "a%3A1%3Fi%3D",
])("%j is no entry", (name) => expect(decodeEntry(name)).toBeUndefined());

test("an entry of a later version with more in it is read", () => {
  const name = encodeURIComponent("127.0.0.1:1?i=a&new=1");
  expect(decodeEntry(name)).toMatchObject({ weight: 1, incarnation: "a", attributes: { new: "1" } });
});

test("incarnations are 64 bits of the given randomness", () => {
  expect(makeIncarnation(() => 0)).toBe("0000000000000000");
  expect(makeIncarnation(() => 1 - 2 ** -33)).toBe("ffffffffffffffff");
});

test("service names", () => {
  for (const name of ["A", "fixbug.UserServiceRpc", "a.b_1.C"]) expect(isServiceName(name)).toBe(true);
  for (const name of ["", ".", "..", "a/b", "a..b", ".a", "a.", "1a", "a b", "é", "a".repeat(201)]) {
    expect(isServiceName(name)).toBe(false);
  }
});

test("classic znode data", () => {
  expect(encodeClassicAddress({ host: "127.0.0.1", port: 8000 })).toEqual(Buffer.from("127.0.0.1:8000\0"));
  const read = (text: string) => decodeClassicAddress(Buffer.from(text, "latin1"));
  const address = { host: "127.0.0.1", port: 8000 };
  expect(read("127.0.0.1:8000")).toEqual(address);
  expect(read(`127.0.0.1:8000${"\0".repeat(49)}`)).toEqual(address);
  expect(read("127.0.0.1:8000\0garbage\xff")).toEqual(address);
  for (const text of [
    "",
    "\0",
    "127.0.0.1",
    "127.0.0.1:",
    "localhost:1",
    "1.2.3:1",
    "1.2.3.4.5:1",
    "[::1]:1",
    "1.2.3.4:0",
  ]) {
    expect(read(text)).toBeUndefined();
  }
});

test("numeric IPv4", () => {
  for (const host of ["0.0.0.0", "255.255.255.255", "10.1.2.3"]) expect(isNumericIPv4(host)).toBe(true);
  for (const host of ["256.1.1.1", "1.1.1", "1.1.1.1.", "1.1.1.1.1", "::1", "a.b.c.d", ""])
    expect(isNumericIPv4(host)).toBe(false);
});

test("durations and secrets of URLs", () => {
  expect(["500", "500ms", "1.5s", "2m"].map(parseDurationMs)).toEqual([500, 500, 1500, 120_000]);
  expect(["1h", "2d", "5 s"].map(parseDurationMs)).toEqual([3_600_000, 172_800_000, 5000]);
  expect(["", "s", "-1", "1w", "1 0"].map(parseDurationMs)).toEqual(Array(5).fill(undefined));
  expect(redactUrl("zookeeper://me:pw@h:1/x")).toBe("zookeeper://***@h:1/x");
  expect(redactUrl("etcd://h?password=pw&tls=yes")).toBe("etcd://h?password=***&tls=yes");
  expect(redactUrl("consul://h?dc=a&token=pw")).toBe("consul://h?dc=a&token=***");
  expect(redactUrl("zookeeper://me:p@w@h:1/x")).toBe("zookeeper://***@h:1/x");
  expect(redactUrl("file:/a@b")).toBe("file:/a@b");
});

test("a ZooKeeper URL names its registry without secrets", async () => {
  const nameOf = async (url: string, options: OpenRegistryOptions = {}) => {
    const registry = openRegistry(url, { snapshotFolder: false, ...options });
    await registry.close();
    return registry.name;
  };
  expect(await nameOf("zookeeper://h1")).toBe("zookeeper://h1:2181");
  expect(await nameOf("zookeeper://h1:1,[::1]:2/a/b/?session=10s&start=1s&grace=0&snapshots=off")).toBe(
    "zookeeper://h1:1,[::1]:2/a/b",
  );
  expect(await nameOf("zookeeper://h1:2181/c1,h2:2181/c1")).toBe("zookeeper://h1:2181,h2:2181/c1");
  expect(await nameOf("zookeeper://h1/a/b/,h2,[::1]:3/a/b?start=1s")).toBe(
    "zookeeper://h1:2181,h2:2181,[::1]:3/a/b",
  );
  expect(await nameOf("zookeeper://h1/a%2Cb")).toBe("zookeeper://h1:2181/a,b");
  expect(await nameOf("zookeeper://me:p%40ss@h1/app")).toBe("zookeeper://h1:2181/app");
  expect(await nameOf("zookeeper://h1/app", { auth: "me:secret" })).toBe("zookeeper://h1:2181/app");
  expect(openRegistry("zookeeper://h1/app", { auth: "me:secret" }).authenticated).toBe(true);
  expect(openRegistry("zookeeper://me:secret@h1/app").authenticated).toBe(true);
  expect(openRegistry("zookeeper://h1/app").authenticated).toBe(false);
});

test.each([
  ["zookeeper://", '"" is not host:port'],
  ["zookeeper:h1", "it cannot be read as zookeeper"],
  ["zookeeper://h1:x", '"h1:x" is not host:port'],
  ["zookeeper://h1,,h2", '"" is not host:port'],
  [
    "zookeeper://h1/c1,h2/c2",
    'the servers have different chroots, "/c1" and "/c2": write one behind the last',
  ],
  ["zookeeper://h1/c1,h2", 'the servers have different chroots, "/c1" and "none"'],
  ["zookeeper://h1/c1,h2,h3/c2", 'the servers have different chroots, "/c1" and "/c2"'],
  ["zookeeper://h1/c1/d,h2/c1", 'the servers have different chroots, "/c1/d" and "/c1"'],
  ["zookeeper://h1//a", 'the chroot "//a"'],
  ["zookeeper://h1/a/../b", 'the chroot "/a/../b"'],
  ["zookeeper://h1?session=1", "session=1 is not a time of 1000ms or more"],
  ["zookeeper://h1?session=x", "session=x is not a time"],
  ["zookeeper://h1?snapshots=here", "snapshots=here is neither off nor an absolute folder"],
  ["zookeeper://h1?retries=1", 'unknown option "retries" (known: session'],
  ["zookeeper://me:pw@h1:x", "*** "],
  ["zookeeper://me@h1", "auth is not user:password"],
])("%s is refused: %s", (url, text) => {
  const open = () => openRegistry(url);
  expect(open).toThrow(RegistryError);
  if (!url.includes("@")) expect(open).toThrow(`registry "${url}"`);
  expect(open).not.toThrow(/pw/);
  expect(open).toThrow("allowed: ");
  expect(open).toThrow("zookeeper://host:2181,host:2181/chroot");
  expect(open).toThrow(url.includes("@h1:x") ? '"h1:x" is not host:port' : text);
});

test("a reconciler merges triggers, keeps the earliest, repeats as told, and stops", async () => {
  let nowMs = 0;
  let timer: { callback: () => void; dueMs: number } | undefined;
  const clock = {
    now: () => nowMs,
    wallNow: () => nowMs,
    setTimer: (callback: () => void, delayMs: number) => {
      const mine = { callback, dueMs: nowMs + delayMs };
      timer = mine;
      return {
        cancel: () => {
          if (timer === mine) timer = undefined;
        },
      };
    },
  };
  const advance = async () => {
    const due = timer;
    if (due === undefined) throw new Error("nothing is planned");
    timer = undefined;
    nowMs = due.dueMs;
    due.callback();
    await new Promise((resolve) => setImmediate(resolve));
    return nowMs;
  };
  let runs = 0;
  let work = async (): Promise<number | undefined> => undefined;
  const reconciler = new Reconciler({
    clock,
    run: () => {
      runs += 1;
      return work();
    },
    onError: () => 50,
  });
  reconciler.trigger(100);
  reconciler.trigger(10);
  reconciler.trigger(60);
  expect(runs).toBe(0);
  expect(await advance()).toBe(10);
  expect([runs, timer]).toEqual([1, undefined]);
  work = async () => 1000;
  reconciler.trigger();
  await advance();
  expect(timer?.dueMs).toBe(1010);
  work = async () => {
    throw new Error("no");
  };
  expect(await advance()).toBe(1010);
  expect(timer?.dueMs).toBe(1060);
  let release: (next: number | undefined) => void = () => {};
  work = () => new Promise((resolve) => (release = resolve));
  await advance();
  reconciler.trigger();
  reconciler.trigger();
  expect([runs, timer]).toEqual([4, undefined]);
  release(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  expect(timer?.dueMs).toBe(1060);
  const stopped = reconciler.stop();
  reconciler.trigger();
  expect(timer).toBeUndefined();
  await stopped;
});

test("a view tells each change once, in a stable order, each address once", async () => {
  const view = new ServiceView("a.B", silentLogger);
  const seen: string[] = [];
  const endpoint = (port: number, weight = 1) => ({
    host: "h",
    port,
    protocol: "mprpc" as const,
    weight,
    attributes: {},
  });
  let unused = 0;
  const watch = view.add(
    ({ endpoints, stale }) =>
      seen.push(endpoints.map(({ port, weight }) => `${port}*${weight}`).join() + (stale ? "!" : "")),
    () => {
      unused += 1;
    },
  );
  view.markStale();
  view.publish([endpoint(2), endpoint(1), endpoint(2, 9)], false);
  view.publish([endpoint(1), endpoint(2)], false);
  view.publish([endpoint(1), endpoint(2, 3)], false);
  view.markStale();
  view.markStale();
  await Promise.resolve();
  expect(seen).toEqual(["1*1,2*1", "1*1,2*3", "1*1,2*3!"]);
  watch.close();
  watch.close();
  expect(unused).toBe(1);
  expect(watch.current?.stale).toBe(true);
});

test("a reconciler whose clock has jumped past its next run runs at the next trigger", async () => {
  let nowMs = 0;
  const timers: number[] = [];
  let fire = () => {};
  let runs = 0;
  const clock: Clock = {
    now: () => nowMs,
    wallNow: () => nowMs,
    setTimer: (callback, delayMs) => {
      timers.push(delayMs);
      fire = callback;
      return { cancel: () => {} };
    },
  };
  const run = async () => {
    runs += 1;
    return undefined;
  };
  const reconciler = new Reconciler({ clock, run, onError: () => undefined });
  reconciler.trigger(10_000);
  reconciler.trigger(10_000);
  nowMs = 20_000;
  reconciler.trigger();
  expect(timers).toEqual([10_000, 0]);
  fire();
  await reconciler.stop();
  expect(runs).toBe(1);
});
