import { createHash } from "node:crypto";
import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { bootId } from "./process-start.js";

let known: string | undefined;

/**
 * The same for processes of one user that see the same files, and so the same unix sockets: of one machine since its last start,
 * and of one container on it. Letters and digits.
 */
export function machineAndUser(): string {
  known ??= createHash("sha256")
    .update([bootId() ?? hostname(), mountNamespace(), process.getuid?.() ?? ""].join(" "))
    .digest("hex")
    .slice(0, 16);
  return known;
}

/** Linux: each container has one of its own. */
function mountNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/mnt");
  } catch {
    return "";
  }
}
