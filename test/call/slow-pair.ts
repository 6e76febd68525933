import type { CallContext } from "../../src/call/context.js";
import { deferred } from "../support/async.js";
import { startPair } from "../support/cluster.js";

/** A pair whose `echo` runs until the test says so. */
export async function slowPair(options: Parameters<typeof startPair>[0] = {}) {
  const entered = deferred<CallContext>("the handler");
  const release = deferred<void>("the release");
  const pair = await startPair({
    ...options,
    handlers: {
      async echo(request, context) {
        entered.resolve(context);
        await release.promise;
        return request;
      },
      ...options.handlers,
    },
  });
  return { ...pair, entered, release };
}
