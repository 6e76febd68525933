/**
 * What one upload is doing:
 *
 *   waiting -> hashing -> checking -> sending -> finishing -> done
 *                            |  (the disk has the content) ----^
 *   finishing -> hashing (the disk found other bytes)
 *   each of the first five -> paused -> waiting
 *                          -> failed -> waiting
 *   all but done           -> cancelled
 *
 * A reply that comes late changes nothing: an event the phase does not know is ignored.
 */
export type Phase =
  | "waiting"
  | "hashing"
  | "checking"
  | "sending"
  | "finishing"
  | "paused"
  | "done"
  | "failed"
  | "cancelled";

export interface UploadState {
  phase: Phase;
  sizeBytes: number;
  hashedBytes: number;
  /** At the disk, those of earlier attempts too. */
  sentBytes: number;
  /** Nothing was sent: the disk had it. */
  instant: boolean;
  /** The file is not what it was when the upload began; what is sent is how it is now. */
  changed: boolean;
  /** Set when `failed`. */
  error: unknown;
}

export type UploadEvent =
  | { type: "hash" }
  | { type: "hashed"; bytes: number }
  | { type: "rehash" }
  | { type: "changed" }
  | { type: "check" }
  | { type: "send"; existingBytes: number }
  | { type: "sent"; bytes: number }
  | { type: "finish" }
  | { type: "done"; instant: boolean }
  | { type: "fail"; error: unknown }
  | { type: "pause" }
  | { type: "resume" }
  | { type: "retry" }
  | { type: "cancel" };

export const activePhases: readonly Phase[] = ["waiting", "hashing", "checking", "sending", "finishing"];

const from: Readonly<Record<UploadEvent["type"], readonly Phase[]>> = {
  hash: ["waiting"],
  hashed: ["hashing"],
  rehash: ["finishing"],
  changed: activePhases,
  check: ["waiting", "hashing"],
  send: ["checking", "sending", "finishing"],
  sent: ["sending"],
  finish: ["sending"],
  done: ["checking", "finishing"],
  fail: activePhases,
  pause: activePhases,
  resume: ["paused"],
  retry: ["failed", "cancelled"],
  cancel: [...activePhases, "paused", "failed"],
};

export function newUpload(sizeBytes: number): UploadState {
  return {
    phase: "waiting",
    sizeBytes,
    hashedBytes: 0,
    sentBytes: 0,
    instant: false,
    changed: false,
    error: undefined,
  };
}

/** The same object when nothing changes. */
export function reduceUpload(state: UploadState, event: UploadEvent): UploadState {
  if (!from[event.type].includes(state.phase)) return state;
  const bounded = (bytes: number): number => Math.min(state.sizeBytes, Math.max(0, bytes));
  switch (event.type) {
    case "hash":
      return { ...state, phase: "hashing" };
    case "rehash":
      return { ...state, phase: "hashing", hashedBytes: 0, sentBytes: 0 };
    case "changed":
      return { ...state, changed: true, sentBytes: 0 };
    case "hashed":
      return { ...state, hashedBytes: bounded(event.bytes) };
    case "check":
      return { ...state, phase: "checking", hashedBytes: state.sizeBytes };
    case "send":
      return { ...state, phase: "sending", sentBytes: bounded(event.existingBytes) };
    case "sent":
      return { ...state, sentBytes: bounded(event.bytes) };
    case "finish":
      return { ...state, phase: "finishing", sentBytes: state.sizeBytes };
    case "done":
      return { ...state, phase: "done", sentBytes: state.sizeBytes, instant: event.instant };
    case "fail":
      return { ...state, phase: "failed", error: event.error };
    case "pause":
      return { ...state, phase: "paused" };
    case "resume":
      return { ...state, phase: "waiting" };
    case "retry":
      return { ...state, phase: "waiting", hashedBytes: 0, error: undefined };
    case "cancel":
      return { ...state, phase: "cancelled" };
  }
}

/** What the bar shows: hashing is the first tenth, as it is that much quicker than sending. */
export function progressOf(state: UploadState): number {
  if (state.phase === "done") return 1;
  if (state.sizeBytes === 0) return 0;
  const { hashedBytes, sentBytes, sizeBytes } = state;
  return (0.1 * hashedBytes + 0.9 * sentBytes) / sizeBytes;
}
