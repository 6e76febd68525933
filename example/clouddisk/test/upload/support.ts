import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { Staging } from "../../src/common/staging.js";
import type { Disk, User } from "../support/disk.js";

export const partBytes = 65_536;

export interface Reply {
  http: number;
  code: number;
  msg: string;
  data: Record<string, unknown>;
  [field: string]: unknown;
}

export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

export async function replyOf(sent: Promise<Response>): Promise<Reply> {
  const response = await sent;
  return { ...((await response.json()) as Omit<Reply, "http">), http: response.status } as Reply;
}

export function partOf(data: Buffer, index: number): Buffer {
  return data.subarray(index * partBytes, (index + 1) * partBytes);
}

/** A user of a disk whose parts have `partBytes`. */
export class Client {
  readonly disk: Disk;
  readonly user: User;

  constructor(disk: Disk, user: User) {
    this.disk = disk;
    this.user = user;
  }

  /** `as` null: nobody. */
  post(route: string, form: Record<string, string | number>, as: User | null = this.user): Promise<Reply> {
    const body = new URLSearchParams();
    for (const [key, value] of Object.entries(form)) body.set(key, String(value));
    return replyOf(fetch(this.disk.url + route, { method: "POST", body, headers: as?.headers ?? {} }));
  }

  get(route: string, as: User = this.user): Promise<Reply> {
    return replyOf(fetch(this.disk.url + route, { headers: as.headers }));
  }

  init(data: Buffer, filename = "big.bin", as: User = this.user): Promise<Reply> {
    const file = { filename, filehash: sha256(data), filesize: data.length };
    return this.post("/file/mpupload/init", file, as);
  }

  /** The id of a new upload. */
  async begin(data: Buffer, filename?: string): Promise<string> {
    return String((await this.init(data, filename)).uploadID);
  }

  /** `more` goes into the query as it stands. */
  uppart(
    uploadid: string,
    index: number | string,
    body: Buffer,
    more = "",
    as: User = this.user,
  ): Promise<Reply> {
    const query = `uploadid=${encodeURIComponent(uploadid)}&index=${encodeURIComponent(index)}${more}`;
    const sent = { method: "POST", body: new Uint8Array(body), headers: as.headers };
    return replyOf(fetch(`${this.disk.url}/file/mpupload/uppart?${query}`, sent));
  }

  complete(uploadid: string, as: User = this.user): Promise<Reply> {
    return this.post("/file/mpupload/complete", { uploadid }, as);
  }

  /** Raw, under a name. */
  whole(filename: string, body: Uint8Array, as: User = this.user): Promise<Reply> {
    const url = `${this.disk.url}/file/upload?filename=${encodeURIComponent(filename)}`;
    return replyOf(fetch(url, { method: "POST", body, headers: as.headers }));
  }

  form(form: FormData, as: User = this.user): Promise<Reply> {
    const sent = { method: "POST", body: form, headers: as.headers };
    return replyOf(fetch(`${this.disk.url}/file/upload`, sent));
  }

  async download(hash: string, as: User = this.user): Promise<Buffer> {
    const url = `${this.disk.url}/file/download?filehash=${hash}`;
    const response = await fetch(url, { headers: as.headers });
    if (response.status !== 200) throw new Error(`download: ${response.status} ${await response.text()}`);
    return Buffer.from(await response.arrayBuffer());
  }

  async userId(as: User = this.user): Promise<number> {
    const { user } = await this.disk.node.host.database.run("user.find", { username: as.name });
    return user?.id ?? 0;
  }

  /** How many names the user has for a content. */
  async rows(fileHash: string, as: User = this.user): Promise<number> {
    const userId = await this.userId(as);
    const { entries } = await this.disk.node.host.database.run("entry.recent", { userId, limit: 1000 });
    return entries.filter((entry) => entry.fileHash === fileHash).length;
  }

  /** Whole files that are being received. */
  tempFiles(): Promise<string[]> {
    return readdir(new Staging(this.disk.dataFolder).wholeFolder).catch(() => []);
  }
}
