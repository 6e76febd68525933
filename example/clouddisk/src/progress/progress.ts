import type { Settings } from "../common/settings.js";
import type { Database } from "../dbproxy/client.js";
import { DatabaseProgress } from "./database-progress.js";

export type Claim =
  | { outcome: "claimed" }
  | { outcome: "busy"; owner: string }
  | { outcome: "recorded"; partHash: string };

export interface PartKey {
  uploadId: string;
  index: number;
  /** Who writes it; a name nobody else has. */
  owner: string;
}

/** Which parts of an upload have arrived, and who is writing which one right now. */
export interface ProgressStore {
  /** Also renews a claim that is this owner's already. */
  claim(key: PartKey, leaseMs: number): Promise<Claim>;
  /** False: the claim is not this owner's any more. */
  record(key: PartKey, partHash: string): Promise<boolean>;
  release(key: PartKey): Promise<void>;
  /** `claims`: how many parts are being written. */
  list(uploadId: string): Promise<{ parts: ReadonlyMap<number, string>; claims: number }>;
  clear(uploadId: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens what `[progress] url` names; Redis' client is loaded only then. Throws Error that names the key. */
export async function openProgress(settings: Settings, database: Database): Promise<ProgressStore> {
  const { progressUrl } = settings;
  if (progressUrl === "database:") return new DatabaseProgress(database);
  if (!/^rediss?:\/\//.test(progressUrl)) {
    throw new Error(
      `[progress] url: expected database: or redis://host:port/0, found ${JSON.stringify(progressUrl)}`,
    );
  }
  const { RedisProgress } = await import("./redis-progress.js");
  return new RedisProgress(progressUrl, settings.upload.uploadTtlMs);
}
