import { mprpcTarget } from "./mprpc-setup.js";

/** `mprpc-secret`, and a policy judges every call. */
export const target = mprpcTarget({
  clientInterceptors: [],
  serverInterceptors: [],
  metadata: undefined,
  countEvents: false,
  carryContext: false,
  secured: "secret",
  policy: true,
});
