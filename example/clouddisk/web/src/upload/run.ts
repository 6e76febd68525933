import { type Api, ApiError, Code, type FileFacts, type UploadSession } from "../api.js";
import { type Hasher, readable } from "./hasher.js";
import { attemptsMax, backoffMs } from "./persist.js";
import type { UploadEvent } from "./state.js";
import { type Slots, wait } from "./wait.js";

export interface UploadJob {
  file: File;
  /** The hash, when it is known from an earlier attempt. */
  knownHash: string | undefined;
  /** The folder the file goes to, made when it is missing. `again`: the one found before is not there any more. */
  findParent: (again: boolean) => Promise<number>;
  dispatch: (event: UploadEvent) => void;
  /** What the file's bytes are; called again should they turn out to be others. */
  onHash: (hash: string) => void;
  /** Before the first byte goes. */
  onSession: (facts: FileFacts, uploadId: string) => void;
  signal: AbortSignal;
}

export interface UploadTools {
  api: Api;
  hasher: Hasher;
  /** Parts on their way at a time, of all files: browsers open six connections to a host, and the page needs some. */
  slots: Slots;
}

/**
 * What ends an upload, in words of the page. `changed`: the file keeps changing while it is sent. `mismatch`: the disk got other
 * bytes than the file has. `damaged`: a part arrives damaged, however often it is sent.
 */
export class UploadRefused extends Error {
  override readonly name = "UploadRefused";
  readonly why: "changed" | "mismatch" | "damaged";

  constructor(why: "changed" | "mismatch" | "damaged") {
    super(why);
    this.why = why;
  }
}

/** Brings one file to the disk; resolves when it is listed there. Done again, it goes on where it stopped. */
export async function runUpload(job: UploadJob, tools: UploadTools): Promise<void> {
  const { dispatch, onHash } = job;
  let hash = job.knownHash;
  if (hash === undefined) {
    dispatch({ type: "hash" });
    hash = await hashFile(job, tools);
  }
  onHash(hash);
  dispatch({ type: "check" });
  const outcome = await bring(job, tools, hash);
  if (outcome !== "other bytes") return dispatch({ type: "done", instant: outcome === "instant" });
  // To send the same parts again would end the same way. What is the file now?
  dispatch({ type: "rehash" });
  const now = await hashFile(job, tools);
  if (now === hash) throw new UploadRefused("mismatch");
  onHash(now);
  dispatch({ type: "check" });
  const second = await bring(job, tools, now);
  if (second === "other bytes") throw new UploadRefused("changed");
  dispatch({ type: "done", instant: second === "instant" });
}

function hashFile({ file, dispatch, signal }: UploadJob, { hasher }: UploadTools): Promise<string> {
  return hasher.hash(file, signal, (bytes) => dispatch({ type: "hashed", bytes }));
}

async function bring(
  job: UploadJob,
  tools: UploadTools,
  hash: string,
): Promise<"instant" | "sent" | "other bytes"> {
  const begun = await inFolder(job, tools, async (parentId) => {
    const facts: FileFacts = { name: job.file.name, hash, sizeBytes: job.file.size, parentId };
    if (await tryInstant(job, tools, facts)) return undefined;
    return {
      facts,
      session: await tools.api.persist(job.signal, () => tools.api.initUpload(facts, job.signal)),
    };
  });
  if (begun === undefined) return "instant";
  return (await sendAll(job, tools, begun.facts, begun.session)) ? "sent" : "other bytes";
}

/** A folder may have gone to the trash since it was found: then it is looked for, and made, once more. */
async function inFolder<T>(
  job: UploadJob,
  tools: UploadTools,
  work: (parentId: number) => Promise<T>,
): Promise<T> {
  const find = (again: boolean): Promise<number> =>
    tools.api.persist(job.signal, () => job.findParent(again));
  try {
    return await work(await find(false));
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== Code.NOT_FOUND) throw error;
    return await work(await find(true));
  }
}

