import { mprpcTarget } from "./mprpc-setup.js";

/** A node whose events are counted, as metrics do. */
export const target = mprpcTarget({
  clientInterceptors: [],
  serverInterceptors: [],
  metadata: undefined,
  countEvents: true,
  carryContext: false,
});
