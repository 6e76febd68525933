import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.js";
import { formatAddress } from "../../base/endpoint.js";
import type { Logger } from "../../logger/logger.js";
import { toEndpoint } from "../entry.js";
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
  /** Called when a newer process has taken the address. */
  onLost: (reason: RegistryError) => void;
}

/** Several events come of one rename, and several processes start together: they cost one reading. */
const settleMs = 5;

/** One service of the file registry: what others registered is published to `view`, what we registered is kept there. */
export class FileService {
  readonly #folder: ServiceFolder;
  readonly #view: ServiceView;
  readonly #options: FileServiceOptions;
  readonly #held = new Set<Held>();
  #closed = false;
  /** Registrations being written, which keep the service in use. */
  #joining = 0;
  readonly #reconciler: Reconciler;
  #events: { watcher: FSWatcher; inode: number } | undefined;
  #eventsFailed = false;
  #lastWarning = "";
  /** Reading and changing the folder take turns, or an unregistered entry could be written again. */
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
    return this.#held.size > 0 || this.#joining > 0 || this.#view.watcherCount > 0;
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
    if (!this.#held.has(held)) throw supersededError(held.entry);
  }

  async remove(held: Held): Promise<void> {
    this.#held.delete(held);
    await this.#inTurn(() => this.#folder.remove(held.entry)).catch((error: unknown) => this.#warn(error));
    this.#reconciler.trigger();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#reconciler.stop();
    this.#events?.watcher.close();
    this.#events = undefined;
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
    await this.#listen();
    let entries = await this.#folder.read();
    for (const held of [...this.#held]) {
      if (await this.#keep(held, entries)) entries = await this.#folder.read();
    }
    this.#view.publish(newestByAddress(entries).map(toEndpoint), false);
    this.#lastWarning = "";
    return this.#options.pollMs;
  }

  /** Restores our entry if someone removed it, removes older ones, gives up if a newer one is there. True: files changed. */
  async #keep(held: Held, entries: readonly StoredEntry[]): Promise<boolean> {
    const { entry } = held;
    const address = formatAddress(entry.address);
    const others = entries.filter(
      (other) => other.incarnation !== entry.incarnation && formatAddress(other.address) === address,
    );
    if (others.some((other) => isNewer(other, entry))) {
      this.#held.delete(held);
      await this.#folder.remove(entry);
      held.onLost(supersededError(entry));
      return true;
    }
    for (const other of others) await this.#folder.remove(other);
    const missing = !entries.some((other) => other.incarnation === entry.incarnation);
    if (missing) await this.#folder.write(entry);
    return missing || others.length > 0;
  }

  /** A folder that was removed and made again is another inode, of which the old watcher hears nothing. */
  async #listen(): Promise<void> {
    if (!this.#options.fileEvents || this.#eventsFailed) return;
    const inode = (await stat(this.#folder.path)).ino;
    if (this.#events?.inode === inode) return;
    this.#events?.watcher.close();
    try {
      const watcher = watch(this.#folder.path, { persistent: false }, () => {
        this.#reconciler.trigger(settleMs);
      });
      watcher.on("error", (error) => this.#onEventsFailed(error));
      this.#events = { watcher, inode };
    } catch (error) {
      this.#onEventsFailed(error);
    }
  }

  /** For instance the system's limit of inotify watches. Polling goes on. */
  #onEventsFailed(error: unknown): void {
    this.#eventsFailed = true;
    this.#events?.watcher.close();
    this.#events = undefined;
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
