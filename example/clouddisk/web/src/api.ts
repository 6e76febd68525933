import { ApiError } from "./api-error.js";
import { type Reply, type RequestOptions, request, sendBody } from "./api-http.js";
import { Code } from "./codes.js";
import { Connection } from "./connection.js";
import { persist } from "./upload/persist.js";

export { ApiError } from "./api-error.js";
export { Code } from "./codes.js";

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
  /** Sees the services, and makes users. */
  operator: boolean;
}

export interface SignupPolicy {
  /** False: the operator makes users. */
  open: boolean;
  /** Who is asked for an account then; empty: the disk does not say. */
  contact: string;
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

export type BatchOperation = "trash" | "restore" | "move" | "delete";

/** A code of 0: it is done. */
export interface BatchResult {
  id: number;
  code: number;
  msg: string;
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

/** The client of the disk's HTTP API. */
export class Api {
  /** Called when the session is not valid any more. */
  onSignedOut: () => void = () => {};
  /** To the gateway. */
  readonly connection = new Connection(() => this.me());
  #session: Session | undefined;

  /** Does it until it is done, or refused for good. */
  persist<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return persist(this.connection, signal, work);
  }

  async signup(username: string, password: string): Promise<void> {
    await request("/user/signup", { method: "POST", json: { username, password } });
  }

  signupPolicy(): Promise<SignupPolicy> {
    return request<SignupPolicy>("/api/signup");
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
      const session = await this.#reported(request<Session>("/api/me"));
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

  /** Each of them has a result of its own; at most `batchMax` at a time. */
  async batch(
    operation: BatchOperation,
    ids: readonly number[],
    parentId?: number,
    signal?: AbortSignal,
  ): Promise<{ results: BatchResult[]; left: number }> {
    const json = { ids, ...(parentId === undefined ? {} : { parentId }) };
    const reply = await this.#control<{ results: BatchResult[]; left?: number }>(
      `/api/files/batch/${operation}`,
      { method: "POST", json, signal },
    );
    return { results: reply.results, left: reply.left ?? 0 };
  }

  /** `left` go in the background. */
  async emptyTrash(): Promise<{ deleted: number; left: number }> {
    const { deleted, left = 0 } = await this.#control<{ deleted: number; left?: number }>("/api/trash", {
      method: "DELETE",
    });
    return { deleted, left };
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
      return await this.#reported(request<T>(url, options));
    } catch (error) {
      if (error instanceof ApiError && error.code === Code.TOKEN) this.onSignedOut();
      throw error;
    }
  }

  /** Whether the gateway has answered. */
  async #reported<T>(reply: Promise<T>): Promise<T> {
    try {
      const value = await reply;
      this.connection.report(true);
      return value;
    } catch (error) {
      if (error instanceof ApiError) this.connection.report(error.code !== Code.NETWORK);
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
