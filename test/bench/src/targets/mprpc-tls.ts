import { mprpcTarget } from "./mprpc-setup.js";

/** `mprpc` over TLS, with the ciphers of Node.js and a certificate of ECDSA P-256. */
export const target = mprpcTarget({
  secured: true,
});
