import { type Api, ApiError, Code, type FileFacts, type UploadSession } from "../api.js";
import type { Hasher } from "./hasher.js";
import type { UploadEvent } from "./state.js";
import { type Slots, wait } from "./wait.js";

export interface UploadJob {
  file: File;
  /** The hash, when it is known from an earlier attempt. */
  knownHash: string | undefined;
  /** The folder the file goes to, made when it is missing. */
  findParent: (signal: AbortSignal) => Promise<number>;
  dispatch: (event: UploadEvent) => void;
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

/** What the disk refuses for good, in words of the page. */
export class UploadRefused extends Error {
  override readonly name = "UploadRefused";
  readonly why: "changed" | "proof";

  constructor(why: "changed" | "proof") {
    super(why);
    this.why = why;
  }
}

const attemptsMax = 8;
const backoffMaxMs = 15_000;

function backoffMs(attempt: number): number {
  return Math.min(backoffMaxMs, 500 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

/** Once more after what may pass: a lost connection, a server that restarts. */
export async function persist<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.temporary || attempt + 1 >= attemptsMax) throw error;
      await wait(Math.max(error.retryAfterMs, backoffMs(attempt)), signal);
    }
  }
}

/** Brings one file to the disk; resolves when it is listed there. Done again, it goes on where it stopped. */
export async function runUpload(job: UploadJob, tools: UploadTools): Promise<void> {
  const { file, dispatch, signal } = job;
  let hash = job.knownHash;
  if (hash === undefined) {
    dispatch({ type: "hash" });
    hash = await tools.hasher.hash(file, signal, (bytes) => dispatch({ type: "hashed", bytes }));
  }
  dispatch({ type: "check" });
  const parentId = await persist(signal, () => job.findParent(signal));
  const facts: FileFacts = { name: file.name, hash, sizeBytes: file.size, parentId };
  if (await tryInstant(job, tools, facts)) return dispatch({ type: "done", instant: true });
  await sendAll(job, tools, facts);
  dispatch({ type: "done", instant: false });
}

/** -2 says that the disk wants a proof, or that the content is busy: then it is asked again. */
async function tryInstant(job: UploadJob, tools: UploadTools, facts: FileFacts): Promise<boolean> {
  const { signal } = job;
  let answer: { id: string; proof: string } | undefined;
  for (let attempt = 0; attempt < 4; attempt++) {
    const { outcome, challenge } = await persist(signal, () => tools.api.fastUpload(facts, answer, signal));
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

/** init, the parts that are missing, complete; again while the disk finds parts missing. */
async function sendAll(job: UploadJob, tools: UploadTools, facts: FileFacts): Promise<void> {
  const { dispatch, signal } = job;
  for (let round = 0; round < attemptsMax; round++) {
    const session = await persist(signal, () => tools.api.initUpload(facts, signal));
    job.onSession(facts, session.uploadID);
    await sendParts(job, tools, session);
    dispatch({ type: "finish" });
    const outcome = await persist(signal, () => tools.api.completeUpload(session.uploadID, facts, signal));
    if (outcome === Code.DONE) return;
    await wait(backoffMs(round), signal);
  }
  throw new UploadRefused("changed");
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
    const hash = await hasher.hash(body, signal);
    const outcome = await persist(signal, () => {
      onProgress(0);
      return api.sendPart({ ...part, hash, onProgress });
    });
    if (outcome === Code.DONE) return onProgress(body.size);
    await wait(backoffMs(attempt), signal);
  }
  throw new UploadRefused("changed");
}
