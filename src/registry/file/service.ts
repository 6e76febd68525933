import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import type { Logger } from "../../log/logger.js";
import { isSameGroup, toEndpoint } from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { Reconciler } from "../reconciler.js";
import type { ServiceView } from "../view.js";
import { isNewer, newestByAddress, type ServiceFolder, type StoredEntry } from "./store.js";

export interface FileServiceOptions {
  clock: Clock;
  log: Logger;
  /** How often the folder is read even without an event, ms: it is how a killed process is noticed. */
  pollMs: number;
  /** Whether to listen for file events. False where the file system sends none (NFS). */
  fileEvents: boolean;
}

/** A registration of ours, kept on disk. */
export interface Held {
  entry: StoredEntry;
  /** Whether `add` has resolved; a failed registration is only reported by its rejection. */
  established: boolean;
  /** A newer process has the address: our file is removed until that one leaves. */
  superseded: boolean;
  /** Called each time a newer process has taken the address of an established one. */
  onLost: (reason: RegistryError) => void;
}

/** One rename causes several events, and several processes may start together: read once for all of them. */
const settleMs = 5;
/** After the folder was removed, providers write their entries again within their poll interval, 1 s by default. */
const recoveryMs = 2000;

/** One service of the file registry: what others registered is published to `view`, what we registered is kept there. */
export class FileService {
  readonly #folder: ServiceFolder;
  readonly #view: ServiceView;
  readonly #options: FileServiceOptions;
  readonly #held = new Set<Held>();
  /** Withdrawn ones whose file could not be removed yet; removal is retried, since their process is still alive. */
  readonly #withdrawn = new Set<Held>();
  #closed = false;
  /** Registrations being written, which keep the service in use. */
  #joining = 0;
  readonly #reconciler: Reconciler;
  #watcher: FSWatcher | undefined;
  /** Identity of the folder read last; its inode number alone may be reused at once. */
  #read: { ino: bigint; birthtimeNs: bigint } | undefined;
  #hasBirthtimes = false;
  /** Missing endpoints are kept until this time of the clock. */
  #keepUntilMs = 0;
  #eventsFailed = false;
  #lastWarning = "";
  /** Reads and changes of the folder are serialized; otherwise an unregistered entry could be written again. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(folder: ServiceFolder, view: ServiceView, options: FileServiceOptions) {
    this.#folder = folder;
    this.#view = view;
    this.#options = options;
    this.#reconciler = new Reconciler({
      clock: options.clock,
      run: () => this.#inTurn(() => this.#refresh()),
      onError: (error) => this.#onError(error),
    });
    this.#reconciler.trigger();
  }

  get inUse(): boolean {
    const { size } = this.#held;
    return size + this.#withdrawn.size + this.#joining + this.#view.watcherCount > 0;
  }

  /** Writes the entry and removes older ones of its address. Rejects with RegistryError. */
  async add(held: Held): Promise<void> {
    if (this.#closed) throw new RegistryError("closed", "the registry is closed");
    this.#joining += 1;
    try {
      await this.#inTurn(() => this.#write(held));
    } catch (error) {
      const text = `cannot write to the registry folder ${this.#folder.path}: ${reasonOf(error)}`;
      throw new RegistryError("unreachable", text, error);
    } finally {
      this.#joining -= 1;
    }
    this.#reconciler.trigger();
    if (held.superseded) {
      this.#held.delete(held);
      throw supersededError(held.entry);
    }
    held.established = true;
  }

  async remove(held: Held): Promise<void> {
    this.#held.delete(held);
    this.#withdrawn.add(held);
    await this.#inTurn(() => this.#removeWithdrawn());
    this.#reconciler.trigger();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reconciler.stop();
    this.#stopListening();
    // One that is being written now is held, and so removed below, when its turn is over.
    await this.#turn;
    await Promise.all([...this.#held].map((held) => this.remove(held)));
  }

  async #write(held: Held): Promise<void> {
    await this.#folder.create();
    const address = formatAddress(held.entry.address);
    const others = (await this.#folder.read()).filter((other) => formatAddress(other.address) === address);
    held.entry.sequence = 1 + Math.max(0, ...others.map((other) => other.sequence));
    await this.#folder.write(held.entry);
    this.#held.add(held);
    await this.#keep(held, await this.#folder.read());
  }

  async #refresh(): Promise<number> {
    await this.#folder.create();
    await this.#identify();
    await this.#removeWithdrawn();
    let entries = await this.#folder.read();
    try {
      for (const held of [...this.#held]) {
        if (await this.#keep(held, entries)) entries = await this.#folder.read();
      }
    } catch (error) {
      // What others registered is known, though ours cannot be kept up.
      this.#publish(entries, true);
      throw error;
    }
    const againMs = this.#publish(entries, false);
    if (this.#withdrawn.size === 0) this.#lastWarning = "";
    return againMs;
  }

  /** Resolves with the delay until the next check, ms. */
  #publish(entries: readonly StoredEntry[], stale: boolean): number {
    const gone = new Set([...this.#withdrawn].map(({ entry }) => entry.incarnation));
    const listed = entries.filter(({ incarnation }) => !gone.has(incarnation));
    const endpoints = newestByAddress(listed).map(toEndpoint);
    const keepMs = this.#keepUntilMs - this.#options.clock.now();
    const found = new Set(endpoints.map(formatAddress));
    const before = this.#view.current?.endpoints ?? [];
    const kept = keepMs > 0 ? before.filter((endpoint) => !found.has(formatAddress(endpoint))) : [];
    this.#view.publish([...endpoints, ...kept], stale || kept.length > 0);
    return kept.length === 0 ? this.#options.pollMs : Math.min(keepMs, this.#options.pollMs);
  }

  async #removeWithdrawn(): Promise<void> {
    for (const held of [...this.#withdrawn]) {
      try {
        await this.#folder.remove(held.entry);
        this.#withdrawn.delete(held);
      } catch (error) {
        this.#warn(error);
      }
    }
  }

  /**
   * Restores our entry if someone removed it, removes older ones of its address, and gives way to a newer one until that leaves.
   * True: files changed.
   */
  async #keep(held: Held, entries: readonly StoredEntry[]): Promise<boolean> {
    const { entry } = held;
    const address = formatAddress(entry.address);
    const rivals = entries.filter(
      (other) =>
        other.incarnation !== entry.incarnation &&
        formatAddress(other.address) === address &&
        !isSameGroup(other, entry),
    );
    // Any entry written while ours was removed is newer.
    if (held.superseded && rivals.length > 0) return false;
    if (rivals.some((other) => isNewer(other, entry))) {
      held.superseded = true;
      await this.#folder.remove(entry);
      if (held.established) held.onLost(supersededError(entry));
      return true;
    }
    for (const rival of rivals) await this.#folder.remove(rival);
    const missing = !(await this.#folder.holds(entry));
    if (missing) await this.#folder.write(entry);
    if (held.superseded) this.#onRestored(held);
    return missing || rivals.length > 0;
  }

  #onRestored(held: Held): void {
    held.superseded = false;
    const { service, address } = held.entry;
    this.#options.log.info("the newer process of our address is gone: registered again", {
      ...{ service, address: formatAddress(address) },
    });
  }

  /** A folder that was removed and created again is empty for a moment, until its providers notice. */
  async #identify(): Promise<void> {
    const { ino, birthtimeNs, ctimeNs } = await stat(this.#folder.path, { bigint: true });
    // A file system that keeps no birth times gives the time of the last change.
    if (birthtimeNs !== ctimeNs) this.#hasBirthtimes = true;
    const before = this.#read;
    if (before?.ino === ino && before.birthtimeNs === birthtimeNs) return;
    this.#read = { ino, birthtimeNs };
    if (before !== undefined && (before.ino !== ino || this.#hasBirthtimes)) {
      this.#keepUntilMs = this.#options.clock.now() + recoveryMs;
    }
    this.#listen();
  }

  /** A new watcher for each folder: the old one gets no events of a folder that was removed and created again. */
  #listen(): void {
    this.#stopListening();
    if (!this.#options.fileEvents || this.#eventsFailed) return;
    try {
      this.#watcher = watch(this.#folder.path, { persistent: false }, () => {
        this.#reconciler.trigger(settleMs);
      });
      this.#watcher.on("error", (error) => this.#onEventsFailed(error));
    } catch (error) {
      // Removed since: then the one that is made again is listened to.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#onEventsFailed(error);
    }
  }

  #stopListening(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** For instance the system's limit of inotify watches. Polling goes on. */
  #onEventsFailed(error: unknown): void {
    this.#eventsFailed = true;
    this.#stopListening();
    const { pollMs, log } = this.#options;
    log.warn("no file events; the registry folder is polled", {
      path: this.#folder.path,
      pollMs,
      error: reasonOf(error),
    });
  }

  #onError(error: unknown): number {
    this.#view.markStale();
    this.#warn(error);
    return this.#options.pollMs;
  }

  #warn(error: unknown): void {
    const text = reasonOf(error);
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    this.#options.log.warn("the registry folder cannot be used", { path: this.#folder.path, error: text });
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task);
    this.#turn = result.catch(() => {});
    return result;
  }
}

function supersededError({ service, address }: StoredEntry): RegistryError {
  const text = `${formatAddress(address)} of ${service} was registered by a newer process`;
  return new RegistryError("superseded", text);
}
