import { mprpcTarget } from "./mprpc-setup.js";

/** A node as it comes: the default deadline, no metadata, no interceptors; a provider that makes no calls itself. */
export const target = mprpcTarget();