/** -2 says that the disk wants a proof, or that the content is busy: then it is asked again. */
async function tryInstant(job: UploadJob, tools: UploadTools, facts: FileFacts): Promise<boolean> {
  const { signal } = job;
  let answer: { id: string; proof: string } | undefined;
  for (let attempt = 0; attempt < 4; attempt++) {
    const { outcome, challenge } = await tools.api.persist(signal, () =>
      tools.api.fastUpload(facts, answer, signal),
    );
    if (outcome === Code.DONE) return true;
    if (outcome !== Code.RETRY) return false;
    if (challenge === undefined) {
      answer = undefined;
      await wait(backoffMs(attempt), signal);
    } else {
      answer = { id: challenge.id, proof: await tools.hasher.prove(job.file, challenge, signal) };
    }
  }
  return false;
}

/** The parts that are missing, then complete; again while the disk finds parts missing. False: it found another hash. */
async function sendAll(
  job: UploadJob,
  tools: UploadTools,
  facts: FileFacts,
  first: UploadSession,
): Promise<boolean> {
  const { dispatch, signal } = job;
  let session = first;
  for (let round = 0; round < attemptsMax; round++) {
    if (round > 0) session = await tools.api.persist(signal, () => tools.api.initUpload(facts, signal));
    job.onSession(facts, session.uploadID);
    await sendParts(job, tools, session);
    dispatch({ type: "finish" });
    const outcome = await tools.api.persist(signal, () =>
      tools.api.completeUpload(session.uploadID, facts, signal),
    );
    if (outcome === Code.DONE) return true;
    if (outcome === Code.UPLOAD_NORMALLY) return false;
    await wait(backoffMs(round), signal);
  }
  throw new UploadRefused("damaged");
}

async function sendParts(job: UploadJob, tools: UploadTools, session: UploadSession): Promise<void> {
  const { file, dispatch } = job;
  const sizeOf = (index: number): number =>
    Math.max(0, Math.min(file.size - index * session.chunksize, session.chunksize));
  const existing = new Set(session.chunkexists);
  const sent = new Map<number, number>();
  for (const index of existing) sent.set(index, sizeOf(index));
  const total = (): number => [...sent.values()].reduce((sum, bytes) => sum + bytes, 0);
  dispatch({ type: "send", existingBytes: total() });

  // The first part that fails ends the others.
  const failed = new AbortController();
  const signal = AbortSignal.any([job.signal, failed.signal]);
  const missing = Array.from({ length: session.chunkcount }, (_, index) => index).filter(
    (index) => !existing.has(index),
  );
  const lane = async (): Promise<void> => {
    for (let index = missing.shift(); index !== undefined; index = missing.shift()) {
      const at = index;
      const body = file.slice(at * session.chunksize, at * session.chunksize + sizeOf(at));
      await tools.slots.use(signal, () =>
        sendPart(tools, { uploadId: session.uploadID, index: at, body, signal }, (bytes) => {
          sent.set(at, Math.min(bytes, body.size));
          dispatch({ type: "sent", bytes: total() });
        }),
      );
    }
  };
  const lanes = Array.from({ length: Math.min(4, missing.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(lanes);
    throw error;
  }
}

async function sendPart(
  { api, hasher }: UploadTools,
  part: { uploadId: string; index: number; body: Blob; signal: AbortSignal },
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { signal, body } = part;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const hash = await hasher.hashPart(body, signal);
    const outcome = await api.persist(signal, async () => {
      onProgress(0);
      try {
        return await api.sendPart({ ...part, hash, onProgress });
      } catch (error) {
        // A file that has changed on its disk looks like a lost connection, and would be sent in vain again and again.
        await readable(body);
        throw error;
      }
    });
    if (outcome === Code.DONE) return onProgress(body.size);
    await wait(backoffMs(attempt), signal);
  }
  throw new UploadRefused("damaged");
}
