/** Throws whatever is done to it: read, written, listed, called, compared. */
export function untouchable(): object {
  const refuse = (): never => {
    throw new Error("do not touch");
  };
  const traps = Object.fromEntries(
    Object.getOwnPropertyNames(Reflect)
      .filter((name) => typeof Reflect[name as keyof typeof Reflect] === "function")
      .map((name) => [name, refuse]),
  );
  return new Proxy(function hidden() {}, traps);
}

class Moody extends Error {
  override get message(): string {
    throw new Error("no message");
  }
  override get stack(): string {
    throw new Error("no stack");
  }
  override get name(): string {
    throw new Error("no name");
  }
}

/** What a function of a user's may throw, or reject with, by name. */
export const garbage: ReadonlyArray<readonly [name: string, thrown: unknown]> = [
  ["an Error", new Error("as usual")],
  ["undefined", undefined],
  ["null", null],
  ["a text", "only text"],
  ["a symbol", Symbol("odd")],
  ["an object without a prototype", Object.create(null)],
  ["a frozen object", Object.freeze({ frozen: true })],
  ["an Error with getters that throw", new Moody()],
  ["a Proxy that throws at everything", untouchable()],
];

/** The ways a function fails with it. */
export const ways: ReadonlyArray<readonly [name: string, fail: (thrown: unknown) => unknown]> = [
  [
    "throws",
    (thrown) => {
      throw thrown;
    },
  ],
  ["rejects with", (thrown) => Promise.reject(thrown)],
];

/** Every way with every value, for `test.each`. */
export const failures: ReadonlyArray<readonly [name: string, fail: () => never, promises: boolean]> =
  ways.flatMap(([way, fail], promises) =>
    garbage.map(([name, thrown]) => [`${way} ${name}`, () => fail(thrown) as never, promises === 1] as const),
  );
