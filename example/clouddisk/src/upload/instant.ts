import { randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import { checked, isPassing } from "../common/answer.js";
import { Code, Refusal } from "../common/codes.js";
import type { EntryRow } from "../dbproxy/actions.js";
import type { UploadContext } from "./context.js";
import { noFolder, overQuota } from "./refusals.js";

const rangeCount = 8;
const rangeMaxBytes = 65_536;
const challengeTtlMs = 120_000;

interface Question {
  nonce: string;
  ranges: Array<{ offset: number; length: number }>;
}

export interface InstantUpload {
  userId: number;
  parentId: number;
  name: string;
  fileHash: string;
  /** Of an earlier reply; empty: the first request. */
  challengeId: string;
  /** Hex SHA-256 over the nonce's UTF-8 and the bytes of the ranges. */
  proof: string;
}

/** Ranges nobody can know beforehand; all of a small content. */
function ask(sizeBytes: number): Question {
  const nonce = randomBytes(16).toString("hex");
  if (sizeBytes <= rangeCount * rangeMaxBytes) return { nonce, ranges: [{ offset: 0, length: sizeBytes }] };
  const ranges = Array.from({ length: rangeCount }, () => ({
    offset: randomInt(Math.min(sizeBytes - rangeMaxBytes, 2 ** 47)),
    length: rangeMaxBytes,
  }));
  return { nonce, ranges };
}

/**
 * A name for a content the disk has, for a user who has it too. Who does not hold it yet must show its bytes: the hash alone may have
 * come from anywhere. Throws Refusal: -1 upload it, -2 with `data.challenge` answer this first.
 */
export async function uploadInstantly(context: UploadContext, file: InstantUpload): Promise<EntryRow> {
  const { database } = context.host;
  const { userId, fileHash, challengeId } = file;
  const normally = new Refusal(Code.UPLOAD_NORMALLY, "upload it: you have no such file yet");
  const { entry: own } = await database.run("entry.byHash", { userId, fileHash });
  // Whether others have it is nobody's business.
  if (own === null && context.host.settings.upload.instantOf === "user") throw normally;
  const { content } = await database.run("content.get", { fileHash });
  if (content === null || content.state === "deleting") throw normally;
  if (own === null) {
    if (challengeId === "") throw await challenge(context, file, content.sizeBytes);
    if (!(await isProved(context, file).catch(notCheckable)))
      throw new Refusal(Code.UPLOAD_NORMALLY, "the proof is wrong or came too late: upload it");
  }
  const { parentId, name } = file;
  const linked = await database.run("entry.link", { userId, parentId, name, fileHash, onConflict: "rename" });
  switch (linked.outcome) {
    case "ok":
      return linked.entry;
    case "quota":
      throw overQuota();
    case "no_parent":
      throw noFolder(parentId);
    default:
      throw normally;
  }
}

/** The bytes are on a node that was not asked, or in a store that is away: sending them works all the same. */
function notCheckable(error: unknown): never {
  if (!isPassing(error)) throw error;
  throw new Refusal(Code.UPLOAD_NORMALLY, "the proof cannot be checked at the moment: upload it");
}

async function challenge(
  context: UploadContext,
  { userId, fileHash }: InstantUpload,
  sizeBytes: number,
): Promise<Refusal> {
  const id = randomBytes(16).toString("hex");
  const question = ask(sizeBytes);
  const expiresAtMs = Date.now() + challengeTtlMs;
  await context.host.database.run("challenge.create", {
    id,
    userId,
    fileHash,
    question: JSON.stringify(question),
    expiresAtMs,
  });
  return new Refusal(Code.RETRY, "show that you have it: ask again with challengeid and proof", {
    data: { challenge: { id, ...question } },
  });
}

async function isProved(
  context: UploadContext,
  { userId, fileHash, challengeId, proof }: InstantUpload,
): Promise<boolean> {
  const { question } = await context.host.database.run("challenge.take", {
    id: challengeId,
    userId,
    fileHash,
  });
  if (question === null || !/^[0-9a-f]{64}$/i.test(proof)) return false;
  const { nonce, ranges } = JSON.parse(question) as Question;
  const wanted = ranges.map(({ offset, length }) => ({ offset, lengthBytes: length }));
  const { digest } = checked(await context.download.digest({ fileHash, nonce, ranges: wanted }));
  return timingSafeEqual(Buffer.from(digest, "hex"), Buffer.from(proof, "hex"));
}
