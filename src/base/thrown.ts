/**
 * What user code throws may be anything: `undefined`, text, an error whose getters throw, a Proxy that throws when it is
 * looked at. Whoever catches it must not be hurt by it.
 */

/** Never throws. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "a thrown value that has no text form";
  }
}

/** `instanceof` that never throws. */
export function isOf<T>(thrown: unknown, kind: abstract new (...args: never[]) => T): thrown is T {
  try {
    return thrown instanceof kind;
  } catch {
    return false;
  }
}

/** A callback that returns nothing may be an async function all the same: what its promise rejects with is told. */
export function watchReturned(returned: unknown, onThrown: (thrown: unknown) => void): void {
  if (isOf(returned, Promise)) returned.then(undefined, onThrown);
}

/** Calls a callback of the user's; what it throws, or rejects with, goes to `onThrown`, which must not throw. */
export function callGuarded(callback: () => unknown, onThrown: (thrown: unknown) => void): void {
  try {
    const returned = callback();
    if (returned !== undefined) watchReturned(returned, onThrown);
  } catch (thrown) {
    onThrown(thrown);
  }
}
