import { mprpcStreams } from "./mprpc.js";

/** The same over gRPC. */
export const target = mprpcStreams(true);
