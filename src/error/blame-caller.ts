/** As a caller sees it: `MprpcApplication.init`. */
type EntryPoint = (...args: never[]) => unknown;

/** Ends the walk when causes go round. */
const causesMax = 8;

/**
 * Cuts the stack of an error that the user is to mend (a typo in the conf, a port that is taken) down to the one line
 * that called `entry`, and what hangs on it out of its printed form: uncaught, it prints as its text, with nothing of
 * ours around it. All its properties can still be read. Must run inside the call of `entry`.
 */
export function blameCaller<E>(error: E, entry: EntryPoint): E {
  if (!(error instanceof Error)) return error;
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 1;
    Error.captureStackTrace(error, entry);
    quiet(error);
    // Its frames are Node's or ours, and its text is in the error's own.
    Error.stackTraceLimit = 0;
    let { cause } = error;
    for (let depth = 0; depth < causesMax && cause instanceof Error; depth++, { cause } = cause) {
      Error.captureStackTrace(cause);
      quiet(cause);
    }
  } finally {
    Error.stackTraceLimit = limit;
  }
  return error;
}

/** Node prints whatever is enumerable beneath the stack. */
function quiet(error: Error): void {
  for (const key of Object.keys(error)) Object.defineProperty(error, key, { enumerable: false });
}
