import { mprpcTarget } from "./mprpc-setup.js";

/** A node as it comes, over gRPC. */
export const target = mprpcTarget({
  grpc: true,
});
