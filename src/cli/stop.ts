import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { CliIo } from "./command.js";

/**
 * Runs `use`, whose calls end by `signal` when nobody wants more of them. Resolves with its exit code, or with the code of the stop
 * that ended it.
 */
export async function untilStopped(
  io: CliIo,
  use: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const stop = new AbortController();
  let stoppedWith: number | undefined;
  const ignore = io.onStop((code) => {
    stoppedWith = code;
    stop.abort();
  });
  try {
    return await use(stop.signal);
  } catch (error) {
    if (stoppedWith !== undefined && error instanceof RpcError && error.code === Status.CANCELLED)
      return stoppedWith;
    throw error;
  } finally {
    ignore();
  }
}
