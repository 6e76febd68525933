import { setTimeout as delay } from "node:timers/promises";
import { type CallContext, type Logger, RpcError, Status } from "mprpc";
import type { ChangeRow } from "../dbproxy/actions.js";
import type { Database } from "../dbproxy/client.js";
import { checkHash, idOf, userIdOf } from "./entries.js";
import type { WatchEventInput, WatchRequest } from "./gen/account.js";

/** Without a broker, how often the database is asked for what other instances and uploads changed: the longest that a change takes to be told. */
export const feedPollMs = 500;
/** While the database is away. */
const awayMs = 2_000;
/** Users of one question, and sessions: two tabs of each, and then some. */
const usersMax = 200;
const sessionsMax = 1000;
/** A watcher that has so many to take gets no more until it has: they are kept in the database. */
const waitingMax = 500;

interface Watcher {
  readonly userId: number;
  readonly session: string;
  /** Of the last change that waits or was told. */
  cursor: number;
  readonly waiting: ChangeRow[];
  /** There was more than it had room for. */
  behind: boolean;
  ended: boolean;
  wake(): void;
}

/** Tells watchers what changes among their users' files: at once what this instance changed or was told of, and by a poll all else. */
export class Feed {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #watchers = new Set<Watcher>();
  /** Users something was changed of. */
  readonly #changed = new Set<number>();
  /** Users a session of whom has ended elsewhere. */
  readonly #endedOf = new Set<number>();
  readonly #stopping = new AbortController();
  #wakeLoop: () => void = () => {};
  #running: Promise<void> | undefined;
  #pollMs: number;
  #nextPollMs = 0;

  constructor(database: Database, log: Logger, pollMs = feedPollMs) {
    this.#database = database;
    this.#log = log;
    this.#pollMs = pollMs;
  }

  /** Asks for everything now, and from then on every `pollMs`. */
  set pollMs(pollMs: number) {
    this.#pollMs = pollMs;
    this.#nextPollMs = 0;
    this.#wakeLoop();
  }

  /** How many watch. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Not in a handler: what is called from there ends with its call. */
  start(): void {
    this.#running = this.#run();
  }

  /** Asks for nothing more. Watches end when the provider drains, by when nobody is sent here to go on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeLoop();
    await this.#running;
  }

  /** Something of the user has changed, or may have; `sessionEnded`: and a session of his is over. */
  changed(userId: number, sessionEnded = false): void {
    this.#changed.add(userId);
    if (sessionEnded) this.#endedOf.add(userId);
    this.#wakeLoop();
  }

  /** Its token counts for nothing any more. */
  endSession(session: string): void {
    for (const watcher of this.#watchers) {
      if (watcher.session !== session) continue;
      watcher.ended = true;
      watcher.wake();
    }
  }

  /** Throws RpcError UNAUTHENTICATED for a session that is over. */
  async *watch(request: WatchRequest, context: CallContext): AsyncGenerator<WatchEventInput, void> {
    const userId = userIdOf(request.userId);
    const session = checkHash(request.session);
    const after = request.after === undefined ? {} : { after: idOf(request.after, "after", 0) };
    const [{ cursor, complete }, { ended }] = await Promise.all([
      this.#database.run("change.begin", { userId, ...after }),
      this.#database.run("change.poll", { watches: [], sessions: [session] }),
    ]);
    if (ended.length > 0) throw new RpcError(Status.UNAUTHENTICATED, "the session is over");
    const idle = { waiting: [], behind: false, ended: false, wake: () => {} };
    const watcher: Watcher = { userId, session, cursor, ...idle };
    const leave = (): void => watcher.wake();
    context.signal.addEventListener("abort", leave);
    context.draining.addEventListener("abort", leave);
    this.#watchers.add(watcher);
    try {
      yield { kind: complete ? "ready" : "reload", cursor, atMs: Date.now() };
      this.changed(userId);
      while (!context.signal.aborted && !context.draining.aborted) {
        if (watcher.ended) {
          yield { kind: "signed_out", cursor: watcher.cursor, atMs: Date.now() };
          return;
        }
        const change = watcher.waiting.shift();
        if (change !== undefined) yield toEvent(change);
        else if (watcher.behind) {
          watcher.behind = false;
          this.changed(userId);
        } else
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
      }
    } finally {
      this.#watchers.delete(watcher);
      context.signal.removeEventListener("abort", leave);
      context.draining.removeEventListener("abort", leave);
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const waitMs = Math.max(0, this.#nextPollMs - performance.now());
      if (this.#changed.size === 0 || this.#watchers.size === 0) await this.#pause(waitMs);
      const all = performance.now() >= this.#nextPollMs;
      const changed = new Set(this.#changed);
      const endedOf = new Set(this.#endedOf);
      this.#changed.clear();
      this.#endedOf.clear();
      const asked = Array.from(this.#watchers).filter(
        ({ userId, waiting }) => (all || changed.has(userId)) && waiting.length <= waitingMax / 2,
      );
      const checked = Array.from(this.#watchers).filter(({ userId }) => all || endedOf.has(userId));
      if (all) this.#nextPollMs = performance.now() + this.#pollMs;
      try {
        await this.#ask(asked, [...new Set(checked.map(({ session }) => session))]);
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#log.warn("watchers wait: what has changed is not known", { error });
        this.#nextPollMs = performance.now() + awayMs;
        await this.#pause(awayMs);
      }
    }
  }

  /** Until then, or until something changed here. */
  async #pause(ms: number): Promise<void> {
    const controller = new AbortController();
    this.#wakeLoop = () => controller.abort();
    if (this.#stopping.signal.aborted) return;
    await delay(ms, undefined, { signal: controller.signal, ref: false }).catch(() => {});
  }

  /** For changes of these, and which of the sessions are over. */
  async #ask(watchers: readonly Watcher[], sessions: readonly string[]): Promise<void> {
    const cursors = new Map<number, number>();
    for (const { userId, cursor } of watchers) {
      cursors.set(userId, Math.min(cursor, cursors.get(userId) ?? cursor));
    }
    const watches = Array.from(cursors, ([userId, after]) => ({ userId, after }));
    for (let at = 0; watches.length > at * usersMax || sessions.length > at * sessionsMax; at++) {
      const found = await this.#database.run("change.poll", {
        watches: watches.slice(at * usersMax, (at + 1) * usersMax),
        sessions: sessions.slice(at * sessionsMax, (at + 1) * sessionsMax),
      });
      for (const change of found.changes) tell(watchers, change);
      // The rest at once, without waiting for the next poll.
      if (found.more) for (const { userId } of found.changes) this.#changed.add(userId);
      for (const session of found.ended) this.endSession(session);
    }
  }
}

function tell(watchers: readonly Watcher[], change: ChangeRow): void {
  for (const watcher of watchers) {
    if (watcher.userId !== change.userId || change.id <= watcher.cursor) continue;
    if (watcher.waiting.length >= waitingMax) {
      watcher.behind = true;
      continue;
    }
    watcher.cursor = change.id;
    watcher.waiting.push(change);
    watcher.wake();
  }
}

function toEvent(change: ChangeRow): WatchEventInput {
  const { id: cursor, kind, createdAtMs: atMs, parentId, name } = change;
  if (kind === "upload") {
    const { uploadId: id, sizeBytes, partsDone, partCount, uploadState: state } = change;
    return { kind, cursor, atMs, upload: { id, parentId, name, sizeBytes, partsDone, partCount, state } };
  }
  const { entryId: id, fromParentId, folder } = change;
  return { kind, cursor, atMs, entry: { id, parentId, fromParentId, name, folder } };
}
