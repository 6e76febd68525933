import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import os from "node:os";

/** Of this process; a test may start several nodes in one. */
const alive = new Set<string>();

function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}

/** Where process ids mean the same: this boot of this machine, and on Linux this container. */
const place = createHash("sha256")
  .update(os.hostname())
  .update(readOr(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")))
  .update(readOr(() => readlinkSync("/proc/self/ns/pid")))
  .digest("hex")
  .slice(0, 12);

/** A name no other process has, also not after a restart: `<node>@<place>:<pid>:<random>`. */
export function newInstance(node: string): string {
  const instance = `${node}@${place}:${process.pid}:${randomBytes(4).toString("hex")}`;
  alive.add(instance);
  return instance;
}

/** Of this process, also when another one gets its number after a restart. */
const boot = randomBytes(4).toString("hex");

/** For a temp file of this process: `isTempGone` tells when that is no more. */
export function tempName(): string {
  return `${place}.${process.pid}.${boot}.${randomBytes(8).toString("hex")}`;
}

/** Whether this is a temp file of a process of this place that has ended. */
export function isTempGone(name: string): boolean {
  const [, tempPlace, pid, owner] = /^([0-9a-f]{12})\.(\d+)\.([0-9a-f]{8})\.[0-9a-f]{16}$/.exec(name) ?? [];
  if (tempPlace !== place) return false;
  return Number(pid) === process.pid ? owner !== boot : !isRunning(Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** It holds nothing any more. */
export function endInstance(instance: string): void {
  alive.delete(instance);
}

/**
 * Whether what is owned by this name, an instance with anything after a `/`, has no owner any more. Only of processes of
 * this place can that be told; of others their leases must run out.
 */
export function isGone(owner: string): boolean {
  const [instance = ""] = owner.split("/");
  const [, ownerPlace, pid] = /@([0-9a-f]{12}):(\d+):[0-9a-f]{8}$/.exec(instance) ?? [];
  if (ownerPlace !== place) return false;
  if (Number(pid) === process.pid) return !alive.has(instance);
  return !isRunning(Number(pid));
}
