import { constants } from "node:os";
import type { Clock } from "../base/clock.js";
import type { EndHooks, ProcessSignals } from "../runtime/runtime.js";

/** What asks a server to end. A terminal that closes sends SIGHUP: as good a reason to finish what was begun. */
const endingSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Ctrl-C comes twice from beneath `npm start`: from the terminal, and passed on by npm. A person is slower. */
const sameKeyMs = 200;

/** Listens for the signals that end a server. Returns what takes the listeners away again. */
export function listenForEnd(clock: Clock, { drain, hurry }: EndHooks): () => void {
  let first: { signal: NodeJS.Signals; atMs: number } | undefined;
  let hurried = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = { signal, atMs: clock.now() };
      drain(signal);
      return;
    }
    // The shell and the system both tell of the end of a terminal, and neither means to press.
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
