import { constants } from "node:os";
import type { Clock } from "../base/clock.js";
import type { EndHooks, ProcessSignals } from "../runtime/runtime.js";

/** The signals that ask a server to end. A closing terminal sends SIGHUP, which drains as well. */
const endingSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Under `npm start` Ctrl-C arrives twice: from the terminal, and forwarded by npm. A person is slower than this, ms. */
const sameKeyMs = 200;

/** Listens for the signals that end a server. Returns a function that removes the listeners. */
export function listenForEnd(clock: Clock, { drain, hurry }: EndHooks): () => void {
  let first: { signal: NodeJS.Signals; atMs: number } | undefined;
  let hurried = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = { signal, atMs: clock.now() };
      drain(signal);
      return;
    }
    // Both the shell and the system send it when a terminal closes; the second does not mean to hurry.
    if (hurried || signal === "SIGHUP") return;
    if (signal === "SIGINT" && first.signal === "SIGINT" && clock.now() - first.atMs < sameKeyMs) return;
    hurried = true;
    hurry(signal);
  };
  for (const signal of endingSignals) process.on(signal, onSignal);
  return () => {
    for (const signal of endingSignals) process.off(signal, onSignal);
  };
}

/** The exit code shells give a process that died of `signal`. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The signals of this process. */
export function processSignals(clock: Clock): ProcessSignals {
  return {
    listen: (hooks) => listenForEnd(clock, hooks),
    // Its listeners on `exit` write what waits in a log.
    exit: (signal) => process.exit(exitCodeOf(signal)),
  };
}
