import Type, { type Static, type TSchema } from "typebox";

/** What an action takes and gives. The parameters are checked against the schema before any SQL. */
export interface ActionContract<P extends TSchema = TSchema, R = unknown> {
  readonly params: P;
  /** Only a type. */
  readonly result?: R;
  /** It changes nothing, and no transaction that writes depends on what it gives. */
  readonly reads?: boolean;
  /** It may be lost in a power cut: whoever asked finds that out, and does it again. */
  readonly repeatable?: boolean;
}

const gives =
  <R>() =>
  <P extends TSchema>(params: P): ActionContract<P, R> => ({ params });

const reads =
  <R>() =>
  <P extends TSchema>(params: P): ActionContract<P, R> => ({ params, reads: true });

const repeats =
  <R>() =>
  <P extends TSchema>(params: P): ActionContract<P, R> => ({ params, repeatable: true });

// --- kinds of parameters

const id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** 0 is the top folder. */
const folderId = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const timeMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const durationMs = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** SHA-256 as 64 lower-case hex digits. */
const hash = Type.String({ pattern: "^[0-9a-f]{64}$" });
const username = Type.String({ minLength: 1, maxLength: 64 });
/** As the user sees it; what may stand in a name is checked in common/names.ts. */
const entryName = Type.String({ minLength: 1, maxLength: 255 });
const token = Type.String({ minLength: 1, maxLength: 128 });
const text = Type.String({ maxLength: 4096 });
const limit = Type.Integer({ minimum: 1, maximum: 1000 });
const entryIds = Type.Array(id, { minItems: 1, maxItems: 1000 });
/** Of a change; 0: before all of them. */
const cursor = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const partIndex = Type.Integer({ minimum: 0, maximum: 1_000_000 });

// --- rows as callers see them; times are milliseconds since 1970

export interface UserRow {
  id: number;
  username: string;
  passwordHash: string;
  signupAtMs: number;
  lastActiveMs: number;
  quotaBytes: number;
  usedBytes: number;
}

/** Where a content is: `local` staged on `node` only, `stored` in the object store, `deleting` when nobody holds it. */
export type ContentState = "local" | "stored" | "deleting";
export type TransferState = "local" | "storing" | "stored" | "failed";

export interface ContentRow {
  fileHash: string;
  sizeBytes: number;
  state: ContentState;
  /** Whose staging folder has it, while it is `local`. */
  node: string;
  refCount: number;
}

export interface EntryRow {
  id: number;
  userId: number;
  parentId: number;
  name: string;
  folder: boolean;
  /** Empty for a folder. */
  fileHash: string;
  sizeBytes: number;
  createdAtMs: number;
  updatedAtMs: number;
  /** 0: not in the trash. Everything beneath a trashed folder goes with it and is not listed in the trash itself. */
  trashedAtMs: number;
  /** Of the content; empty for a folder. */
  state: TransferState | "";
}

export type UploadState = "open" | "merging" | "done" | "cancelled" | "expired";

export interface UploadRow {
  /** 32 hex digits, random. */
  id: string;
  userId: number;
  fileHash: string;
  sizeBytes: number;
  name: string;
  parentId: number;
  partBytes: number;
  partCount: number;
  node: string;
  state: UploadState;
  createdAtMs: number;
  updatedAtMs: number;
  /** Of the entry it became; 0 before. */
  entryId: number;
}

export type ChangeKind = "added" | "renamed" | "moved" | "trashed" | "restored" | "deleted" | "upload";

/** Something that happened to an entry of a user, or how far one of his uploads in parts is. */
export interface ChangeRow {
  /** Of one user a later change has a higher one. */
  id: number;
  userId: number;
  kind: ChangeKind;
  /** 0 for an upload. */
  entryId: number;
  parentId: number;
  fromParentId: number;
  name: string;
  folder: boolean;
  /** Empty for an entry, and so on. */
  uploadId: string;
  sizeBytes: number;
  partsDone: number;
  partCount: number;
  uploadState: UploadState | "";
  createdAtMs: number;
}

export interface OutboxJob {
  id: number;
  kind: "put" | "delete";
  fileHash: string;
  sizeBytes: number;
  node: string;
  attempts: number;
}

