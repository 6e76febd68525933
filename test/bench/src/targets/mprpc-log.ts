import { mprpcTarget } from "./mprpc-setup.js";

/** A node that logs each call. */
export const target = mprpcTarget({
  clientInterceptors: [],
  serverInterceptors: [],
  metadata: undefined,
  countEvents: false,
  carryContext: false,
  logCalls: "info",
});
