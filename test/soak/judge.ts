import type { FaultKind } from "./plan.js";
import type { Sample } from "./protocol.js";

/** Each caller is served again within this after each fault, and each provider that started serves. */
export const servedWithinMs = 15_000;
/** What a fault may make fail fails within this after it; a sample is a second long, and may be late. */
const aftermathMs = 8000;
const sampleSlackMs = 2000;
/**
 * How long an address that nobody took out of the list stays there: a session, and a tick of the server. Of a provider that
 * died or left while the server was away, from when that is back.
 */
const listedMs = 14_000;

/** What was done to the cluster, and for how long it was away. Unix time, ms. */
export interface Disturbance {
  kind: FaultKind;
  target: string;
  fromMs: number;
  /** Repaired; undefined until then. */
  toMs: number | undefined;
}

interface Expected {
  code: string;
  executed: readonly string[];
}

/** How calls of a kind end, whatever else happens; every other kind succeeds. Where the machine stalls a reply may win a race. */
const purposes: Readonly<Record<string, { mayBeOk: boolean; failure: Expected }>> = {
  cancelled: { mayBeOk: true, failure: { code: "CANCELLED", executed: ["never", "maybe"] } },
  largeCancelled: { mayBeOk: true, failure: { code: "CANCELLED", executed: ["never", "maybe"] } },
  late: { mayBeOk: true, failure: { code: "DEADLINE_EXCEEDED", executed: ["never", "maybe", "yes"] } },
  refused: { mayBeOk: false, failure: { code: "FAILED_PRECONDITION", executed: ["yes"] } },
  bug: { mayBeOk: false, failure: { code: "UNKNOWN", executed: ["yes"] } },
};

/**
 * What is near a sample: faults whose consequences may be in it; `away`, a provider that was ended and has not come back
 * for long; `listed`, one that was ended may still be in the list; `stall`, some process did not get to run, which is the machine's doing; `standstill`, one did not for so long
 * that it may have missed a ping.
 */
export type Nearby = FaultKind | "away" | "listed" | "stall" | "standstill";

interface Consequence extends Expected {
  /** Of calls of these kinds; of all when left out. */
  kinds?: readonly string[];
  /** All of them are near. */
  of: readonly Nearby[];
}

const anyway = ["maybe", "never"];

/**
 * What may fail besides, and because of what. A drain, a caller that leaves in peace, and a registry that is away cost
 * nobody a call but classic callers.
 */
const consequences: readonly Consequence[] = [
  // The connection was lost with the request on it, or before it was sent and with no time to go elsewhere.
  { code: "UNAVAILABLE", executed: anyway, of: ["kill"] },
  // The call that a handler had made was lost.
  { code: "ABORTED", executed: ["yes"], kinds: ["relay"], of: ["kill"] },
  // Nobody waits for a handler's answer any more, so nobody needs that of the call it has made.
  { code: "CANCELLED", executed: anyway, kinds: ["nested"], of: ["kill"] },
  { code: "CANCELLED", executed: anyway, kinds: ["nested"], of: ["killCaller"] },
  // The classic wire knows no retry and no word of leaving, and their list may be old.
  { code: "UNAVAILABLE", executed: anyway, kinds: ["classic"], of: ["away"] },
  { code: "UNAVAILABLE", executed: anyway, kinds: ["classic"], of: ["stall"] },
  { code: "UNAVAILABLE", executed: ["never"], kinds: ["classic"], of: ["listed"] },
  // Its callers take it for dead (keepalive.timeout).
  { code: "UNAVAILABLE", executed: anyway, of: ["standstill"] },
  { code: "ABORTED", executed: ["yes"], kinds: ["relay"], of: ["standstill"] },
  { code: "CANCELLED", executed: anyway, kinds: ["nested"], of: ["standstill"] },
];

/** Why this class of ends should not be there; undefined when it may. */
export function objection(name: string, count: number, nearby: ReadonlySet<Nearby>): string | undefined {
  const [kind = "", code = "", executed = ""] = name.split("|");
  const purpose = purposes[kind];
  if (code === "OK") return purpose?.mayBeOk === false ? `${count} ${kind} calls succeeded` : undefined;
  if (purpose?.failure.code === code && purpose.failure.executed.includes(executed)) return undefined;
  const expected = consequences.some(
    (row) =>
      row.code === code &&
      row.executed.includes(executed) &&
      (row.kinds?.includes(kind) ?? true) &&
      row.of.every((one) => nearby.has(one)),
  );
  if (expected) return undefined;
  const why = nearby.size === 0 ? "with no fault near" : `near ${[...nearby].join(", ")}`;
  return `${count} ${kind} calls ended ${code}, executed ${executed}, ${why}`;
}

/** An event loop that stands still for longer than this is a stall; a call at most waits for one. */
const stallMs = 700;
/** The half of the time a ping may take: it may have come late, too. */
const standstillMs = 2000;

/** When a process stood still. Unix time, ms. */
export interface Stall {
  kind: "stall" | "standstill";
  fromMs: number;
  toMs: number;
}

export function stallOf({ atMs, loopDelayMs }: Sample): Stall | undefined {
  const { max } = loopDelayMs;
  if (max < stallMs) return undefined;
  return { kind: max < standstillMs ? "stall" : "standstill", fromMs: atMs - 1000 - max, toMs: atMs };
}

/** A sample is judged so long after it was taken: those of processes that stood still come late. */
export const judgedAfterMs = 20_000;

/** What may have consequences in this sample. */
export function near(
  { atMs }: Sample,
  disturbances: readonly Disturbance[],
  stalls: readonly Stall[],
): Set<Nearby> {
  const found = new Set<Nearby>();
  const slackMs = aftermathMs + sampleSlackMs;
  for (const { kind, fromMs, toMs = Number.POSITIVE_INFINITY } of disturbances) {
    if (atMs < fromMs) continue;
    const listedFromMs = kind === "kill" ? fromMs : kind === "registry" ? toMs : Number.NEGATIVE_INFINITY;
    if (atMs <= listedFromMs + listedMs + sampleSlackMs) found.add("listed");
    if (atMs > toMs + slackMs) continue;
    if (kind === "kill" || kind === "drain") found.add("away");
    // Of a process that is killed the calls are lost at once; of one that leaves, until it has.
    if ((kind !== "kill" && kind !== "killCaller") || atMs <= fromMs + slackMs) found.add(kind);
  }
  for (const { kind, fromMs, toMs } of stalls) {
    if (atMs < fromMs || atMs > toMs + slackMs) continue;
    found.add("stall").add(kind);
  }
  return found;
}
