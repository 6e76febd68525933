import type { Logger } from "mprpc";
import type { Host } from "../common/part.js";
import type { Staging } from "../common/staging.js";
import type { DownloadServiceStub } from "../download/gen/download.js";
import type { ProgressStore } from "../progress/progress.js";
import type { Pace } from "./body.js";

/** Points in the life of a complete; a process may die at any of them. */
export type Step = "merging" | "hashed" | "renamed" | "finished" | "cleared";

/** What the parts of the upload service work with. */
export interface UploadContext {
  readonly host: Host;
  readonly staging: Staging;
  readonly progress: ProgressStore;
  readonly download: DownloadServiceStub;
  readonly log: Logger;
  /** Tells transfer that there is work; a failure is nobody's concern, since transfer looks by itself. */
  readonly submit: () => void;
  /** Default: `defaultPace`. */
  readonly pace?: Pace;
  /** Called at each step, before the next is begun: tests kill the process there. */
  readonly onStep?: (step: Step, uploadId: string) => Promise<void>;
}
