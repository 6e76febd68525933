import { createSHA256, type IHasher } from "hash-wasm";
import type { HasherReply, HasherRequest } from "./hasher.js";

/** Hashes away from the page. WebAssembly: `crypto.subtle` hashes only what is in memory, and only on HTTPS. */

const sliceBytes = 4 << 20;

interface Job {
  readonly id: number;
  readonly ranges: ReadonlyArray<Blob>;
  readonly whole: boolean;
  hasher: IHasher;
  /** Which range is next, and from where in it. */
  range: number;
  offset: number;
  does: "run" | "pause" | "abort";
  /** A slice is being read. */
  busy: boolean;
}

const jobs = new Map<number, Job>();

function say(reply: HasherReply): void {
  postMessage(reply);
}

/** To the end, or until it is told to stop; then it can go on from there. */
async function run(job: Job): Promise<void> {
  job.busy = true;
  for (;;) {
    const blob = job.ranges[job.range];
    if (job.does !== "run" || blob === undefined) break;
    if (job.offset >= blob.size) {
      job.range++;
      job.offset = 0;
      continue;
    }
    const slice = blob.slice(job.offset, job.offset + sliceBytes);
    job.hasher.update(new Uint8Array(await slice.arrayBuffer()));
    job.offset += slice.size;
    if (job.whole && job.does === "run") say({ id: job.id, bytes: job.offset });
  }
  job.busy = false;
  if (job.does === "pause") return;
  jobs.delete(job.id);
  if (job.does === "run") say({ id: job.id, digest: job.hasher.digest("hex") });
}

async function start(request: Extract<HasherRequest, { file: Blob }>): Promise<void> {
  const { id, file, ranges } = request;
  const hasher = await createSHA256();
  hasher.init();
  if (ranges !== undefined) hasher.update(request.nonce);
  const blobs = ranges?.map(({ offset, length }) => file.slice(offset, offset + length)) ?? [file];
  const does = told.get(id) ?? "run";
  told.delete(id);
  const job: Job = {
    ...{ id, ranges: blobs, whole: ranges === undefined, hasher },
    ...{ range: 0, offset: 0, does, busy: false },
  };
  jobs.set(id, job);
  await run(job);
}

/** What a job is told before it has its hasher. */
const told = new Map<number, Job["does"]>();

function tell(id: number, does: "pause" | "resume" | "abort"): Promise<void> | undefined {
  const next = does === "resume" ? "run" : does;
  const job = jobs.get(id);
  if (job === undefined) {
    told.set(id, next);
    return undefined;
  }
  job.does = next;
  return job.busy || next === "pause" ? undefined : run(job);
}

addEventListener("message", ({ data }: MessageEvent<HasherRequest>) => {
  const { id } = data;
  const work = "does" in data ? tell(id, data.does) : start(data);
  work?.catch((error: unknown) => {
    jobs.delete(id);
    say({ id, error: String(error) });
  });
});
