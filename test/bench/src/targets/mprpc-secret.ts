import { mprpcTarget } from "./mprpc-setup.js";

/** `mprpc` over TLS by a shared secret, so that the provider knows who calls. */
export const target = mprpcTarget({
  secured: "secret",
});
