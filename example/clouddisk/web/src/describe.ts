import { ApiError, Code } from "./api.js";
import { formatBytes } from "./format.js";
import type { Translate } from "./i18n/translate.js";
import { NoPreview } from "./no-preview.js";
import { reasonOf } from "./refusals.js";
import { UnreadableFile } from "./upload/hasher.js";
import { UploadRefused } from "./upload/run.js";

/** A failure in words for who looks at the page. */
export function describe(error: unknown, t: Translate): string {
  if (error instanceof ApiError) {
    if (error.code === Code.NETWORK) return t("error.network");
    const reason = reasonOf(error.code, error.message);
    if (reason === undefined) return t("error.unknown", { why: error.message });
    const { bytes } = reason.parameters;
    return t(reason.key, {
      ...reason.parameters,
      ...(bytes === undefined ? {} : { size: formatBytes(Number(bytes)) }),
    });
  }
  if (error instanceof UploadRefused) return t(`error.${error.why}`);
  if (error instanceof NoPreview) return t(`preview.${error.why}`);
  if (error instanceof UnreadableFile) return t("error.unreadable");
  return t("error.unknown", { why: error instanceof Error ? error.message : String(error) });
}
