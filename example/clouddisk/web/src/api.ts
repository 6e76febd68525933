/** The client of the disk's HTTP API. Every failure is an `ApiError`, but an abort, which stays what it is. */

export const Code = {
  DONE: 0,
  UPLOAD_NORMALLY: -1,
  RETRY: -2,
  OK: 10_000,
  PARAMETER: 10_001,
  SERVER: 10_002,
  SIGNUP: 10_003,
  SIGNIN: 10_004,
  TOKEN: 10_005,
  NO_SUCH_USER: 10_006,
  NOT_FOUND: 10_007,
  CONFLICT: 10_008,
  QUOTA: 10_009,
  TOO_MANY: 10_010,
  FORBIDDEN: 10_011,
  /** Not of the server: no reply came. */
  NETWORK: -1000,
} as const;

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly retryAfterMs: number;

  constructor(code: number, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }

  /** Another attempt may do. */
  get temporary(): boolean {
    return this.code === Code.NETWORK || this.code === Code.SERVER || this.code === Code.TOO_MANY;
  }
}

export interface Entry {
  id: number;
  parentId: number;
  name: string;
  folder: boolean;
  fileHash: string;
  sizeBytes: number;
  createdAtMs: number;
  updatedAtMs: number;
  trashedAtMs: number;
  state: string;
  path: string;
}

export interface User {
  username: string;
  signupAtMs: number;
  quotaBytes: number;
  usedBytes: number;
}

interface Session {
  user: User;
  uploadEntry: string;
  uploadTicket: string;
  downloadEntry: string;
  downloadTicket: string;
}

export type SortColumn = "name" | "size" | "updated";

export interface ListOptions {
  parentId?: number;
  query?: string;
  trashed?: boolean;
  sort?: SortColumn;
  descending?: boolean;
  limit?: number;
  cursor?: string;
}

export interface EntryPage {
  entries: Entry[];
  nextCursor: string;
  total: number;
  parents: Entry[];
}

export interface ServiceInstances {
  service: string;
  instances: Array<{ address: string; healthy: boolean }>;
}

export interface Challenge {
  id: string;
  nonce: string;
  ranges: Array<{ offset: number; length: number }>;
}

export interface UploadSession {
  uploadID: string;
  chunkcount: number;
  chunksize: number;
  chunkexists: number[];
}

export interface OpenUpload extends UploadSession {
  filename: string;
  filehash: string;
  filesize: number;
  parentId: number;
}

export interface FileFacts {
  name: string;
  hash: string;
  sizeBytes: number;
  parentId: number;
}

interface Reply {
  code: number;
  msg?: string;
  data?: unknown;
}

