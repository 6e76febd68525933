import type { FastifyRequest } from "fastify";
import { UserServiceStub } from "../account/gen/account.js";
import { Code, Refusal } from "./codes.js";
import { originOf } from "./cors.js";
import type { Host } from "./part.js";
import { sessionOf, type Ticket, Tickets } from "./tickets.js";
import { userKey } from "./user-names.js";

declare module "fastify" {
  interface FastifyContextConfig {
    /** A GET that changes something: with a cookie it is obeyed only when the browser proves it came from our page. */
    changesState?: boolean;
  }
}

export const cookieName = "clouddisk_token";

export interface AuthenticatedUser {
  userId: number;
  username: string;
  via: "bearer" | "cookie" | "legacy" | "ticket";
  /** Of the token, or the one a ticket was made for: what tickets for other servers are bound to. */
  session: string;
}

interface Identity {
  userId: number;
  username: string;
  expiresAtMs: number;
}

/** How long an answer of account is believed. A sign-out in another process takes effect after this time at the latest. */
const cacheTtlMs = 3000;
const cacheMax = 10_000;

/** Who asks, by sessions: several `Authenticator`s of one process share it, so that a sign-out counts at once in all. */
class SessionCache {
  readonly #stub: UserServiceStub;
  readonly #sessions = new Map<string, { identity: Promise<Identity>; untilMs: number }>();

  constructor(stub: UserServiceStub) {
    this.#stub = stub;
  }

  /** By the session's token, or by what a ticket says of it. */
  find(key: string, token = ""): Promise<Identity> {
    const known = this.#sessions.get(key);
    if (known !== undefined && known.untilMs > performance.now()) return known.identity;
    this.#sessions.delete(key);
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined && this.#sessions.size >= cacheMax) this.#sessions.delete(oldest);
    const session = { identity: this.#ask(key, token), untilMs: performance.now() + cacheTtlMs };
    this.#sessions.set(key, session);
    session.identity.catch(() => {
      if (this.#sessions.get(key) === session) this.#sessions.delete(key);
    });
    return session.identity;
  }

  forget(key: string): void {
    this.#sessions.delete(key);
  }

  async #ask(key: string, token: string): Promise<Identity> {
    const session = token === "" ? key : "";
    const reply = await this.#stub.authenticate({ token, username: "", session });
    if (reply.code !== 0) throw new Refusal(reply.code, reply.message);
    const { userId, username, expiresAtMs } = reply;
    return { userId: Number(userId), username, expiresAtMs: Number(expiresAtMs) };
  }
}

const caches = new WeakMap<Host, SessionCache>();

function cacheOf(host: Host): SessionCache {
  let cache = caches.get(host);
  if (cache === undefined) {
    cache = new SessionCache(new UserServiceStub(host.channel));
    caches.set(host, cache);
  }
  return cache;
}

/** Tells whose request it is. */
export class Authenticator {
  readonly #host: Host;
  readonly #cache: SessionCache;
  readonly #tickets: Tickets;

  constructor(host: Host) {
    this.#host = host;
    this.#cache = cacheOf(host);
    this.#tickets = new Tickets(host.database, host.settings.secret);
  }

