import { mprpcTarget } from "./mprpc-setup.js";

/** A node as it comes: the default deadline, the context carried to nested calls, no metadata, no interceptors. */
export const target = mprpcTarget({
  clientInterceptors: [],
  serverInterceptors: [],
  metadata: undefined,
  countEvents: false,
  carryContext: false,
});
