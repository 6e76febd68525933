/** Requests to the disk and its replies. Every failure is an `ApiError`, but an abort, which stays what it is. */

import { ApiError } from "./api-error.js";
import { Code } from "./codes.js";

export interface Reply {
  code: number;
  msg?: string;
  data?: unknown;
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  json?: unknown;
  ticket?: string | undefined;
  signal?: AbortSignal | undefined;
}

const outcomes: readonly number[] = [Code.DONE, Code.UPLOAD_NORMALLY, Code.RETRY, Code.OK];

function isReply(value: unknown): value is Reply {
  return typeof value === "object" && value !== null && "code" in value && typeof value.code === "number";
}

/** What a body says, or the error it is. */
function readReply<T extends object>(status: number, text: string, retryAfter: string | null): Reply & T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ApiError(Code.SERVER, `HTTP ${status}`, { cause });
  }
  // The reply of init says `status: "OK"`; its code may be missing.
  const reply = isReply(parsed)
    ? parsed
    : { code: status < 300 ? Code.DONE : Code.SERVER, ...Object(parsed) };
  if (!outcomes.includes(reply.code) || status >= 400) {
    const retryAfterMs = Number(retryAfter ?? 0) * 1000 || 0;
    throw new ApiError(reply.code, reply.msg ?? `HTTP ${status}`, { retryAfterMs });
  }
  return reply as Reply & T;
}

/** The bytes of a reply, or the error it is. */
export async function requestBytes(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<ArrayBuffer> {
  try {
    const response = await fetch(url, { headers, signal });
    if (response.ok) return await response.arrayBuffer();
    readReply(response.status, await response.text(), response.headers.get("retry-after"));
    throw new ApiError(Code.SERVER, `HTTP ${response.status}`);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof ApiError) throw cause;
    throw new ApiError(Code.NETWORK, "no reply", { cause });
  }
}

export async function request<T extends object>(
  url: string,
  options: RequestOptions = {},
): Promise<Reply & T> {
  const { method = "GET", json, ticket, signal } = options;
  const headers: Record<string, string> = {};
  if (json !== undefined) headers["content-type"] = "application/json";
  if (ticket !== undefined) headers["x-ticket"] = ticket;
  let status: number;
  let text: string;
  let retryAfter: string | null;
  try {
    const response = await fetch(url, {
      method,
      headers,
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...(signal === undefined ? {} : { signal }),
    });
    status = response.status;
    retryAfter = response.headers.get("retry-after");
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new ApiError(Code.NETWORK, "no reply", { cause });
  }
  return readReply<T>(status, text, retryAfter);
}

/** fetch does not tell how much of a body has gone; XMLHttpRequest does. */
export function sendBody(
  url: string,
  ticket: string | undefined,
  part: { body: Blob; onProgress: (sentBytes: number) => void; signal: AbortSignal },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { signal } = part;
    if (signal.aborted) return reject(signal.reason);
    const xhr = new XMLHttpRequest();
    const onAbort = (): void => xhr.abort();
    const end = (settle: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const fail = (): void => end(() => reject(new ApiError(Code.NETWORK, "no reply")));
    xhr.open("POST", url);
    xhr.setRequestHeader("content-type", "application/octet-stream");
    if (ticket !== undefined) xhr.setRequestHeader("x-ticket", ticket);
    xhr.upload.onprogress = (event) => part.onProgress(event.loaded);
    xhr.onload = () =>
      end(() => {
        try {
          resolve(readReply(xhr.status, xhr.responseText, xhr.getResponseHeader("retry-after")));
        } catch (error) {
          reject(error);
        }
      });
    xhr.onerror = fail;
    xhr.ontimeout = fail;
    xhr.onabort = () => end(() => reject(signal.reason));
    // Away for good without a word: a part is small enough for this.
    xhr.timeout = 10 * 60_000;
    signal.addEventListener("abort", onAbort);
    xhr.send(part.body);
  });
}