const nodeKind = Type.Union([Type.Literal("upload"), Type.Literal("download")]);

/**
 * A name that is taken gets " (1)", " (2)" and so on before its extension with `rename`; taken by a file with the same
 * content, it is that file.
 */
const onConflict = Type.Union([Type.Literal("rename"), Type.Literal("fail")]);

export type EntryOutcome =
  /** `more`: rows beneath a folder in the trash follow it with `entry.purge`. */
  | { outcome: "ok"; entry: EntryRow; more?: true }
  | { outcome: "not_found" | "no_parent" | "conflict" | "cycle" | "too_deep" };

/**
 * Every action of dbproxy. Each is one transaction of its own, or part of the one of its batch. What goes wrong in the
 * ordinary course is an `outcome`; only a broken database or bad parameters fail the call.
 */
export const actions = {
  // --- users and sessions
  "user.create": gives<{ created: boolean; id: number }>()(
    Type.Object({ username, passwordHash: text, quotaBytes: bytes }),
  ),
  "user.find": reads<{ user: UserRow | null }>()(Type.Object({ username })),
  "user.get": reads<{ user: UserRow | null }>()(Type.Object({ userId: id })),
  /** The one who signed up first; null: there is none. */
  "user.first": reads<{ id: number | null }>()(Type.Object({})),
  /** Also moves `lastActive` of the user. */
  "session.create": gives<Record<never, never>>()(
    Type.Object({ userId: id, tokenHash: hash, expiresAtMs: timeMs }),
  ),
  /** Only one that has not expired. */
  "session.find": reads<{ session: { userId: number; username: string; expiresAtMs: number } | null }>()(
    Type.Object({ tokenHash: hash }),
  ),
  "session.delete": gives<{ deleted: number }>()(Type.Object({ tokenHash: hash })),
  "session.deleteExpired": gives<{ deleted: number }>()(Type.Object({})),
  /** The value under this name; `proposed` becomes it when there is none. All who ask get the same. */
  "secret.get": gives<{ value: string }>()(Type.Object({ name: text, proposed: text })),

  // --- a user's files and folders
  "entry.get": reads<{ entry: EntryRow | null; parents: EntryRow[] }>()(Type.Object({ userId: id, id })),
  /** The oldest entry with this content that is not in the trash; of several names `id` or `name` says which. */
  "entry.byHash": reads<{ entry: EntryRow | null }>()(
    Type.Object({
      userId: id,
      fileHash: hash,
      id: Type.Optional(id),
      name: Type.Optional(Type.String({ maxLength: 4096 })),
    }),
  ),
  /** The newest files (no folders) of a user wherever they are, not those in the trash. */
  "entry.recent": reads<{ entries: EntryRow[] }>()(Type.Object({ userId: id, limit })),
  /**
   * Folders first, then by `sort`. With `query` (case does not count) entries everywhere; with `trashed` what was put into
   * the trash. `path` is the names of the folders above, "a/b". `parents` is the way to `parentId`, from the top. A search looks
   * at `rowsMax` names (30,000 by default) of each kind: with more its page may have fewer entries than `limit`, or none, and
   * still a cursor; `total` is then what was found so far.
   */
  "entry.list": reads<
    | {
        outcome: "ok";
        entries: Array<EntryRow & { path: string }>;
        total: number;
        nextCursor: string;
        parents: EntryRow[];
      }
    | { outcome: "not_found" | "bad_cursor" }
  >()(
    Type.Object({
      userId: id,
      parentId: folderId,
      trashed: Type.Boolean(),
      query: Type.String({ maxLength: 255 }),
      sort: Type.Union([Type.Literal("name"), Type.Literal("size"), Type.Literal("updated")]),
      descending: Type.Boolean(),
      limit,
      rowsMax: Type.Optional(Type.Integer({ minimum: 1 })),
      cursor: Type.String({ maxLength: 1024 }),
    }),
  ),
  /** With `reuse` a folder of this name that is there already is given. */
  "entry.createFolder": gives<EntryOutcome>()(
    Type.Object({ userId: id, parentId: folderId, name: entryName, reuse: Type.Boolean() }),
  ),
  "entry.rename": gives<EntryOutcome>()(Type.Object({ userId: id, id, name: entryName })),
  /** `cycle`: a folder into itself or beneath itself. `too_deep`: folders stand at most 1,000 deep. */
  "entry.move": gives<EntryOutcome>()(Type.Object({ userId: id, id, parentId: folderId })),
  "entry.trash": gives<EntryOutcome>()(Type.Object({ userId: id, id })),
  /** Back to where it was; to the top when that folder is gone; a name taken meanwhile gets a number. */
  "entry.restore": gives<EntryOutcome>()(Type.Object({ userId: id, id })),
  /** Of many, in their order; gives results of the first ones only when those were more rows than `rowsMax`. */
  "entry.batch": gives<{ results: EntryOutcome[] }>()(
    Type.Object({
      userId: id,
      operation: Type.Union([Type.Literal("trash"), Type.Literal("restore"), Type.Literal("move")]),
      ids: entryIds,
      parentId: folderId,
      rowsMax: limit,
    }),
  ),
  /** Takes these out of the trash to delete them for good; gives those that were in it. */
  "entry.discard": gives<{ ids: number[] }>()(Type.Object({ userId: id, ids: entryIds })),
  /** The same with what is in the trash since then or for longer, at most `limit`. */
  "entry.discardTrash": gives<{ discarded: number }>()(
    Type.Object({ userId: id, trashedUntilMs: timeMs, limit }),
  ),
  /**
   * Has rows follow the folders they are in into the trash; then deletes rows of what was discarded. Gives back quota and references; a content nobody holds any more becomes
   * `deleting`, with a delete job in the outbox.
   */
  "entry.purge": gives<{ deleted: number; more: boolean }>()(Type.Object({ userId: id, limit })),
  /** How many rows were discarded, or are in the trash since then or for longer, and are there still. */
  "entry.purgeable": reads<{ rows: number }>()(Type.Object({ userId: id, trashedUntilMs: timeMs })),
  /** Of every user: discards at most `limit` old entries of the trash, and purges some of what was discarded by whomever. */
  "trash.purge": gives<{ deleted: number; more: boolean }>()(Type.Object({ trashedBeforeMs: timeMs, limit })),
  /** A further name for a content that is there and not `deleting` (instant upload). */
  "entry.link": gives<
    { outcome: "ok"; entry: EntryRow } | { outcome: "no_content" | "no_parent" | "conflict" | "quota" }
  >()(Type.Object({ userId: id, parentId: folderId, name: entryName, fileHash: hash, onConflict })),

  // --- contents
  "content.get": reads<{ content: ContentRow | null }>()(Type.Object({ fileHash: hash })),

  // --- uploads in parts, and whole files
  /** `too_many`: the user has `openMax` open. `quota`: used bytes, what is open already and this one together exceed it. */
  "upload.create": gives<{
    outcome: "ok" | "quota" | "no_parent" | "too_many";
    quotaBytes: number;
    usedBytes: number;
  }>()(
    Type.Object({
      id: Type.String({ pattern: "^[0-9a-f]{32}$" }),
      userId: id,
      fileHash: hash,
      sizeBytes: bytes,
      name: entryName,
      parentId: folderId,
      partBytes: Type.Integer({ minimum: 1 }),
      partCount: partIndex,
      node: text,
      openMax: Type.Optional(limit),
    }),
  ),
  /** Only the user's own. */
  "upload.get": reads<{ upload: UploadRow | null }>()(Type.Object({ id: token, userId: id })),
  /** By id alone, for the cleaner. */
  "upload.peek": reads<{ upload: UploadRow | null }>()(Type.Object({ id: token })),
  /** The user's open ones, the newest first; `file` narrows it to those of one file under one name. */
  "upload.open": reads<{ uploads: UploadRow[] }>()(
    Type.Object({
      userId: id,
      file: Type.Optional(
        Type.Object({ fileHash: hash, sizeBytes: bytes, name: entryName, parentId: folderId }),
      ),
      limit,
    }),
  ),
  /** Moves `updatedAt`, so that it does not expire. False: it is not open any more. */
  "upload.touch": gives<{ open: boolean }>()(Type.Object({ id: token })),
  /**
   * open -> merging by compare-and-set, for `owner` until the lease runs out; a merging one whose lease ran out is taken over.
   * `busy`: another owner is at it. `done` gives the entry it became.
   */
  "upload.startMerge": gives<
    | { outcome: "started"; upload: UploadRow }
    | { outcome: "done"; upload: UploadRow; entry: EntryRow | null }
    | { outcome: "busy"; owner: string }
    | { outcome: "closed" | "not_found" }
  >()(Type.Object({ id: token, userId: id, owner: text, leaseMs: durationMs })),
  /** Back to open: the hash was wrong or parts are missing. */
  "upload.stopMerge": gives<{ stopped: boolean }>()(Type.Object({ id: token, owner: text })),
  /**
   * In one transaction: the content row (or one more reference), the user's entry, the quota, a put job in the outbox
   * unless the content is stored already, and the upload done. `lost`: the lease is another's by now.
   * `staged` says whether the staged file is needed (true) or may be deleted (the content is stored already).
   */
  "upload.finish": gives<
    { outcome: "ok"; entry: EntryRow; staged: boolean } | { outcome: "lost" | "quota" }
  >()(Type.Object({ id: token, owner: text })),
  /** The same for a whole file that was never an upload in parts. */
  "upload.whole": gives<
    { outcome: "ok"; entry: EntryRow; staged: boolean } | { outcome: "quota" | "no_parent" }
  >()(
    Type.Object({
      userId: id,
      parentId: folderId,
      name: entryName,
      fileHash: hash,
      sizeBytes: bytes,
      node: text,
      onConflict,
    }),
  ),
  /** `busy`: it is being merged. Of one that is done, cancelled or expired: `closed`. */
  "upload.cancel": gives<{ outcome: "ok" | "busy" | "closed" | "not_found" }>()(
    Type.Object({ id: token, userId: id }),
  ),
  /** Marks the node's open uploads not touched since then as expired, and gives them; forgets those closed for as long. */
  "upload.expire": gives<{ ids: string[] }>()(Type.Object({ node: text, touchedBeforeMs: timeMs, limit })),

  // --- what changed, for who watches
  /**
   * Where a user's changes begin for who has seen those up to `after`, or none. Not `complete`: what came after it has been forgotten,
   * and the cursor is the newest.
   */
  "change.begin": reads<{ cursor: number; complete: boolean }>()(
    Type.Object({ userId: id, after: Type.Optional(cursor) }),
  ),
  /** What these users' changes are since then, the oldest first, `more` when not all; and which of the sessions are over. */
  "change.poll": reads<{ changes: ChangeRow[]; ended: string[]; more: boolean }>()(
    Type.Object({
      watches: Type.Array(Type.Object({ userId: id, after: cursor }), { maxItems: 200 }),
      sessions: Type.Array(hash, { maxItems: 1000 }),
    }),
  ),
  /** So many parts of an open upload have arrived. */
  "change.upload": repeats<Record<never, never>>()(
    Type.Object({ id: token, userId: id, partsDone: partIndex }),
  ),
  /** Forgets what happened before that, at most `limit` of it. */
  "change.prune": gives<{ deleted: number; more: boolean }>()(
    Type.Object({ createdBeforeMs: timeMs, limit }),
  ),

  // --- parts received, when they are kept in the database
  /** `claimed` for this owner until the lease runs out; `recorded` with the hash it has; `busy`: another writes it. */
  "part.claim": repeats<
    { outcome: "claimed" } | { outcome: "busy"; owner: string } | { outcome: "recorded"; partHash: string }
  >()(Type.Object({ uploadId: token, index: partIndex, owner: text, leaseMs: durationMs })),
  /** False: the claim is not this owner's any more. */
  "part.record": gives<{ recorded: boolean }>()(
    Type.Object({ uploadId: token, index: partIndex, owner: text, partHash: hash }),
  ),
  "part.release": repeats<Record<never, never>>()(
    Type.Object({ uploadId: token, index: partIndex, owner: text }),
  ),
  /** `claims`: how many are being written right now. */
  "part.list": reads<{ parts: Array<{ index: number; partHash: string }>; claims: number }>()(
    Type.Object({ uploadId: token }),
  ),
  "part.clear": gives<Record<never, never>>()(Type.Object({ uploadId: token })),

  // --- challenges of instant upload
  "challenge.create": gives<Record<never, never>>()(
    Type.Object({ id: token, userId: id, fileHash: hash, question: text, expiresAtMs: timeMs }),
  ),
  /** Gives it once; a second take finds nothing. */
  "challenge.take": gives<{ question: string | null }>()(
    Type.Object({ id: token, userId: id, fileHash: hash }),
  ),
  "challenge.deleteExpired": gives<{ deleted: number }>()(Type.Object({})),

  // --- outbox: what the store still has to be told
  /**
   * Jobs that are due, at most one per content, put jobs only of this node; leased to `owner`. `dueForMs`: only those that have been due for so long,
   * or were begun by an owner who is silent.
   */
  "outbox.claim": repeats<{ jobs: OutboxJob[] }>()(
    Type.Object({ node: text, owner: text, limit, leaseMs: durationMs, dueForMs: Type.Optional(timeMs) }),
  ),
  /** The job of this content, due or not; null when it has none for this node, or another owner has it for `heldForMs`. */
  "outbox.take": repeats<{ job: OutboxJob | null; heldForMs: number }>()(
    Type.Object({ fileHash: hash, node: text, owner: text, leaseMs: durationMs }),
  ),
  "outbox.renew": repeats<{ held: boolean }>()(Type.Object({ id, owner: text, leaseMs: durationMs })),
  /**
   * put: the content becomes `stored`; when nobody holds it any more by now, `deleting` with a delete job.
   * delete: the content row goes, unless somebody holds it again, then it becomes `local` with a put job.
   */
  "outbox.done": repeats<{ held: boolean }>()(Type.Object({ id, owner: text })),
  "outbox.retry": repeats<{ held: boolean }>()(
    Type.Object({ id, owner: text, error: text, nextAttemptMs: timeMs, failed: Type.Boolean() }),
  ),
  /** Makes every waiting job of a content (or all, without one) due now. */
  "outbox.wake": repeats<{ woken: number }>()(Type.Object({ fileHash: Type.Optional(hash) })),
  "outbox.status": reads<{
    state: TransferState | "";
    attempts: number;
    lastError: string;
    nextAttemptMs: number;
  }>()(Type.Object({ fileHash: hash })),
  "outbox.depth": reads<{ waiting: number; running: number; failed: number }>()(Type.Object({})),

  // --- nodes: where the upload and the download of a data folder are
  "node.announce": repeats<Record<never, never>>()(
    Type.Object({ node: text, kind: nodeKind, url: text, ttlMs: durationMs }),
  ),
  /** null: it has not said so lately. */
  "node.find": reads<{ url: string | null }>()(Type.Object({ node: text, kind: nodeKind })),

  // --- scheduled work
  /** One owner at a time over all processes; the same owner may take it again. */
  "lease.take": repeats<{ taken: boolean }>()(Type.Object({ name: text, owner: text, leaseMs: durationMs })),
  /** Contents in the order of their hashes, after `afterHash` (empty: from the start). */
  "content.page": reads<{ contents: ContentRow[] }>()(
    Type.Object({ afterHash: Type.String({ maxLength: 64 }), limit }),
  ),
  /** A stored content whose object is gone or wrong. With a good staged copy on `node` it is put again. */
  "content.repair": gives<{ repaired: boolean }>()(Type.Object({ fileHash: hash, node: text })),
  /** Counts references and used bytes afresh; gives how many were wrong. */
  "content.recount": gives<{ contents: number; users: number }>()(Type.Object({})),
} satisfies Record<string, ActionContract>;

export type ActionName = keyof typeof actions;
export type ParamsOf<N extends ActionName> = Static<(typeof actions)[N]["params"]>;
export type ResultOf<N extends ActionName> =
  (typeof actions)[N] extends ActionContract<infer _P, infer R> ? R : never;
