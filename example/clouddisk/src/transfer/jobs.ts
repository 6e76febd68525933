import type { ContentRow, OutboxJob } from "../dbproxy/actions.js";
import { StoreError } from "../store/store.js";
import { Hopeless, type Step, type TransferContext } from "./context.js";
import type { JobLease } from "./lease.js";
import type { StagedFile } from "./staged.js";

/**
 * Does a job of the outbox, as often as it is given: every step finds out how far an earlier attempt came. Rejects when it
 * is worth another try, with Hopeless when it is not.
 *
 *     put      staged copy -> store -> read back and hashed -> row says stored -> staged copy deleted
 *     delete   object deleted -> row deleted
 */
export async function doJob(context: TransferContext, job: OutboxJob, lease: JobLease): Promise<void> {
  const step = async (name: Step): Promise<void> => context.onStep?.(name, job.fileHash);
  await step("claimed");
  if (job.kind === "delete") {
    // A delete that comes late could take an object that was stored anew meanwhile.
    await lease.confirm();
    await context.store.delete(job.fileHash, lease.signal);
    await step("deleted");
    await finish(context, job);
    await step("done");
    return;
  }
  const staged = await openStaged(context, job.fileHash);
  try {
    await step("opened");
    await ensureStored(context, job, staged, lease.signal);
    await step("stored");
    if (!(await finish(context, job))) return;
    await step("done");
    if (staged !== undefined) await removeOrLeave(context, staged);
    await step("removed");
  } finally {
    await staged?.close();
  }
}

/** The job is done by now: a failure here only leaves a file to the cleaner. */
async function removeOrLeave(context: TransferContext, staged: StagedFile): Promise<void> {
  try {
    await removeStaged(context, staged);
  } catch (error) {
    const fields = {
      fileHash: staged.fileHash,
      error: error instanceof Error ? error.message : String(error),
    };
    context.log.warn("a staged copy is left to the cleaner", fields);
  }
}

async function openStaged(context: TransferContext, fileHash: string): Promise<StagedFile | undefined> {
  const staged = await context.staged.open(fileHash);
  if (staged !== undefined || !(await context.staged.recover(fileHash))) return staged;
  return context.staged.open(fileHash);
}

/** False: it is another worker's by now, who also sees to the staged copy. */
async function finish(context: TransferContext, job: OutboxJob): Promise<boolean> {
  const { held } = await context.database.run("outbox.done", { id: job.id, owner: context.instance });
  if (held) {
    context.log.info(job.kind === "put" ? "stored" : "deleted", {
      fileHash: job.fileHash,
      sizeBytes: job.sizeBytes,
      attempt: job.attempts + 1,
    });
  }
  return held;
}

/** Afterwards the store has it, read back and hashed. */
async function ensureStored(
  context: TransferContext,
  job: OutboxJob,
  staged: StagedFile | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { store } = context;
  const { fileHash, sizeBytes } = job;
  const there = (await store.sizeOf(fileHash, signal)) !== undefined;
  const before = there ? await store.verify(fileHash, sizeBytes, signal) : "missing";
  if (before === "good") return;
  if (staged === undefined) {
    throw new Hopeless(
      `${fileHash}: the staged copy is missing, and its object in ${store.name} is ${before}`,
    );
  }
  if (staged.sizeBytes !== sizeBytes) {
    throw new Hopeless(
      `${fileHash}: the staged copy ${staged.path} is corrupt: ${staged.sizeBytes} bytes instead of ${sizeBytes}`,
    );
  }
  try {
    // A store may keep what it has under this name.
    if (before === "wrong") await store.delete(fileHash, signal);
    await store.put(fileHash, sizeBytes, staged.path, signal);
  } catch (error) {
    if (error instanceof StoreError && error.reason === "wrong") await checkStaged(staged, signal);
    throw error;
  }
  const after = await store.verify(fileHash, sizeBytes, signal);
  if (after === "good") return;
  await checkStaged(staged, signal);
  throw new StoreError(after, `${store.name}: ${fileHash} is ${after} right after it was put`);
}

async function checkStaged(staged: StagedFile, signal: AbortSignal): Promise<void> {
  const actual = await staged.hash(signal);
  if (actual === staged.fileHash) return;
  throw new Hopeless(
    `${staged.fileHash}: the staged copy ${staged.path} is corrupt: its SHA-256 is ${actual}`,
  );
}

/**
 * Deletes a staged copy that nobody needs. One whose content is not stored yet stays, and so does one whose object is not in the
 * store although the row says so: then it is put again. True: it was deleted.
 */
export async function removeStaged(context: TransferContext, staged: StagedFile): Promise<boolean> {
  const { fileHash } = staged;
  const { content } = await context.database.run("content.get", { fileHash });
  if (content !== null && isNeeded(content)) return false;
  if (content?.state === "stored" && (await context.store.sizeOf(fileHash)) !== content.sizeBytes) {
    await repair(context, staged, content.sizeBytes);
    return false;
  }
  return context.staged.remove(staged);
}

/** Held again while its object is being deleted, it becomes `local` as soon as that is done. */
function isNeeded({ state, refCount }: ContentRow): boolean {
  return state === "local" || (state === "deleting" && refCount > 0);
}

/** Has a content whose object is bad put again from the staged copy, when that is good. */
export async function repair(
  context: TransferContext,
  staged: StagedFile,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const { fileHash } = staged;
  if (staged.sizeBytes !== sizeBytes || (await staged.hash(signal)) !== fileHash) return false;
  await context.staged.renew(fileHash);
  const { repaired } = await context.database.run("content.repair", { fileHash, node: context.node });
  if (repaired) context.log.warn("an object is gone or wrong; put again from its staged copy", { fileHash });
  return repaired;
}
