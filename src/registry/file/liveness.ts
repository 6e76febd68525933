import { existsSync, readlinkSync } from "node:fs";
import { lstat, lutimes, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import type { Clock, Timer } from "../../base/clock.js";
import { makeFolder } from "../../base/make-folder.js";
import { bootId, readStat, startTicks } from "../../base/process-start.js";

/** Identifies a process, or a thread of it, later: its number alone may be reused by then. */
export interface ProcessIdentity {
  pid: number;
  /** Linux: boot id and start time in ticks since boot. Together with `pid`, or `thread`, it is unique. */
  start?: string;
  /** Linux: the pid namespace the number is valid in; containers that share the folder differ in it. */
  namespace?: string;
  /** Linux: the system's number of the worker thread it is. Absent for the main thread, which lives as its process does. */
  thread?: number;
}

/** Whether the process, or the thread, runs; `undefined` when it cannot be judged from here. */
export type ProcessProbe = (identity: ProcessIdentity) => boolean | undefined;

/** The identity of the calling thread: a worker thread can end without its process. */
export function ownIdentity(): ProcessIdentity {
  const { pid } = process;
  const boot = bootId();
  const thread = isMainThread ? undefined : ownThread();
  const ticks = startTicks(readStat(taskOf({ pid, ...thread })) ?? "");
  if (boot === undefined || ticks === undefined) return { pid };
  return { pid, start: `${boot}:${ticks}`, namespace: readlinkSync("/proc/self/ns/pid"), ...thread };
}

/** The system answers about the calling thread, and a synchronous call runs on the thread itself. */
function ownThread(): { thread: number } | undefined {
  try {
    const [, thread] = /\/task\/(\d+)$/.exec(readlinkSync("/proc/thread-self")) ?? [];
    return thread === undefined ? undefined : { thread: Number(thread) };
  } catch {
    return undefined;
  }
}

function taskOf({ pid, thread }: ProcessIdentity): string {
  return thread === undefined ? `${pid}` : `${pid}/task/${thread}`;
}

/** Judges by /proc where the pid means the same here and there, else only what `kill(pid, 0)` proves. */
export function systemProbe(): ProcessProbe {
  const own = ownIdentity();
  const ownBoot = own.start?.split(":")[0];
  return (identity) => {
    if (own.start === undefined && identity.start === undefined) return signalProbe(identity.pid);
    const [boot, ticks] = identity.start?.split(":") ?? [];
    if (boot !== ownBoot || identity.namespace !== own.namespace) return undefined;
    const task = taskOf(identity);
    const text = readStat(task);
    if (text !== undefined) return startTicks(text) === ticks;
    // A thread that has ended. Looking whether it is there takes no file descriptor, and so does not fail for want of one.
    if (existsSync(`/proc/${identity.pid}`) && !existsSync(`/proc/${task}`)) return false;
    // Missing or unreadable: hidden from us (hidepid), or this process has no file descriptor left.
    return signalProbe(identity.pid);
  };
}

/** ESRCH proves that it is gone; anything else may be a new process with the old number. */
function signalProbe(pid: number): false | undefined {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH" ? false : undefined;
  }
}

const heartbeatMs = 2000;
/** Five missed heartbeats. */
const silenceMaxMs = 10_000;

interface Sighting {
  mtimeMs: number;
  /** The last moment it is known to have been alive, on our own monotonic clock. */
  aliveAtMs: number;
}

/**
 * Which processes still run. The probe decides where it can; where it cannot (another container, no /proc) a heartbeat
 * file does, which its owner touches every 2 s and which counts as silent after 10 s without a change seen from here.
 */
export class Liveness {
  readonly heartbeat: string;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #probe: ProcessProbe;
  readonly #sightings = new Map<string, Sighting>();
  #timer: Timer | undefined;
  #beating = false;
  #firstBeat: Promise<void> | undefined;

  /** `heartbeat`: a name of our own under `folder`. */
  constructor(folder: string, heartbeat: string, clock: Clock, probe: ProcessProbe = systemProbe()) {
    this.heartbeat = heartbeat;
    this.#folder = join(folder, ".heartbeats");
    this.#clock = clock;
    this.#probe = probe;
  }

  /** Starts our own heartbeat; the first beat is on disk when it resolves. */
  async start(): Promise<void> {
    if (!this.#beating) {
      this.#beating = true;
      this.#firstBeat = this.#beat().catch((error: unknown) => {
        this.#firstBeat = undefined;
        throw error;
      });
    }
    // Concurrent registrations all wait for it.
    await this.#firstBeat;
  }

  async stop(): Promise<void> {
    this.#beating = false;
    this.#timer?.cancel();
    await this.forget(this.heartbeat);
  }

  /** Whether the owner of an entry is `alive`, is `dead` for certain, or has merely been `silent` too long. */
  async judge(identity: ProcessIdentity, heartbeat: string): Promise<"alive" | "dead" | "silent"> {
    if (heartbeat === this.heartbeat) return "alive";
    const running = this.#probe(identity);
    if (running !== undefined) return running ? "alive" : "dead";
    return (await this.#heard(heartbeat)) ? "alive" : "silent";
  }

  async forget(heartbeat: string): Promise<void> {
    this.#sightings.delete(heartbeat);
    await rm(join(this.#folder, heartbeat), { force: true }).catch(() => {});
  }

  async #heard(heartbeat: string): Promise<boolean> {
    const nowMs = this.#clock.now();
    const found = await lstat(join(this.#folder, heartbeat)).catch(() => undefined);
    if (found === undefined) return false;
    const seen = this.#sightings.get(heartbeat);
    if (seen !== undefined && seen.mtimeMs === found.mtimeMs) return nowMs - seen.aliveAtMs <= silenceMaxMs;
    // At first sight only the wall clock can say how old it is; from then on our monotonic clock does.
    const ageMs = seen === undefined ? Math.max(0, this.#clock.wallNow() - found.mtimeMs) : 0;
    this.#sightings.set(heartbeat, { mtimeMs: found.mtimeMs, aliveAtMs: nowMs - ageMs });
    return ageMs <= silenceMaxMs;
  }

  async #beat(): Promise<void> {
    const path = join(this.#folder, this.heartbeat);
    const now = new Date(this.#clock.wallNow());
    try {
      // A link in its place is not followed: its target is somebody else's file.
      await lutimes(path, now, now).catch(async () => {
        await makeFolder(this.#folder, 0o700);
        await writeFile(path, "", { flag: "wx" });
        await lutimes(path, now, now);
      });
    } finally {
      if (this.#beating)
        this.#timer = this.#clock.setTimer(() => void this.#beat().catch(() => {}), heartbeatMs);
      else await rm(path, { force: true }).catch(() => {});
    }
  }
}
