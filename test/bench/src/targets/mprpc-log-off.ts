import { mprpcTarget } from "./mprpc-setup.js";

/** A node that would log each call, were the level of its log not above that. */
export const target = mprpcTarget({
  logCalls: "warn",
});
