import type { Generated } from "kysely";
import type { ChangeKind, ContentState, UploadState } from "./actions.js";

// Times are milliseconds since 1970, sizes bytes; yes and no are 1 and 0.

interface UserTable {
  id: Generated<number>;
  user_name: string;
  /** What it is compared by. */
  name_key: string;
  user_pwd: string;
  signup_at: number;
  last_active: number;
  quota_bytes: number;
  used_bytes: number;
}

interface TokenTable {
  token_hash: string;
  user_id: number;
  created_at: number;
  expires_at: number;
}

/** A content, under however many names. */
interface FileTable {
  file_hash: string;
  size_bytes: number;
  state: ContentState;
  node: string;
  ref_count: number;
  created_at: number;
}

/** A name of a user: a file or a folder. */
interface UserFileTable {
  id: Generated<number>;
  user_id: number;
  parent_id: number;
  file_name: string;
  /** Case folded: what a search looks at. */
  name_key: string;
  /** What names are sorted by. */
  sort_key: string;
  /**
   * Where it is listed: the folder it is in, -1 for the trash. -2 what is in the trash with a folder above it, -3 what is being
   * deleted for good.
   */
  place: number;
  folder: number;
  file_hash: string;
  size_bytes: number;
  created_at: number;
  updated_at: number;
  /**
   * 0 when it is not in the trash; else the id of the entry that was put there: itself, or a folder above it. Its own id
   * negative: it is being deleted for good.
   */
  trash_root: number;
  trashed_at: number;
}

/** A folder in the trash that rows beneath it still follow. */
interface TrashingTable {
  root_id: number;
  user_id: number;
}

/** What `change.poll` gives; rows are forgotten after an hour. */
interface ChangeTable {
  id: Generated<number>;
  user_id: number;
  kind: ChangeKind;
  entry_id: number;
  parent_id: number;
  from_parent_id: number;
  file_name: string;
  folder: number;
  upload_id: string;
  size_bytes: number;
  parts_done: number;
  part_count: number;
  upload_state: UploadState | "";
  created_at: number;
}

interface UploadTable {
  id: string;
  user_id: number;
  file_hash: string;
  size_bytes: number;
  file_name: string;
  parent_id: number;
  part_bytes: number;
  part_count: number;
  node: string;
  state: UploadState;
  created_at: number;
  updated_at: number;
  entry_id: number;
  owner: string;
  lease_until: number;
}

interface UploadPartTable {
  upload_id: string;
  part_index: number;
  /** Empty while it is being written. */
  part_hash: string;
  owner: string;
  lease_until: number;
}

interface OutboxTable {
  id: Generated<number>;
  kind: "put" | "delete";
  file_hash: string;
  size_bytes: number;
  node: string;
  attempts: number;
  last_error: string;
  next_attempt: number;
  owner: string;
  lease_until: number;
  failed: number;
  created_at: number;
}

interface ChallengeTable {
  id: string;
  user_id: number;
  file_hash: string;
  question: string;
  expires_at: number;
}

interface SecretTable {
  name: string;
  value: string;
}

interface LeaseTable {
  name: string;
  owner: string;
  lease_until: number;
}

interface NodeTable {
  node: string;
  kind: "upload" | "download";
  url: string;
  valid_until: number;
}

export interface Tables {
  tbl_user: UserTable;
  tbl_user_token: TokenTable;
  tbl_file: FileTable;
  tbl_user_file: UserFileTable;
  tbl_trashing: TrashingTable;
  tbl_change: ChangeTable;
  tbl_upload: UploadTable;
  tbl_upload_part: UploadPartTable;
  tbl_outbox: OutboxTable;
  tbl_challenge: ChallengeTable;
  tbl_secret: SecretTable;
  tbl_lease: LeaseTable;
  tbl_node: NodeTable;
}
