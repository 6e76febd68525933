import type { ClientInterceptor, ServerInterceptor } from "mprpc";
import { mprpcTarget } from "./mprpc-setup.js";

/** Everything on the path: besides the deadline and the context, metadata both ways, interceptors, event listeners,
 * and the context carried to nested calls. */

const onClient: ClientInterceptor = (next) => async (call) => next(call);
const onServer: ServerInterceptor = (next) => async (call) => next(call);

export const target = mprpcTarget({
  clientInterceptors: [onClient, onClient],
  serverInterceptors: [onServer, onServer],
  metadata: { tenant: "bench", "request-id": "0123456789abcdef" },
  countEvents: true,
  carryContext: true,
});
