import { mprpcTarget } from "./mprpc-setup.js";

/** `mprpc-secret`, and a policy judges every call. */
export const target = mprpcTarget({
  secured: "secret",
  policy: true,
});
