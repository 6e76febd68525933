import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { policyOf } from "../../src/apigw/pages.js";
import { serviceNames } from "../../src/common/part.js";
import { previewType } from "../../src/download/media-types.js";
import { type Item, listOf } from "./fake-list.js";
import { listen, types } from "./fake-server.js";

interface Upload {
  uploadID: string;
  filename: string;
  filehash: string;
  filesize: number;
  parentId: number;
  chunkcount: number;
  chunksize: number;
  parts: Map<number, Buffer>;
}

type Json = Record<string, unknown>;
type Handler = (call: {
  query: URLSearchParams;
  json: Json;
  body: Buffer;
  id: number;
}) => Json | Promise<Json>;

/** The HTTP contract in memory, for one user at a time: the page alone is tested, whatever the services do. */
export class FakeDisk {
  readonly entries = new Map<number, Item>();
  readonly contents = new Map<string, Buffer>();
  readonly uploads = new Map<string, Upload>();
  readonly received: number[] = [];
  /** Awaited before a part is taken: how a test stops an upload in the middle. */
  beforePart: (index: number) => Promise<void> = async () => {};
  /** Before a request is answered. */
  onCall: (route: string) => void = () => {};
  /** Outcomes for the next parts, instead of 0. */
  readonly refuseParts: number[] = [];
  /** Outcomes for the next completes, instead of their own. */
  readonly refuseComplete: number[] = [];
  /** Folders of these names are not made. */
  readonly refuseNames = new Set<string>();
  /** Every request there was, as `GET /api/files`. */
  readonly calls: string[] = [];
  /** What a route says instead of its own reply, until the test takes it out again. */
  readonly refuse = new Map<string, { status: number; code: number; msg: string }>();
  /** Whether who is signed in is the operator. */
  operator = true;
  /** What a download takes to be answered. */
  downloadLatencyMs = 0;
  readonly #web: string;
  readonly #server: Server;
  /** Of bodies, in split mode. */
  #bodies: { server: Server; url: string } | undefined;
  readonly #routes = new Map<string, Handler>();
  readonly #challenges = new Map<
    string,
    { nonce: string; ranges: Array<{ offset: number; length: number }> }
  >();
  readonly #users = new Map<string, string>();
  #signedIn: string | undefined;
  #lastId = 0;

  constructor(web: string) {
    this.#web = web;
    this.#server = this.#createServer();
    this.#addSession();
    this.#addFiles();
    this.#addUploads();
  }

