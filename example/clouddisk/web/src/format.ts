const units = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/** `1.5 MB`, in powers of 1024, as file managers show it. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes) || bytes <= 0) return "0 B";
  let value = bytes;
  let unit = 0;
  // 1023.95 would read 1024.0.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${units[unit]}`;
}

/** `1:05`, `2:03:09`; from a day on `3 d 4 h`, `3 天 4 小时`. */
export function formatDuration(ms: number, language = "en"): string {
  const totalS = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(totalS / 86_400);
  const hours = Math.floor((totalS % 86_400) / 3600);
  if (days > 0) return language === "zh" ? `${days} 天 ${hours} 小时` : `${days} d ${hours} h`;
  const minutes = Math.floor((totalS % 3600) / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  const seconds = two(totalS % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${seconds}` : `${minutes}:${seconds}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** To make one takes longer than to draw the row it is for. */
function formatOf(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${Object.keys(options).join()}`;
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, known);
  return known;
}

/** Today: the time; this year: day and month; else the year too. */
export function formatTime(ms: number, locale: string, nowMs = Date.now()): string {
  const date = new Date(ms);
  const now = new Date(nowMs);
  if (date.toDateString() === now.toDateString()) {
    return formatOf(locale, { hour: "2-digit", minute: "2-digit" }).format(date);
  }
  const sameYear = date.getFullYear() === now.getFullYear();
  const day = { month: "short", day: "numeric" } as const;
  return formatOf(locale, sameYear ? day : { ...day, year: "numeric" }).format(date);
}

export function formatWholeTime(ms: number, locale: string): string {
  return formatOf(locale, { dateStyle: "short", timeStyle: "medium" }).format(ms);
}

/** 0 to 1; nothing to do counts as all done. */
export function fraction(done: number, total: number): number {
  return total <= 0 ? 1 : Math.min(1, Math.max(0, done / total));
}

export type FileKind = "image" | "video" | "audio" | "text" | "pdf" | "archive" | "other";

const kinds: Readonly<Record<Exclude<FileKind, "other">, string>> = {
  image: "png jpg jpeg gif webp avif bmp ico svg",
  video: "mp4 webm mov m4v mkv",
  audio: "mp3 ogg oga wav flac m4a aac",
  text: "txt md log csv tsv json json5 xml yaml yml toml ini conf js mjs ts tsx jsx css html htm sh py go rs c h cpp java sql proto",
  pdf: "pdf",
  archive: "zip gz tgz tar xz bz2 7z rar zst",
};
const kindOfExtension = new Map<string, FileKind>();
for (const [kind, extensions] of Object.entries(kinds)) {
  for (const extension of extensions.split(" ")) kindOfExtension.set(extension, kind as FileKind);
}

export function fileKind(name: string): FileKind {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "other" : (kindOfExtension.get(name.slice(dot + 1).toLowerCase()) ?? "other");
}
