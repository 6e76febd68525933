import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";

/**
 * A driver's library, which is installed only by those who use the driver. Rejects with RpcError FAILED_PRECONDITION that says what to
 * install.
 */
export async function loadPeer<T>(broker: string, packages: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
    throw new RpcError(Status.FAILED_PRECONDITION, messages.brokerLibraryMissing(broker, packages), {
      executed: "never",
      cause: error,
    });
  }
}
