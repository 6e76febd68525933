import type { ByteRange } from "../store/store.js";

/** What a request for a content is answered with; `range` undefined: all of it. */
export type Selection =
  | { status: 200; range: undefined }
  | { status: 206; range: ByteRange }
  | { status: 304 }
  | { status: 412 }
  | { status: 416 };

export interface Conditions {
  method: string;
  range: string | undefined;
  ifRange: string | undefined;
  ifMatch: string | undefined;
  ifNoneMatch: string | undefined;
}

/** Whether a list of entity tags has this one; for If-None-Match weak ones count (RFC 9110, 8.8.3.2). */
function lists(header: string, etag: string, weak: boolean): boolean {
  if (header.trim() === "*") return true;
  return header.split(",").some((part) => {
    const tag = part.trim();
    return tag === etag || (weak && tag === `W/${etag}`);
  });
}

/**
 * Preconditions and ranges in the order of RFC 9110, 13.2.2. A Range that is not understood, has another unit or asks for several ranges
 * is ignored, as 14.2 allows: the whole content is a right answer to it.
 */
export function select(conditions: Conditions, etag: string, sizeBytes: number): Selection {
  const { method, range, ifRange, ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && !lists(ifMatch, etag, false)) return { status: 412 };
  if (ifNoneMatch !== undefined && lists(ifNoneMatch, etag, true)) return { status: 304 };
  const all = { status: 200, range: undefined } as const;
  if (range === undefined || method !== "GET") return all;
  // A date never matches: contents have no time, their tag says all.
  if (ifRange !== undefined && ifRange.trim() !== etag) return all;
  const parsed = parseRange(range, sizeBytes);
  if (parsed === "ignore") return all;
  return parsed === "unsatisfiable" ? { status: 416 } : { status: 206, range: parsed };
}

function parseRange(header: string, sizeBytes: number): ByteRange | "ignore" | "unsatisfiable" {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header);
  if (match === null) return "ignore";
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return "ignore";
    const suffixBytes = Number(last);
    if (suffixBytes === 0 || sizeBytes === 0) return "unsatisfiable";
    return { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes - 1 };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return "ignore";
  if (start >= sizeBytes) return "unsatisfiable";
  return { start, end: last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}
