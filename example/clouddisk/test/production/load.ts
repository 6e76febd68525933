import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { password } from "../support/disk.js";

export const partBytes = 65_536;
/** No reply takes longer, whatever is away: a call between the services waits 15 s, and an upload makes several. */
const requestTimeoutMs = 60_000;
const retryEveryMs = 150;

export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

type Reply = Record<string, unknown> & { code?: number; msg?: string };

/** A file the disk said it has. */
export interface Stored {
  name: string;
  fileHash: string;
}

export interface LoadReport {
  /** Requests that did what they should. */
  done: number;
  /** Requests that were told to come back, by what they were told. */
  refused: Map<string, number>;
  /** The longest a request took, whatever came of it. */
  slowestMs: number;
}

/** A user who uploads, downloads, lists and signs in, and does not give up. What must not happen throws. */
export class LoadClient {
  readonly stored: Stored[] = [];
  readonly name: string;
  report: LoadReport = emptyReport();
  readonly #gateways: readonly string[];
  #token = "";
  #gateway = 0;

  constructor(name: string, gateways: readonly string[]) {
    this.name = name;
    this.#gateways = gateways;
  }

  async signUp(): Promise<void> {
    await this.#form("/user/signup", { username: this.name, password });
    await this.#signIn();
  }

  /** Until it is stopped; what it has begun it brings to an end. */
  async run(stop: AbortSignal, restMs: number): Promise<void> {
    for (let turn = 0; !stop.aborted; turn++) {
      const data = randomBytes(1000 + Math.floor(Math.random() * 4 * partBytes));
      const stored = { name: `${this.name}-${turn}.bin`, fileHash: sha256(data) };
      await (turn % 2 === 0 ? this.#uploadParts(stored.name, data) : this.#uploadWhole(stored.name, data));
      this.stored.push(stored);
      const some = this.stored[Math.floor(Math.random() * this.stored.length)] ?? stored;
      await this.download(some);
      await this.list();
      if (turn % 8 === 7) await this.#signIn();
      await delay(restMs);
    }
  }

  /** All entries, with `state`. */
  async list(): Promise<Array<{ name: string; fileHash: string; state: string }>> {
    const entries: Array<{ name: string; fileHash: string; state: string }> = [];
    let cursor = "";
    do {
      const page = await this.#json(`/api/files?limit=1000&cursor=${encodeURIComponent(cursor)}`);
      entries.push(...(page.entries as typeof entries));
      cursor = String(page.nextCursor);
    } while (cursor !== "");
    return entries;
  }

  /** Throws when the bytes are not those. */
  async download({ name, fileHash }: Stored): Promise<void> {
    const bytes = await this.#persistently(
      `/file/download?filehash=${fileHash}`,
      {},
      async (reply) => new Uint8Array(await reply.arrayBuffer()),
    );
    if (sha256(bytes) !== fileHash) throw new Error(`${name} came back as ${sha256(bytes)}, not ${fileHash}`);
  }

  async #signIn(): Promise<void> {
    const reply = await this.#form("/user/signin", { username: this.name, password });
    this.#token = String((reply.data as Reply).Token);
  }

  async #uploadWhole(name: string, data: Buffer): Promise<void> {
    const route = `/file/upload?filename=${name}&filehash=${sha256(data)}`;
    await this.#json(route, { method: "POST", body: new Blob([new Uint8Array(data)]) });
  }

  async #uploadParts(name: string, data: Buffer): Promise<void> {
    const file = { filename: name, filehash: sha256(data), filesize: String(data.length) };
    const { uploadID } = await this.#form("/file/mpupload/init", file);
    const count = Math.ceil(data.length / partBytes);
    const send = (index: number) => {
      const part = data.subarray(index * partBytes, (index + 1) * partBytes);
      const query = `uploadid=${uploadID}&index=${index}&chkhash=${sha256(part)}`;
      const body = new Blob([new Uint8Array(part)]);
      return this.#json(`/file/mpupload/uppart?${query}`, { method: "POST", body });
    };
    await Promise.all(Array.from({ length: count }, (_, index) => send(index)));
    await this.#form("/file/mpupload/complete", { uploadid: String(uploadID) });
  }

  #form(route: string, form: Record<string, string>): Promise<Reply> {
    return this.#json(route, { method: "POST", body: new URLSearchParams(form) });
  }

  #json(route: string, init: RequestInit = {}): Promise<Reply> {
    return this.#persistently(route, init, async (reply) => (await reply.json()) as Reply);
  }

  /** Again while it is told to come back, at the other gateway when one does not answer. */
  async #persistently<T>(
    route: string,
    init: RequestInit,
    read: (reply: Response) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const startMs = performance.now();
      try {
        const reply = await this.#fetch(route, init);
        const refusal = await refusalOf(reply);
        if (refusal === undefined) {
          const value = await read(reply);
          this.report.done++;
          return value;
        }
        if (!refusal.passes) throw new Unexpected(`${route}: ${refusal.text}`);
        this.#count(refusal.text);
      } catch (error) {
        if (error instanceof Unexpected) throw error;
        // The connection was refused or cut.
        const { cause } = error as { cause?: { code?: string } };
        this.#count(String(cause?.code ?? error));
        this.#gateway++;
      } finally {
        this.report.slowestMs = Math.max(this.report.slowestMs, performance.now() - startMs);
      }
      await delay(retryEveryMs);
    }
  }

  #fetch(route: string, init: RequestInit): Promise<Response> {
    const gateway = this.#gateways[this.#gateway % this.#gateways.length] ?? "";
    const headers = this.#token === "" ? {} : { authorization: `Bearer ${this.#token}` };
    return fetch(gateway + route, { ...init, headers, signal: AbortSignal.timeout(requestTimeoutMs) });
  }

  #count(text: string): void {
    this.report.refused.set(text, (this.report.refused.get(text) ?? 0) + 1);
  }
}

class Unexpected extends Error {}

function emptyReport(): LoadReport {
  return { done: 0, refused: new Map(), slowestMs: 0 };
}

/** Undefined: it did what it should. `passes`: try again. */
async function refusalOf(reply: Response): Promise<{ text: string; passes: boolean } | undefined> {
  if (!reply.headers.get("content-type")?.startsWith("application/json")) return undefined;
  const { code, msg } = (await reply.clone().json()) as Reply;
  const fine = reply.ok && (code === undefined || code === 0 || code === 10_000);
  if (fine) return undefined;
  return { text: `${reply.status} ${code} ${msg}`, passes: reply.status === 503 || code === -2 };
}

/** What the clients saw since the last time, together. */
export function takeReports(clients: readonly LoadClient[]): LoadReport {
  const all = emptyReport();
  for (const client of clients) {
    const { done, refused, slowestMs } = client.report;
    client.report = emptyReport();
    all.done += done;
    all.slowestMs = Math.max(all.slowestMs, slowestMs);
    for (const [text, count] of refused) all.refused.set(text, (all.refused.get(text) ?? 0) + count);
  }
  return all;
}
