import { isMainThread } from "node:worker_threads";

/** Signals that end a process unless somebody listens. */
const endingSignals = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const;

/** Marks our listeners, so that several loggers of one process do not take each other for the application's. */
const ours = Symbol.for("mprpc.logger.signalListener");

export interface ExitHooks {
  /** Writes everything that waits before it returns. */
  end(): void;
  uncaught(error: unknown, origin: string): void;
}

/**
 * Ends the logger before the process dies of a signal, and tells of uncaught exceptions. Changes nothing else: where the
 * application listens to a signal itself, what follows is its own affair; where nobody does, the process still dies of
 * that signal. Returns what takes the handlers away again.
 */
export function installExitHandlers({ end, uncaught }: ExitHooks): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    const others = process.listeners(signal).filter((listener) => !(ours in listener));
    if (others.length > 0) return;
    end();
    process.removeListener(signal, onSignal);
    process.kill(process.pid, signal);
  };
  Object.assign(onSignal, { [ours]: true });
  // First in line: a listener of the application that is there `once` would be gone, and unseen, by the time of ours.
  if (isMainThread) for (const signal of endingSignals) process.prependListener(signal, onSignal);
  // The monitor only watches: Node goes on to print the error and exit, and the exit hook writes the queue.
  process.on("uncaughtExceptionMonitor", uncaught);
  return () => {
    for (const signal of endingSignals) process.removeListener(signal, onSignal);
    process.removeListener("uncaughtExceptionMonitor", uncaught);
  };
}
