import { createSHA256, type IHasher } from "hash-wasm";
import type { HasherReply, HasherRequest } from "./hasher.js";

/** Hashes away from the page. WebAssembly: `crypto.subtle` hashes only what is in memory, and only on HTTPS. */

const sliceBytes = 4 << 20;
const aborted = new Set<number>();

function say(reply: HasherReply): void {
  postMessage(reply);
}

async function feed(
  hasher: IHasher,
  file: Blob,
  isAborted: () => boolean,
  onProgress?: (bytes: number) => void,
): Promise<void> {
  for (let offset = 0; offset < file.size && !isAborted(); offset += sliceBytes) {
    const slice = file.slice(offset, offset + sliceBytes);
    hasher.update(new Uint8Array(await slice.arrayBuffer()));
    onProgress?.(offset + slice.size);
  }
}

async function hash(request: Extract<HasherRequest, { file: Blob }>): Promise<string | undefined> {
  const { id, file } = request;
  const isAborted = (): boolean => aborted.has(id);
  const hasher = await createSHA256();
  hasher.init();
  if (request.ranges === undefined) {
    await feed(hasher, file, isAborted, (bytes) => say({ id, bytes }));
  } else {
    hasher.update(request.nonce);
    for (const { offset, length } of request.ranges) {
      await feed(hasher, file.slice(offset, offset + length), isAborted);
    }
  }
  return isAborted() ? undefined : hasher.digest("hex");
}

addEventListener("message", ({ data }: MessageEvent<HasherRequest>) => {
  const { id } = data;
  if (!("file" in data)) {
    aborted.add(id);
    return;
  }
  hash(data)
    .then(
      (digest) => digest !== undefined && say({ id, digest }),
      (error: unknown) => say({ id, error: String(error) }),
    )
    .finally(() => aborted.delete(id));
});
