import { everything, mprpcTarget } from "./mprpc-setup.js";

/** The same with interceptors that are async functions and wait for the reply: each makes more promises. */
export const target = mprpcTarget(
  everything(
    (next) => async (call) => await next(call),
    (next) => async (call) => await next(call),
  ),
);
