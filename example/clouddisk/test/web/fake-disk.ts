import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { policyOf } from "../../src/apigw/pages.js";
import { serviceNames } from "../../src/common/part.js";
import { previewType } from "../../src/download/media-types.js";
import type { Item } from "./fake-list.js";
import { addFiles, addSession, type Handler, type Json } from "./fake-routes.js";
import { listen, types } from "./fake-server.js";
import { addUploads, type Upload } from "./fake-uploads.js";

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
  /** Whether anybody may sign up, and who is asked where not. */
  signup = { open: true, contact: "" };
  signedIn: string | undefined;
  readonly routes = new Map<string, Handler>();
  /** What a download takes to be answered. */
  downloadLatencyMs = 0;
  readonly #web: string;
  readonly #server: Server;
  /** Of bodies, in split mode. */
  #bodies: { server: Server; url: string } | undefined;
  #lastId = 0;

  constructor(web: string) {
    this.#web = web;
    this.#server = this.#createServer();
    addSession(this);
    addFiles(this);
    addUploads(this);
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
    this.signedIn = username;
  }

  /** As if the session had ended, or another device had ended it. */
  signOut(): void {
    this.signedIn = undefined;
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

  /** Where a program would be refused to put something. */
  lacksFolder(id: unknown): boolean {
    const folder = this.entries.get(Number(id));
    return Number(id) !== 0 && (folder === undefined || folder.trashedAtMs > 0);
  }

  /** Empty while all is of one origin. */
  get bodiesUrl(): string {
    return this.#bodies?.url ?? "";
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
    const handler = this.routes.get(route);
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
    const open = url.pathname.startsWith("/user/") || url.pathname === "/api/signup";
    const reply =
      open || this.signedIn !== undefined
        ? await handler({ query: url.searchParams, json, body, id: Number(id) })
        : { code: 10_005, msg: "sign in first" };
    const code = Number(reply.code ?? 0);
    const status = [0, -1, -2, 10_000].includes(code) ? 200 : code === 10_005 ? 401 : 400;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(reply));
  }

  async #page(pathname: string, response: ServerResponse): Promise<void> {
    const name = ["/", "/user/signup"].includes(pathname) ? "index.html" : pathname.slice(1);
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
}
