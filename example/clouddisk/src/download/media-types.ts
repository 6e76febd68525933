import path from "node:path";

/** What a browser may show in place. Everything else, HTML and SVG above all, is given as plain bytes. */
const shown: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".avif": "image/avif",
  ".bmp": "image/bmp",
  ".ico": "image/x-icon",
  ".pdf": "application/pdf",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
  ".mp3": "audio/mpeg",
  ".ogg": "audio/ogg",
  ".wav": "audio/wav",
};

const texts = new Set(
  ".txt .md .log .csv .json .xml .yml .yaml .toml .ini .conf .ts .js .mjs .css .html .htm .svg .c .h .cpp .py .go .rs .java .sh .proto .sql".split(
    " ",
  ),
);

/** For a preview; a text is always plain text. */
export function previewType(name: string): string {
  const extension = path.extname(name).toLowerCase();
  return (
    shown[extension] ?? (texts.has(extension) ? "text/plain; charset=utf-8" : "application/octet-stream")
  );
}