  /**
   * The user behind a ticket (of `ticketKind`, when the route takes any), `Authorization: Bearer`, `token` and `username` in
   * query or body, or the cookie; the first of these that is given counts. Call it after the body is parsed when the
   * route has one with parameters. Throws Refusal: 10005, or 10011 for a cookie sent by a page that is not ours.
   */
  async user(request: FastifyRequest, ticketKind?: "upload" | "download"): Promise<AuthenticatedUser> {
    const ticket = ticketKind === undefined ? undefined : ticketOf(request);
    if (ticketKind !== undefined && ticket !== undefined) {
      const { userId, username, session } = await this.ticket(ticket, ticketKind);
      return { userId, username, via: "ticket", session };
    }
    const given = tokenOf(request);
    if (given === undefined) throw new Refusal(Code.TOKEN, "sign in first: the request has no token");
    if (given.via === "cookie") checkOrigin(request, this.#host);
    // What cannot be a token is not worth a call.
    if (!/^[A-Za-z0-9_-]{16,128}$/.test(given.token)) throw notValid();
    const session = sessionOf(given.token);
    const { userId, username, expiresAtMs } = await this.#cache.find(session, given.token);
    if (expiresAtMs <= Date.now()) throw notValid();
    const claimed = parameter(request, "username");
    if (given.via === "legacy" && claimed !== undefined && userKey(claimed) !== userKey(username))
      throw notValid();
    return { userId, username, via: given.via, session };
  }

  /** What a ticket says. Throws Refusal (10005): not ours, of another kind, expired, or its user has signed out since. */
  async ticket(text: string, kind: Ticket["kind"]): Promise<Ticket> {
    const ticket = await this.#tickets.verify(text, kind);
    const { userId, expiresAtMs } = await this.#cache.find(ticket.session);
    if (userId !== ticket.userId || expiresAtMs <= Date.now()) throw notValid();
    return ticket;
  }

  /** After a sign-out: the token, and its tickets, count for nothing in this process from now on. */
  forget(token: string): void {
    this.#cache.forget(sessionOf(token));
  }
}

function notValid(): Refusal {
  return new Refusal(Code.TOKEN, "the token is not valid any more; sign in again");
}

function ticketOf(request: FastifyRequest): string | undefined {
  const header = request.headers["x-ticket"];
  return typeof header === "string" && header !== "" ? header : text(request.query, "ticket");
}

/** The token of a request and where it stands, undefined when it has none. */
export function tokenOf(
  request: FastifyRequest,
): { token: string; via: "bearer" | "cookie" | "legacy" } | undefined {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization) ?? [];
    // Basic, say: whoever sends it means it, so that neither cookie nor query takes its place.
    return { token: token ?? "", via: "bearer" };
  }
  const legacy = parameter(request, "token");
  if (legacy !== undefined) return { token: legacy, via: "legacy" };
  const cookie = request.cookies[cookieName];
  return cookie === undefined || cookie === "" ? undefined : { token: cookie, via: "cookie" };
}

/** A parameter of the body or else the query; undefined when it is missing, empty, or given more than once. */
function parameter(request: FastifyRequest, name: string): string | undefined {
  return text(request.body, name) ?? text(request.query, name);
}

function text(from: unknown, name: string): string | undefined {
  if (typeof from !== "object" || from === null || !Object.hasOwn(from, name)) return undefined;
  const value: unknown = Reflect.get(from, name);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/**
 * A browser sends the cookie whoever made the page that asks. `SameSite=Strict` keeps out other sites; other ports of the
 * same host are the same site, and browsers on plain HTTP say less of themselves, so the origin is compared as well.
 */
export function checkOrigin(request: FastifyRequest, host: Host): void {
  const safe = ["GET", "HEAD", "OPTIONS"].includes(request.method);
  const changes = !safe || request.routeOptions.config.changesState === true;
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined) {
    if (site === "same-origin" || (site === "none" && !changes)) return;
    throw foreign(`Sec-Fetch-Site is ${String(site)}`);
  }
  const origin = request.headers.origin ?? (changes && safe ? request.headers.referer : undefined);
  if (origin !== undefined) {
    if (isOwnOrigin(origin, request.host, host)) return;
    throw foreign("Origin names another one");
  }
  // Browsers name the origin of everything but GETs: what has none is not a page.
  if (changes && safe)
    throw foreign("a GET that changes something needs Authorization: Bearer, or to be a POST");
}

function isOwnOrigin(origin: string, hostHeader: string, host: Host): boolean {
  const given = originOf(origin);
  if (given === undefined) return false;
  return (
    given.host === originOf(`${given.protocol}//${hostHeader}`)?.host ||
    given.origin === originOf(host.settings.apigw.publicUrl)?.origin
  );
}

function foreign(why: string): Refusal {
  return new Refusal(Code.FORBIDDEN, `the cookie is taken from the disk's own pages only: ${why}`);
}