interface RequestOptions {
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

async function request<T extends object>(url: string, options: RequestOptions = {}): Promise<Reply & T> {
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

export class Api {
  /** Called when the session is not valid any more. */
  onSignedOut: () => void = () => {};
  #session: Session | undefined;

  async signup(username: string, password: string): Promise<void> {
    await request("/user/signup", { method: "POST", json: { username, password } });
  }

  async signin(username: string, password: string): Promise<void> {
    await request("/user/signin", { method: "POST", json: { username, password } });
  }

  async signout(): Promise<void> {
    await request("/api/signout", { method: "POST", json: {} });
    this.#session = undefined;
  }

  /** Whoever is signed in; undefined when nobody is. */
  async me(): Promise<User | undefined> {
    try {
      const session = await request<Session>("/api/me");
      this.#session = session;
      return session.user;
    } catch (error) {
      if (error instanceof ApiError && error.code === Code.TOKEN) return undefined;
      throw error;
    }
  }

  list(options: ListOptions, signal?: AbortSignal): Promise<EntryPage> {
    const query = new URLSearchParams();
    if (options.parentId !== undefined) query.set("parent", String(options.parentId));
    if (options.query) query.set("q", options.query);
    if (options.trashed) query.set("trashed", "1");
    if (options.sort) query.set("sort", options.sort);
    if (options.descending) query.set("desc", "1");
    if (options.limit) query.set("limit", String(options.limit));
    if (options.cursor) query.set("cursor", options.cursor);
    return this.#control<EntryPage>(`/api/files?${query}`, { signal });
  }

  async createFolder(parentId: number, name: string, reuse = false, signal?: AbortSignal): Promise<Entry> {
    const json = { parentId, name, reuse };
    return (await this.#control<{ entry: Entry }>("/api/folders", { method: "POST", json, signal })).entry;
  }

  async rename(id: number, name: string): Promise<Entry> {
    return (await this.#control<{ entry: Entry }>(`/api/files/${id}`, { method: "PATCH", json: { name } }))
      .entry;
  }

  async move(id: number, parentId: number): Promise<void> {
    await this.#control(`/api/files/${id}`, { method: "PATCH", json: { parentId } });
  }

  async trash(id: number): Promise<void> {
    await this.#control(`/api/files/${id}`, { method: "DELETE" });
  }

  async restore(id: number): Promise<void> {
    await this.#control(`/api/files/${id}/restore`, { method: "POST" });
  }

  async remove(id: number): Promise<void> {
    await this.#control(`/api/trash/${id}`, { method: "DELETE" });
  }

  async emptyTrash(): Promise<number> {
    return (await this.#control<{ deleted: number }>("/api/trash", { method: "DELETE" })).deleted;
  }

  async services(signal?: AbortSignal): Promise<ServiceInstances[]> {
    return (await this.#control<{ services: ServiceInstances[] }>("/api/services", { signal })).services;
  }

  /** The name is attached to content the disk has, when this proves to have it: `proof` answers `challenge`. */
  async fastUpload(
    file: FileFacts,
    answer: { id: string; proof: string } | undefined,
    signal: AbortSignal,
  ): Promise<{ outcome: number; challenge: Challenge | undefined }> {
    const reply = await this.#data<{ challenge?: Challenge }>("upload", "/file/fastupload", {
      json: {
        ...fileFields(file),
        ...(answer === undefined ? {} : { challengeid: answer.id, proof: answer.proof }),
      },
      signal,
    });
    const { challenge } = (reply.data ?? {}) as { challenge?: Challenge };
    return { outcome: reply.code, challenge };
  }

  /** The same file gets the session it has: `chunkexists` says which parts are there. */
  initUpload(file: FileFacts, signal: AbortSignal): Promise<UploadSession> {
    return this.#data<UploadSession>("upload", "/file/mpupload/init", { json: fileFields(file), signal });
  }

  async completeUpload(uploadId: string, file: FileFacts, signal: AbortSignal): Promise<number> {
    const json = { uploadid: uploadId, ...fileFields(file) };
    return (await this.#data("upload", "/file/mpupload/complete", { json, signal })).code;
  }

  async cancelUpload(uploadId: string): Promise<void> {
    await this.#data("upload", "/file/mpupload/cancel", { json: { uploadid: uploadId } });
  }

  async openUploads(): Promise<OpenUpload[]> {
    return (await this.#data<{ uploads: OpenUpload[] }>("upload", "/api/uploads", {})).uploads;
  }

  /** Sends one part; `onProgress` tells how many of its bytes have gone. Resolves with the outcome's code. */
  async sendPart(part: {
    uploadId: string;
    index: number;
    hash: string;
    body: Blob;
    onProgress: (sentBytes: number) => void;
    signal: AbortSignal;
  }): Promise<number> {
    const query = new URLSearchParams({
      uploadid: part.uploadId,
      index: String(part.index),
      chkhash: part.hash,
    });
    return this.#withTicket("upload", async (entry, ticket) => {
      const url = `${entry}/file/mpupload/uppart?${query}`;
      return (await sendBody(url, ticket, part)).code;
    });
  }

  /** A link that works for whoever has it, for a while. */
  async downloadUrl(entry: Entry, inline = false, signal?: AbortSignal): Promise<string> {
    const json = { filehash: entry.fileHash, id: entry.id, ...(inline ? { inline: 1 } : {}) };
    const reply = await this.#data<{ url?: string }>("download", "/file/downloadurl", { json, signal });
    const url = reply.url ?? ((reply.data ?? {}) as { url?: string }).url;
    if (!url) throw new ApiError(Code.SERVER, "no address in the reply");
    // A relative one is of the server that made it.
    return new URL(url, new URL(this.#session?.downloadEntry || "/", location.href)).href;
  }

  async #control<T extends object>(url: string, options: RequestOptions = {}): Promise<Reply & T> {
    try {
      return await request<T>(url, options);
    } catch (error) {
      if (error instanceof ApiError && error.code === Code.TOKEN) this.onSignedOut();
      throw error;
    }
  }

  async #data<T extends object>(
    kind: "upload" | "download",
    route: string,
    { json, signal }: RequestOptions,
  ): Promise<Reply & T> {
    return this.#withTicket(kind, (entry, ticket) =>
      request<T>(entry + route, { method: json === undefined ? "GET" : "POST", json, ticket, signal }),
    );
  }

  /** A ticket lasts for minutes, and an instance may have moved: one more attempt is made with new ones. */
  async #withTicket<T>(
    kind: "upload" | "download",
    send: (entry: string, ticket: string | undefined) => Promise<T>,
  ): Promise<T> {
    const attempt = async (): Promise<T> => {
      if (this.#session === undefined && (await this.me()) === undefined) {
        throw new ApiError(Code.TOKEN, "signed out");
      }
      const entry = this.#session?.[`${kind}Entry`] ?? "";
      return send(entry, entry === "" ? undefined : this.#session?.[`${kind}Ticket`]);
    };
    try {
      return await attempt();
    } catch (error) {
      const stale = error instanceof ApiError && (error.code === Code.TOKEN || error.code === Code.NETWORK);
      if (!stale) throw error;
      if ((await this.me()) === undefined) {
        this.onSignedOut();
        throw error;
      }
      return attempt();
    }
  }
}

function fileFields(file: FileFacts) {
  return { filename: file.name, filehash: file.hash, filesize: file.sizeBytes, parentid: file.parentId };
}

/** fetch does not tell how much of a body has gone; XMLHttpRequest does. */
function sendBody(
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
