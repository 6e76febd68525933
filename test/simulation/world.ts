import type { ClientInterceptor, RpcError, ServerInterceptor } from "../../src/index.js";
import type { SimulatedApp, Simulation } from "../../src/testing/index.js";
import type { CallRecord, Ledger } from "./ledger.js";
import type { Plan } from "./plan.js";
import type { StreamLedger } from "./streams.js";

/** Parts that are broken on purpose, to prove that the invariants notice. */
export interface Sabotage {
  /** What stands in for the app of a provider's or a caller's process. */
  providerApp?: (app: SimulatedApp) => SimulatedApp;
  callerApp?: (app: SimulatedApp) => SimulatedApp;
  serverInterceptors?: readonly ServerInterceptor[];
  clientInterceptors?: readonly ClientInterceptor[];
}

/** What every part of the scenario knows. */
export interface World {
  readonly sim: Simulation;
  readonly plan: Plan;
  readonly ledger: Ledger;
  readonly streams: StreamLedger;
  readonly sabotage: Sabotage;
}

/** Writes down how a call ends. */
export async function recorded(
  ledger: Ledger,
  record: CallRecord,
  call: Promise<{ text: string; data: Buffer } | undefined>,
): Promise<void> {
  try {
    ledger.succeed(record, await call);
  } catch (error) {
    ledger.fail(record, error as RpcError);
  }
}
