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

type Failure = readonly [name: string, fail: () => never];

/** Functions that throw each of them, for `test.each`. */
export const throws: readonly Failure[] = garbage.map(([name, thrown]) => [
  `throws ${name}`,
  () => {
    throw thrown;
  },
]);

/** And async ones. They have the type of any callback, as in a program that is not checked so closely. */
export const failures: readonly Failure[] = [
  ...throws,
  ...garbage.map(
    ([name, thrown]): Failure => [`rejects with ${name}`, () => Promise.reject(thrown) as never],
  ),
];
