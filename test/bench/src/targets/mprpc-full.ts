import type { ClientInterceptor, ServerInterceptor } from "mprpc";
import { mprpcTarget } from "./mprpc-setup.js";

/** Everything on the path: besides the deadline and the context, metadata both ways, interceptors, and event listeners. */

const onClient: ClientInterceptor = (next) => async (call) => next(call);
const onServer: ServerInterceptor = (next) => async (call) => next(call);

export const target = mprpcTarget({
  clientInterceptors: [onClient, onClient],
  serverInterceptors: [onServer, onServer],
  metadata: { tenant: "bench", "request-id": "0123456789abcdef" },
  countEvents: true,
});
