import { mprpcTarget } from "./mprpc-setup.js";

/** A node that logs each call. */
export const target = mprpcTarget({
  logCalls: "info",
});