  #createServer(): Server {
    return createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
  }

  async start(): Promise<string> {
    return listen(this.#server);
  }

  /** Downloads have a server of their own from now on, which is another origin. */
  async split(): Promise<void> {
    const server = this.#createServer();
    this.#bodies = { server, url: await listen(server) };
  }

  /** Cuts off whoever waits for a reply. */
  drop(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    for (const server of [this.#server, this.#bodies?.server]) {
      if (server === undefined) continue;
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    }
  }

  /** As if the visitor had done it. */
  signIn(username: string): void {
    this.#signedIn = username;
  }

  /** As if the session had ended, or another device had ended it. */
  signOut(): void {
    this.#signedIn = undefined;
  }

  /** The names in a folder, sorted; those of folders end with a slash. */
  names(parentId = 0): string[] {
    return [...this.entries.values()]
      .filter((one) => one.parentId === parentId && one.trashedAtMs === 0)
      .map(({ name, folder }) => (folder ? `${name}/` : name))
      .sort();
  }

  /** By its path from the top. */
  find(pathname: string): Item | undefined {
    let found: Item | undefined;
    for (const name of pathname.split("/")) {
      const parentId: number = found?.id ?? 0;
      found = [...this.entries.values()].find(
        (one) => one.name === name && one.parentId === parentId && one.trashedAtMs === 0,
      );
      if (found === undefined) return undefined;
    }
    return found;
  }

  add(item: Partial<Item> & { name: string }, body?: Buffer): Item {
    const id = ++this.#lastId;
    const nowMs = Date.now();
    const fileHash = body === undefined ? "" : createHash("sha256").update(body).digest("hex");
    if (body !== undefined) this.contents.set(fileHash, body);
    const entry: Item = {
      id,
      parentId: 0,
      folder: body === undefined && item.fileHash === undefined,
      fileHash,
      sizeBytes: body?.length ?? 0,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      trashedAtMs: 0,
      state: "stored",
      path: "",
      ...item,
    };
    this.entries.set(id, entry);
    return entry;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://disk");
    const method = request.method ?? "GET";
    const [, id = "0"] = /\/(\d+)(?:\/|$)/.exec(url.pathname) ?? [];
    const route = `${method} ${url.pathname.replace(/\/\d+(?=\/|$)/, "/:id")}`;
    if (request.headers.origin !== undefined && this.#bodies !== undefined) {
      response.setHeader("access-control-allow-origin", request.headers.origin);
      response.setHeader("access-control-allow-headers", "content-type, x-ticket, range");
      if (method === "OPTIONS") return void response.writeHead(204).end();
    }
    const handler = this.#routes.get(route);
    if (handler !== undefined) {
      this.calls.push(route);
      this.onCall(route);
    }
    if (url.pathname === "/file/download") {
      await setTimeout(this.downloadLatencyMs);
      return this.#download(url, request, response);
    }
    if (handler === undefined) return this.#page(url.pathname, response);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const isJson = request.headers["content-type"] === "application/json";
    const json = isJson ? (JSON.parse(body.toString()) as Json) : {};
    const refused = this.refuse.get(route);
    if (refused !== undefined) {
      const { status, ...said } = refused;
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(said));
      return;
    }
    const open = url.pathname.startsWith("/user/");
    const reply =
      open || this.#signedIn !== undefined
        ? await handler({ query: url.searchParams, json, body, id: Number(id) })
        : { code: 10_005, msg: "sign in first" };
    const code = Number(reply.code ?? 0);
    const status = [0, -1, -2, 10_000].includes(code) ? 200 : code === 10_005 ? 401 : 400;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(reply));
  }

  async #page(pathname: string, response: ServerResponse): Promise<void> {
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    const body = await readFile(path.join(this.#web, path.normalize(name)));
    const type = types[path.extname(name)] ?? "application/octet-stream";
    const allowed = policyOf({ services: this.#bodies === undefined ? serviceNames : ["apigw"] });
    response.writeHead(200, { "content-type": type, "content-security-policy": allowed }).end(body);
  }

  #download(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const whole = this.contents.get(url.searchParams.get("filehash") ?? "");
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const body = to === undefined ? whole : whole?.subarray(Number(from), Number(to) + 1);
    const name = url.searchParams.get("name") ?? "";
    const inline = url.searchParams.get("inline") === "1";
    response
      .writeHead(to === undefined ? 200 : 206, {
        "content-type": inline ? previewType(name) : "application/octet-stream",
        "x-content-type-options": "nosniff",
        "content-security-policy": `default-src 'none'; ${inline ? "frame-ancestors 'none'; " : ""}sandbox`,
        "content-disposition": `${inline ? "inline" : "attachment"}; filename*=UTF-8''${encodeURIComponent(name)}`,
      })
      .end(body);
  }

  #addSession(): void {
    const routes = this.#routes;
    routes.set("POST /user/signup", ({ json }) => {
      if (this.#users.has(String(json.username))) return { code: 10_003, msg: "taken" };
      this.#users.set(String(json.username), String(json.password));
      return { code: 10_000, msg: "signed up" };
    });
    routes.set("POST /user/signin", ({ json }) => {
      if (this.#users.get(String(json.username)) !== json.password) return { code: 10_004, msg: "wrong" };
      this.#signedIn = String(json.username);
      return { code: 10_000, msg: "signed in" };
    });
    routes.set("POST /api/signout", () => {
      this.#signedIn = undefined;
      return { code: 0 };
    });
    routes.set("GET /api/me", () => {
      const usedBytes = [...this.entries.values()].reduce((sum, one) => sum + one.sizeBytes, 0);
      return {
        code: 0,
        user: {
          username: this.#signedIn,
          signupAtMs: 0,
          quotaBytes: 10 * 2 ** 30,
          usedBytes,
          operator: this.operator,
        },
        uploadEntry: "",
        uploadTicket: "",
        downloadEntry: this.#bodies?.url ?? "",
        downloadTicket: "",
      };
    });
    const names = ["account", "apigw", "dbproxy", "download", "transfer", "upload"];
    routes.set("GET /api/services", () => ({
      code: 0,
      services: names.map((name, at) => ({
        service: `clouddisk.${name}`,
        instances: [
          { address: `127.0.0.1:${41_000 + at}`, healthy: true },
          { address: `127.0.0.1:${42_000 + at}`, healthy: at !== 3 },
        ],
      })),
    }));
  }

  #addFiles(): void {
    const routes = this.#routes;
    const change = (id: number, changes: Partial<Item>): Json => {
      const entry = this.entries.get(id);
      if (entry === undefined) return { code: 10_007, msg: "there is no such file or folder" };
      const after = { ...entry, ...changes };
      const taken =
        after.trashedAtMs === 0 &&
        [...this.entries.values()].some(
          (one) =>
            one !== entry &&
            one.name === after.name &&
            one.parentId === after.parentId &&
            one.trashedAtMs === 0,
        );
      if (taken) return { code: 10_008, msg: "something of this name is there already" };
      Object.assign(entry, changes);
      return { code: 0, entry };
    };
    routes.set("GET /api/files", ({ query }) => listOf(this.entries, query));
    routes.set("POST /api/folders", ({ json }) => {
      if (this.refuseNames.has(String(json.name)))
        return { code: 10_001, msg: "the file name may not contain / or \\" };
      if (this.#noFolder(json.parentId)) return { code: 10_007, msg: "no such folder" };
      const found = [...this.entries.values()].find(
        (one) =>
          one.folder && one.trashedAtMs === 0 && one.name === json.name && one.parentId === json.parentId,
      );
      if (found !== undefined && json.reuse !== true) return { code: 10_008, msg: "exists" };
      return {
        code: 0,
        entry: found ?? this.add({ name: String(json.name), parentId: Number(json.parentId) }),
      };
    });
    routes.set("PATCH /api/files/:id", ({ id, json }) => change(id, json as Partial<Item>));
    const batches: Record<string, (id: number, json: Json) => Json> = {
      trash: (id) => change(id, { trashedAtMs: Date.now() }),
      restore: (id) => change(id, { trashedAtMs: 0 }),
      move: (id, { parentId }) => change(id, { parentId: Number(parentId) }),
      delete: (id) =>
        this.entries.delete(id) ? { code: 0 } : { code: 10_007, msg: "it is not in the trash" },
    };
    for (const [operation, act] of Object.entries(batches)) {
      routes.set(`POST /api/files/batch/${operation}`, ({ json }) => {
        const ids = json.ids as number[];
        if (ids.length === 0 || ids.length > 1000) return { code: 10_001, msg: "ids must be 1 to 1000" };
        return { code: 0, results: ids.map((id) => ({ id, msg: "ok", ...act(id, json) })) };
      });
    }
    routes.set("DELETE /api/trash", () => {
      const gone = [...this.entries.values()].filter(({ trashedAtMs }) => trashedAtMs > 0);
      for (const { id } of gone) this.entries.delete(id);
      return { code: 0, deleted: gone.length, left: 0 };
    });
    routes.set("POST /file/downloadurl", ({ json }) => {
      const entry = this.entries.get(Number(json.id));
      if (!this.contents.has(String(json.filehash))) return { code: 10_007, msg: "no such file" };
      const query = new URLSearchParams({
        filehash: String(json.filehash),
        name: entry?.name ?? "",
        inline: String(json.inline ?? 0),
      });
      return { code: 0, url: `/file/download?${query}` };
    });
  }

  #addUploads(): void {
    const routes = this.#routes;
    routes.set("POST /file/fastupload", ({ json }) => this.#fastUpload(json));
    routes.set("POST /file/mpupload/init", ({ json }) => {
      const [filehash, filename] = [String(json.filehash), String(json.filename)];
      const filesize = Number(json.filesize);
      const chunksize = 64 * 1024;
      if (this.#noFolder(json.parentid)) return { code: 10_007, msg: "no such folder" };
      const known = [...this.uploads.values()].find(
        (one) => one.filehash === filehash && one.filename === filename,
      );
      const upload = known ?? {
        ...{ uploadID: randomUUID(), filename, filehash, filesize, parentId: Number(json.parentid) },
        ...{ chunkcount: Math.ceil(filesize / chunksize), chunksize, parts: new Map<number, Buffer>() },
      };
      this.uploads.set(upload.uploadID, upload);
      return { status: "OK", code: 0, ...view(upload) };
    });
    routes.set("POST /file/mpupload/uppart", async ({ query, body }) => {
      const index = Number(query.get("index"));
      await this.beforePart(index);
      const refused = this.refuseParts.shift();
      if (refused !== undefined) return { code: refused, msg: "refused by the test" };
      if (createHash("sha256").update(body).digest("hex") !== query.get("chkhash")) return { code: -2 };
      this.received.push(index);
      this.uploads.get(query.get("uploadid") ?? "")?.parts.set(index, body);
      return { code: 0 };
    });
    routes.set("POST /file/mpupload/complete", ({ json }) => {
      const upload = this.uploads.get(String(json.uploadid));
      if (upload === undefined) return { code: 10_007, msg: "no such upload" };
      const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
      if (parts.length < upload.chunkcount) return { code: -2 };
      const body = Buffer.concat(parts);
      const refused = this.refuseComplete.shift();
      if (refused !== undefined || createHash("sha256").update(body).digest("hex") !== upload.filehash) {
        upload.parts.clear();
        return { code: refused ?? -1 };
      }
      this.add({ name: upload.filename, parentId: upload.parentId }, body);
      this.uploads.delete(upload.uploadID);
      return { code: 0 };
    });
    routes.set("POST /file/mpupload/cancel", ({ json }) => {
      this.uploads.delete(String(json.uploadid));
      return { code: 0 };
    });
    routes.set("GET /api/uploads", () => ({ code: 0, uploads: [...this.uploads.values()].map(view) }));
  }

  #noFolder(id: unknown): boolean {
    const folder = this.entries.get(Number(id));
    return Number(id) !== 0 && (folder === undefined || folder.trashedAtMs > 0);
  }

  #fastUpload(json: Json): Json {
    const content = this.contents.get(String(json.filehash));
    if (content === undefined) return { code: -1 };
    const challenge = this.#challenges.get(String(json.challengeid));
    if (challenge !== undefined) {
      const hash = createHash("sha256").update(challenge.nonce);
      for (const { offset, length } of challenge.ranges)
        hash.update(content.subarray(offset, offset + length));
      if (hash.digest("hex") !== json.proof) return { code: -1 };
      this.add({ name: String(json.filename), parentId: Number(json.parentid) }, content);
      return { code: 0 };
    }
    const id = randomUUID();
    const half = Math.floor(content.length / 2);
    const ranges = [
      { offset: half, length: Math.min(100, content.length - half) },
      { offset: 0, length: Math.min(7, content.length) },
    ];
    this.#challenges.set(id, { nonce: "nonce-é", ranges });
    return { code: -2, data: { challenge: { id, nonce: "nonce-é", ranges } } };
  }
}

function view({ parts, ...upload }: Upload): Json {
  return { ...upload, chunkexists: [...parts.keys()] };
}
