import { expect, test } from "vitest";
import { Attempts } from "../../src/account/attempts.js";
import { Gate } from "../../src/account/gate.js";
import { Passwords } from "../../src/account/passwords.js";
import { checkUsername } from "../../src/account/users.js";
import { Code } from "../../src/common/codes.js";

const minuteMs = 60_000;

function fixture(): { attempts: Attempts; pass: (ms: number) => void } {
  let nowMs = 1_000_000;
  return {
    attempts: new Attempts(3, () => nowMs),
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

const tooMany = expect.objectContaining({ code: Code.TOO_MANY });

function fail(attempts: Attempts, address: string, times: number): void {
  for (let i = 0; i < times; i++) attempts.begin("zhang", address);
}

test("an address has so many failures in a quarter of an hour, and then the next quarter", () => {
  const { attempts, pass } = fixture();
  fail(attempts, "10.0.0.1", 3);
  expect(() => attempts.begin("zhang", "10.0.0.1")).toThrow(tooMany);
  expect(() => attempts.begin("zhang", "10.0.0.1")).toThrow(/account\.failures is 3.*try again in 15 min/);
  expect(() => attempts.begin("wang", "10.0.0.1")).not.toThrow();
  pass(15 * minuteMs);
  expect(() => attempts.begin("zhang", "10.0.0.1")).not.toThrow();
});

test("who fails elsewhere does not keep the owner out", () => {
  const { attempts } = fixture();
  fail(attempts, "10.0.0.1", 3);
  expect(() => attempts.begin("zhang", "10.0.0.2")).not.toThrow();
});

test("a botnet is stopped, and the owner still gets in from where she was before", () => {
  const { attempts, pass } = fixture();
  attempts.begin("zhang", "10.0.0.9").succeeded();
  pass(24 * 60 * minuteMs);
  for (let i = 0; i < 10; i++) fail(attempts, `10.1.0.${i}`, 3);
  expect(() => attempts.begin("zhang", "10.2.0.1")).toThrow(tooMany);
  const owner = attempts.begin("zhang", "10.0.0.9");
  owner.succeeded();
  fail(attempts, "10.0.0.9", 3);
  expect(() => attempts.begin("zhang", "10.0.0.9")).toThrow(tooMany);
});

test("attempts under way count, and those that neither failed nor succeeded do not", () => {
  const { attempts } = fixture();
  const some = [1, 2, 3].map(() => attempts.begin("zhang", "10.0.0.1"));
  expect(() => attempts.begin("zhang", "10.0.0.1")).toThrow(tooMany);
  for (const one of some) one.undo();
  expect(() => attempts.begin("zhang", "10.0.0.1")).not.toThrow();
});

test("a /64 of IPv6 is one address", () => {
  const { attempts } = fixture();
  fail(attempts, "2001:db8::1", 1);
  fail(attempts, "2001:db8:0:0:9::2", 1);
  fail(attempts, "2001:db8:0:0:ffff:1:2:3", 1);
  expect(() => attempts.begin("zhang", "2001:db8::5")).toThrow(tooMany);
  expect(() => attempts.begin("zhang", "2001:db8:0:1::5")).not.toThrow();
});

test("a gate lets so many in, keeps the order, refuses the rest, and survives failures", async () => {
  const gate = new Gate({ runningMax: 2, waitingMax: 3 });
  const order: number[] = [];
  const release: Array<() => void> = [];
  const enter = (i: number): Promise<void> =>
    gate.run(async () => {
      order.push(i);
      await new Promise<void>((resolve) => release.push(resolve));
      if (i === 1) throw new Error("failed");
    });
  const all = [0, 1, 2, 3, 4].map(enter);
  const settled = Promise.allSettled(all);
  await expect(enter(5)).rejects.toMatchObject({ code: Code.SERVER });
  expect(order).toEqual([0, 1]);
  for (let i = 0; i < 5; i++) {
    await expect.poll(() => release.length).toBeGreaterThan(0);
    release.shift()?.();
  }
  expect((await settled).map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
    "fulfilled",
  ]);
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test("passwords: argon2id, salted, right and wrong, nobody's", async () => {
  const passwords = new Passwords();
  const [one, other] = await Promise.all([passwords.hash("密码-12345"), passwords.hash("密码-12345")]);
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(other).not.toBe(one);
  expect(await passwords.verify(one, "密码-12345")).toBe(true);
  expect(await passwords.verify(one, "密码-12346")).toBe(false);
  expect(await passwords.verify(undefined, "密码-12345")).toBe(false);
});

test.each(["abc", "张三", "zhang san".replace(" ", "."), "Zhang_3-x", "ñandú", "x".repeat(64)])(
  "%j is a user name",
  (name) => expect(checkUsername(name)).toBe(name),
);

test.each([
  "",
  "ab",
  "a b c",
  "a/b/c",
  "' OR 1=1 --",
  "<b>x</b>",
  "a\0bc",
  "abc\n",
  "x".repeat(65),
  "a\u202ebc",
  "a@b.c",
])("%j is not", (name) =>
  expect(() => checkUsername(name)).toThrow(expect.objectContaining({ code: Code.PARAMETER })),
);
