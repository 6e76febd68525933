import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type IncomingStream, RpcError, Status } from "mprpc";
import type { Static } from "typebox";
import type { WatchEvent } from "../account/gen/account.js";
import type { AuthenticatedUser } from "../common/auth.js";
import { Code, Refusal } from "../common/codes.js";
import { eventText, retryText } from "./event-text.js";
import type { Gateway } from "./gateway.js";
import { type bodies, checkedBy } from "./schemas.js";

/** So often something is sent, so that proxies leave the connection open, and a client that has gone is found out. */
const heartbeatMs = 15_000;
/** How long a request waits for an instance of account before it is told to come back. */
const openTimeoutMs = 10_000;
/** An account that ends a watch sooner than this would be asked again and again. */
const shortMs = 1_000;

type Watcher = Pick<AuthenticatedUser, "userId" | "session">;

/** The live change feeds open at this gateway. */
export class Feeds {
  readonly #gateway: Gateway;
  readonly #max: number;
  readonly #of = new Map<number, number>();
  readonly #open = new Set<Feed>();
  #closing = false;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    this.#max = gateway.host.settings.apigw.feedsMax;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The body of the reply. Throws Refusal: too many of this user, or the session is over by now. */
  async open(user: Watcher, after: number | undefined): Promise<PassThrough> {
    const { userId } = user;
    const count = (this.#of.get(userId) ?? 0) + 1;
    if (count > this.#max) {
      throw new Refusal(
        Code.TOO_MANY,
        `at most ${this.#max} live change feeds of one user (apigw.feeds); close one first`,
      );
    }
    if (this.#closing) throw new Refusal(Code.SERVER, "the gateway is shutting down; try again in a second");
    this.#of.set(userId, count);
    const feed = new Feed(this.#gateway, user);
    this.#open.add(feed);
    feed.body.once("close", () => {
      this.#open.delete(feed);
      const left = (this.#of.get(userId) ?? 1) - 1;
      if (left === 0) this.#of.delete(userId);
      else this.#of.set(userId, left);
    });
    await feed.begin(after);
    return feed.body;
  }

  /** Ends all: their clients come back, to another gateway or to this one when it is back. */
  close(): void {
    this.#closing = true;
    for (const feed of this.#open) feed.end();
  }
}

/** One of them: what account streams, as server-sent events. */
class Feed {
  readonly body = new PassThrough();
  readonly #gateway: Gateway;
  readonly #user: Watcher;
  readonly #controller = new AbortController();
  #after: number | undefined;

  constructor(gateway: Gateway, user: Watcher) {
    this.#gateway = gateway;
    this.#user = user;
    this.body.once("close", () => this.#controller.abort());
    this.body.on("error", () => {});
  }

  /** Resolves once account has answered; before that nothing is sent, so that a refusal is a reply of its own. */
  async begin(after: number | undefined): Promise<void> {
    this.#after = after;
    const late = setTimeout(() => this.#controller.abort(), openTimeoutMs);
    try {
      const watch = this.#watch();
      const events = watch[Symbol.asyncIterator]();
      const first = await events.next();
      if (first.done === true) throw new Refusal(Code.SERVER, "account has ended the watch at once");
      await this.#write(first.value);
      void this.#follow(events);
    } catch (error) {
      this.body.destroy();
      if (error instanceof RpcError && error.code === Status.UNAUTHENTICATED) {
        throw new Refusal(Code.TOKEN, "the token is not valid any more; sign in again");
      }
      if (this.#controller.signal.aborted)
        throw new Refusal(Code.SERVER, "account is away; try again in a few seconds");
      throw error;
    } finally {
      clearTimeout(late);
    }
    const beat = setInterval(() => {
      if (!this.body.writableNeedDrain && !this.body.writableEnded) this.body.write(":\n\n");
    }, heartbeatMs);
    this.body.once("close", () => clearInterval(beat));
  }

  end(): void {
    if (!this.body.writableEnded) this.body.end(retryText());
    this.#controller.abort();
  }

  #watch(): IncomingStream<WatchEvent> {
    const { userId, session } = this.#user;
    const { signal } = this.#controller;
    return this.#gateway.users.watch({ userId, session, after: this.#after }, { signal });
  }

  async #follow(first: AsyncIterator<WatchEvent>): Promise<void> {
    let events = first;
    try {
      for (let beganMs = Number.NEGATIVE_INFINITY; ; ) {
        for (let next = await events.next(); next.done !== true; next = await events.next()) {
          await this.#write(next.value);
          if (next.value.kind === "signed_out") {
            this.body.end();
            return;
          }
        }
        // That instance shuts down, or the connection to it has reached its age: another one goes on where it ended.
        if (performance.now() - beganMs < shortMs) break;
        beganMs = performance.now();
        events = this.#watch()[Symbol.asyncIterator]();
        const again = await events.next();
        if (again.done === true) break;
        if (again.value.kind !== "ready") await this.#write(again.value);
      }
    } catch (error) {
      if (!this.#controller.signal.aborted) this.#gateway.log.warn("a live feed was cut off", { error });
    }
    this.end();
  }

  /** Resolves when there is room for more: what a slow client has not taken stays with account. */
  async #write(event: WatchEvent): Promise<void> {
    if (event.cursor > 0n) this.#after = Number(event.cursor);
    if (this.body.writableEnded || this.body.write(eventText(event))) return;
    await once(this.body, "drain", { signal: this.#controller.signal });
  }
}

/** The cursor a client comes back with; a browser repeats the `id` of the last event in a header. */
function cursorOf(request: FastifyRequest, after: number | undefined): number | undefined {
  const last = request.headers["last-event-id"];
  if (last === undefined || last === "") return after;
  if (typeof last !== "string" || !/^\d{1,15}$/.test(last)) {
    throw new Refusal(Code.PARAMETER, "Last-Event-ID is not the id of an event");
  }
  return Number(last);
}

export function addEventRoutes(http: FastifyInstance, gateway: Gateway): void {
  const feeds = new Feeds(gateway);
  http.addHook("preClose", (done) => {
    feeds.close();
    done();
  });
  http.get<{ Querystring: Static<typeof bodies.events> }>(
    "/api/events",
    checkedBy.events,
    async (request, reply) => {
      const user = await gateway.user(request);
      const body = await feeds.open(user, cursorOf(request, request.query.after));
      // It may have gone while account was asked.
      if (reply.raw.destroyed) body.destroy();
      reply.raw.once("close", () => body.destroy());
      // Of a proxy such as nginx, which would collect what is sent.
      reply.header("x-accel-buffering", "no").header("cache-control", "no-store, no-transform");
      return reply.type("text/event-stream; charset=utf-8").send(body);
    },
  );
}
