import { mprpcTarget } from "./mprpc-setup.js";

/** A node as it comes, over gRPC behind TLS, with the ciphers of Node.js and a certificate of ECDSA P-256. */
export const target = mprpcTarget({
  grpc: true,
  secured: true,
});
