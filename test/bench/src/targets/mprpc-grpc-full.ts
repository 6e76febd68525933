import { everything, mprpcTarget } from "./mprpc-setup.js";

/** Everything on the path of a call over gRPC: metadata both ways, interceptors, event listeners, the context carried on. */
export const target = mprpcTarget({
  ...everything(
    (next) => (call) => next(call),
    (next) => (call) => next(call),
  ),
  grpc: true,
});
