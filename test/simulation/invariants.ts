import { Status } from "../../src/index.js";
import type { CallRecord, Ledger } from "./ledger.js";

/** A deadline is looked at every 4 ms, never early. */
const slackMs = 5;

export interface Expectations {
  /** Nothing but what the caller asked for may fail: no deadline is short and no fault was made. */
  readonly allSucceed: boolean;
  /** When the faults are over, everybody is served again. */
  readonly allRecover: boolean;
}

/** What must hold of every run; each line is one violation. */
export function violations(ledger: Ledger, { allSucceed, allRecover }: Expectations): string[] {
  const found = [...ledger.faults];
  for (const record of ledger.calls.values()) {
    found.push(...executionFaults(record, ledger.runs.get(record.key) ?? 0));
    if (ledger.factsOf(record.caller).dead) continue;
    found.push(...endFaults(record, ledger.factsOf(record.caller).pausedMs));
    if (allSucceed && record.error !== undefined && !isHandlersOwn(record)) {
      found.push(`${record.key} failed, and no fault was made: ${record.error.message}`);
    }
    if (allRecover && record.kind === "recovery" && record.error !== undefined) {
      found.push(`${record.key}: the faults are over, and yet: ${record.error.message}`);
    }
  }
  for (const [app, { dead, starts, ends }] of ledger.callers) {
    if (!dead && starts !== ends) found.push(`${app.host}: ${starts} calls began and ${ends} ended`);
  }
  return found;
}

/** What a call was told of its handler must agree with the handler's own count. */
function executionFaults({ key, kind, settled, error }: CallRecord, runs: number): string[] {
  const found: string[] = [];
  if (runs > 1) found.push(`${key} ran ${runs} times`);
  if (settled === 0) return found;
  if (error === undefined && kind !== "oneway" && runs !== 1) {
    found.push(`${key} succeeded, and its handler ran ${runs} times`);
  }
  if (error?.executed === "never" && runs !== 0)
    found.push(`${key} failed as never executed, and ran: ${error.message}`);
  if (error?.executed === "yes" && runs === 0)
    found.push(`${key} failed as executed, and never ran: ${error.message}`);
  return found;
}

/** Each call ends once, and by its deadline. */
function endFaults({ key, settled, settledMs, deadlineMs }: CallRecord, pausedMs: number): string[] {
  if (settled !== 1) return [`${key} ended ${settled} times`];
  const lateMs = settledMs - deadlineMs - pausedMs;
  return lateMs > slackMs ? [`${key} ended ${lateMs.toFixed(1)} ms after its deadline`] : [];
}

/** The handler failed it on purpose. */
function isHandlersOwn({ error }: CallRecord): boolean {
  return error?.code === Status.FAILED_PRECONDITION || error?.code === Status.UNKNOWN;
}
