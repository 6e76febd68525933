import { ApiError } from "../api-error.js";
import { Code } from "../codes.js";
import { wait } from "../upload/wait.js";

/** What a lister needs of an entry. */
interface Identified {
  id: number;
}

export interface ListPage<T extends Identified> {
  entries: T[];
  nextCursor: string;
  total: number;
}

/** Asks for a page. */
type Ask<P> = (page: { cursor: string; limit: number; signal: AbortSignal }) => Promise<P>;

/** The first is there soon. */
const firstEntries = 200;
/** As many as the disk gives. */
const pageEntries = 1000;
const againMs = 5000;
/** Between two times that all of a long list is asked for again, for each of its pages. */
const restMs = 400;

/**
 * A list that grows page by page, each beginning where the one before ended. When it has changed at the disk, as much of it as
 * was shown is asked for again, and takes the place of what is shown once it is there.
 */
export class Lister<T extends Identified, P extends ListPage<T>> {
  /** Whenever `page`, `busy` or `error` is another one. */
  onChange: () => void = () => {};
  page: P | undefined;
  error: unknown;
  busy = true;
  readonly #ask: Ask<P>;
  readonly #controller = new AbortController();
  #stale = true;
  #wanted = firstEntries;
  #restUntilMs = 0;
  #running: Promise<void> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: Ask<P>) {
    this.#ask = ask;
  }

  /** What is shown may not be so any more. */
  reload(): void {
    this.#stale = true;
    void this.#start();
  }

  more(): void {
    this.#wanted = (this.page?.entries.length ?? 0) + pageEntries;
    void this.#start();
  }

  /** Resolves with everything there is; throws what the disk refuses. */
  async all(): Promise<readonly T[]> {
    do {
      this.#wanted = Number.POSITIVE_INFINITY;
      await this.#start();
      if (this.error !== undefined) throw this.error;
    } while (this.#wantsMore());
    return this.page?.entries ?? [];
  }

  /** These are not there any more; the disk need not be asked for that. */
  drop(ids: ReadonlySet<number>): void {
    if (this.page === undefined) return;
    const entries = this.page.entries.filter(({ id }) => !ids.has(id));
    const gone = this.page.entries.length - entries.length;
    this.page = { ...this.page, entries, total: this.page.total - gone };
    this.onChange();
  }

  close(): void {
    this.onChange = () => {};
    clearTimeout(this.#again);
    this.#controller.abort();
  }

  #start(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    const run = this.#run();
    // Else there was nothing to do.
    if (this.busy) this.#running = run;
    return run;
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    clearTimeout(this.#again);
    this.busy = true;
    this.onChange();
    try {
      while (!signal.aborted && (this.#stale || this.#wantsMore())) {
        if (this.#stale) await this.#loadAgain(signal);
        else await this.#append(signal);
        this.onChange();
      }
      this.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.#wanted = this.page?.entries.length ?? firstEntries;
      this.#tryAgain(error);
    }
    this.#running = undefined;
    this.busy = false;
    this.onChange();
  }

  #wantsMore(): boolean {
    return this.page !== undefined && this.page.nextCursor !== "" && this.page.entries.length < this.#wanted;
  }

  async #loadAgain(signal: AbortSignal): Promise<void> {
    await wait(Math.max(0, this.#restUntilMs - performance.now()), signal);
    this.#stale = false;
    const shown = Math.max(firstEntries, this.page?.entries.length ?? 0);
    try {
      let page = await this.#ask({ cursor: "", limit: Math.min(pageEntries, shown), signal });
      let pages = 1;
      for (; page.nextCursor !== "" && page.entries.length < shown; pages++)
        page = await this.#next(page, signal);
      this.page = page;
      if (pages > 1) this.#restUntilMs = performance.now() + pages * restMs;
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  async #append(signal: AbortSignal): Promise<void> {
    const { page } = this;
    if (page === undefined) return;
    try {
      const next = await this.#next(page, signal);
      // Unless something was taken out meanwhile.
      if (this.page === page) this.page = next;
    } catch (error) {
      // A cursor of a list that has become another one.
      if (!(error instanceof ApiError) || error.code !== Code.PARAMETER) throw error;
      this.#stale = true;
    }
  }

  async #next(page: P, signal: AbortSignal): Promise<P> {
    const next = await this.#ask({ cursor: page.nextCursor, limit: pageEntries, signal });
    // One that was renamed between two pages may be on both.
    const known = new Set(page.entries.map(({ id }) => id));
    const entries = [...page.entries, ...next.entries.filter(({ id }) => !known.has(id))];
    return { ...page, entries, nextCursor: next.nextCursor, total: next.total };
  }

  /** A lost connection is noticed elsewhere. */
  #tryAgain(error: unknown): void {
    if (!(error instanceof ApiError) || !error.temporary || error.code === Code.NETWORK) return;
    this.#again = setTimeout(() => this.reload(), Math.max(againMs, error.retryAfterMs));
  }
}
