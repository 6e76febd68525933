import type { FastifyRequest } from "fastify";
import type { Logger } from "mprpc";
import { Authenticator } from "./auth.js";
import type { EntryAddress } from "./entry-address.js";
import { pathOf } from "./http.js";
import type { Host } from "./part.js";
import { Tickets } from "./tickets.js";

type Kind = "upload" | "download";

const announceEveryMs = 5_000;
/** A node that was killed counts as there for this long. */
const announceTtlMs = 20_000;

/** What the request needs is in another node's data folder: the reply sends the client there, with a ticket for its token. */
export class OnNode extends Error {
  override readonly name = "OnNode";
  readonly node: string;
  readonly kind: Kind;

  constructor(node: string, kind: Kind, what: string) {
    super(`${what} is on the node ${node}`);
    this.node = node;
    this.kind = kind;
  }
}

/** Where browsers reach upload or download of a node; undefined while it is away. */
export async function nodeUrl(host: Host, node: string, kind: Kind): Promise<string | undefined> {
  const { url } = await host.database.run("node.find", { node, kind });
  return url ?? undefined;
}

/** Says where this node's upload or download is, again and again, for as long as it is there. */
export class NodeAnnouncement {
  readonly #host: Host;
  readonly #kind: Kind;
  readonly #entry: EntryAddress;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: Host, kind: Kind, entry: EntryAddress, log: Logger) {
    this.#host = host;
    this.#kind = kind;
    this.#entry = entry;
    this.#log = log;
  }

  /** Resolves at once; what fails is tried again. */
  start(): void {
    // Once: HTTP ends before this does.
    const url = this.#entry.reachable();
    this.#announce(url);
    this.#timer = setInterval(() => this.#announce(url), announceEveryMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last;
  }

  #announce(url: string): void {
    const { node } = this.#host.settings;
    const said = { node, kind: this.#kind, url, ttlMs: announceTtlMs };
    this.#last = this.#host.database.run("node.announce", said).catch((error: unknown) => {
      this.#log.debug("the node was not announced", { error: String(error) });
    });
  }
}

/** Turns an `OnNode` into where the client is sent; undefined when that node is away, or it was sent from there. */
export class NodeRedirects {
  readonly #host: Host;
  readonly #authenticator: Authenticator;
  readonly #tickets: Tickets;

  constructor(host: Host) {
    this.#host = host;
    this.#authenticator = new Authenticator(host);
    this.#tickets = new Tickets(host.database, host.settings.secret);
  }

  async locationOf({ node, kind }: OnNode, request: FastifyRequest): Promise<string | undefined> {
    const asked = new URL(request.url, "http://node");
    // Two nodes behind one public URL would send it to each other for ever.
    if (asked.searchParams.has("redirected")) return undefined;
    const url = await nodeUrl(this.#host, node, kind);
    if (url === undefined) return undefined;
    const query = asked.searchParams;
    query.set("redirected", "1");
    if (!query.has("ticket")) {
      const { userId, username, session } = await this.#authenticator.user(request, kind);
      const expiresAtMs = Date.now() + this.#host.settings.upload.ticketTtlMs;
      query.delete("token");
      query.delete("username");
      query.set("ticket", await this.#tickets.sign({ kind, userId, username, expiresAtMs, session }));
    }
    return `${url}${pathOf(request.url)}?${query}`;
  }
}
