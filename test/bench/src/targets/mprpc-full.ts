import { everything, mprpcTarget } from "./mprpc-setup.js";

/** Everything on the path: metadata both ways, interceptors, event listeners, the context carried to nested calls. */
export const target = mprpcTarget(
  everything(
    (next) => (call) => next(call),
    (next) => (call) => next(call),
  ),
);
