import { ApiError, Code } from "./api.js";
import type { Key } from "./i18n/en.js";
import type { Translate } from "./i18n/translate.js";
import { UnreadableFile } from "./upload/hasher.js";
import { UploadRefused } from "./upload/run.js";

const texts = new Map<number, Key>([
  [Code.NETWORK, "error.network"],
  [Code.TOKEN, "error.signedOut"],
  [Code.SIGNIN, "error.signin"],
  [Code.NO_SUCH_USER, "error.signin"],
  [Code.SIGNUP, "error.taken"],
  [Code.QUOTA, "error.quota"],
  [Code.TOO_MANY, "error.tooMany"],
  [Code.NOT_FOUND, "error.notFound"],
  [Code.CONFLICT, "error.conflict"],
]);

/** The file is there, and cannot be shown. */
export class NoPreview extends Error {
  override readonly name = "NoPreview";
  readonly why: "broken" | "locked";

  constructor(why: "broken" | "locked", cause?: unknown) {
    super(why, { cause });
    this.why = why;
  }
}

/** A failure in words for who looks at the page. */
export function describe(error: unknown, t: Translate): string {
  if (error instanceof ApiError) {
    const key = texts.get(error.code);
    return key === undefined ? t("error.unknown", { why: error.message }) : t(key);
  }
  if (error instanceof UploadRefused) return t(error.why === "changed" ? "error.changed" : "error.proof");
  if (error instanceof NoPreview) return t(`preview.${error.why}`);
  if (error instanceof UnreadableFile) return t("error.unreadable");
  return t("error.unknown", { why: error instanceof Error ? error.message : String(error) });
}
