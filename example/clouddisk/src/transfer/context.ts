import type { Logger } from "mprpc";
import type { Settings } from "../common/settings.js";
import type { Database } from "../dbproxy/client.js";
import type { ObjectStore } from "../store/store.js";
import type { StagedFiles } from "./staged.js";

/** Points in the life of a job; a process may die at any of them. */
export type Step = "claimed" | "opened" | "stored" | "done" | "removed" | "deleted";

/** What the parts of the transfer service work with. */
export interface TransferContext {
  readonly database: Pick<Database, "run">;
  readonly store: ObjectStore;
  readonly staged: StagedFiles;
  readonly log: Logger;
  /** Whose staged files these are. */
  readonly node: string;
  /** Owner of claims and leases. */
  readonly instance: string;
  readonly settings: Settings["transfer"];
  /** Called at each step, before the next is begun: tests kill the process there. */
  readonly onStep?: (step: Step, fileHash: string) => Promise<void>;
}

/** What went wrong will go wrong again: the job is given up, and somebody has to look. */
export class Hopeless extends Error {
  override readonly name = "Hopeless";
}
