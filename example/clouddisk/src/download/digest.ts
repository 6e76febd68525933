import { createHash } from "node:crypto";
import { Code, Refusal } from "../common/codes.js";
import type { DigestRequest } from "./gen/download.js";
import type { ContentSource } from "./source.js";

const rangesMax = 64;
const totalMaxBytes = 4 * 1024 * 1024;

/** SHA-256 over the nonce's UTF-8 and the ranges of a content, as hex. Throws Refusal for ranges outside of it, too many, or too long. */
export async function digestOf(
  source: ContentSource,
  { fileHash, nonce, ranges }: DigestRequest,
): Promise<string> {
  const content = await source.find(fileHash);
  if (ranges.length > rangesMax)
    throw new Refusal(Code.PARAMETER, `at most ${rangesMax} ranges, got ${ranges.length}`);
  const wanted = ranges.map(({ offset, lengthBytes }) => ({
    start: Number(offset),
    lengthBytes: Number(lengthBytes),
  }));
  const totalBytes = wanted.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  if (totalBytes > totalMaxBytes)
    throw new Refusal(Code.PARAMETER, `at most ${totalMaxBytes} bytes in all, got ${totalBytes}`);
  const hash = createHash("sha256").update(nonce);
  for (const { start, lengthBytes } of wanted) {
    if (start < 0 || lengthBytes < 0 || start + lengthBytes > content.sizeBytes) {
      throw new Refusal(
        Code.PARAMETER,
        `the range ${start}+${lengthBytes} is not within ${content.sizeBytes} bytes`,
      );
    }
    if (lengthBytes === 0) continue;
    const stream = await source.read(content, { start, end: start + lengthBytes - 1 });
    for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  }
  return hash.digest("hex");
}
