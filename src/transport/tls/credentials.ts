import { type FSWatcher, watch } from "node:fs";
import path from "node:path";
import type tls from "node:tls";
import type { Clock, Timer } from "../../base/clock.js";
import { textOf } from "../../base/thrown.js";
import { messages } from "../../error/messages.js";
import type { Logger } from "../../log/logger.js";
import { filesOf, loadMaterial, type TlsMaterial } from "./material.js";
import { nodeTls } from "./node-tls.js";
import type { TlsOptions } from "./options.js";

/** Poll interval, ms: folders on networks and in containers do not always report changes. */
const pollMs = 10_000;
/** Delay before reading, ms: a certificate and its key are two files, and replacing both takes a moment. */
const settleMs = 100;
/** Sessions that may be resumed, by where and with whom. */
const sessionsMax = 256;

/** A session that a channel may resume, with its certificate, which is not sent again on resumption. */
export interface KnownSession {
  readonly session: Buffer;
  /** DER */
  readonly certificate: Buffer;
}

/**
 * The certificates, keys and secrets of one `TlsOptions`: what the next handshake uses, and the notifications when the files
 * change. Unusable files leave the previous ones in use.
 */
export class TlsCredentials {
  readonly options: TlsOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #files: readonly string[];
  readonly #watchers: FSWatcher[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #sessions = new Map<string, KnownSession>();
  #material: TlsMaterial;
  #clientContext: tls.SecureContext | undefined;
  #poll: Timer | undefined;
  #settle: Timer | undefined;
  /** The error reported last, so that polls do not repeat it. */
  #reported = "";
  /** The warnings of the last reading. */
  #warned: readonly string[] = [];
  #closed = false;

  /** Throws `Error` for files that cannot be used. */
  constructor(options: TlsOptions, clock: Clock, log: Logger) {
    this.options = options;
    this.#clock = clock;
    this.#log = log;
    this.#material = loadMaterial(options, clock.wallNow());
    this.#warn(this.#material.warnings);
    this.#files = filesOf(options);
    if (this.#files.length > 0) this.#watch();
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** For the next connection of a channel. */
  get clientContext(): tls.SecureContext {
    this.#clientContext ??= nodeTls().createSecureContext(this.#material.context);
    return this.#clientContext;
  }

  /** Calls the listener after each change. Returns a function that removes it. */
  onReload(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The session to resume at a place; its certificate is to be checked again. */
  sessionOf(place: string): KnownSession | undefined {
    return this.#sessions.get(place);
  }

  keepSession(place: string, session: KnownSession, material: TlsMaterial): void {
    // Created with certificates and authorities that are no longer in use.
    if (material !== this.#material) return;
    this.#sessions.delete(place);
    this.#sessions.set(place, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > sessionsMax && oldest !== undefined) this.#sessions.delete(oldest);
  }

  /** Reads the files again. */
  reload(): void {
    if (this.#closed) return;
    let next: TlsMaterial;
    try {
      next = loadMaterial(this.options, this.#clock.wallNow());
    } catch (error) {
      const text = textOf(error);
      if (text !== this.#reported) this.#log.error(messages.tlsReloadFailed(text));
      this.#reported = text;
      return;
    }
    this.#reported = "";
    // A file's mode and the time change what it is worth, but not what it says.
    this.#warn(next.warnings);
    if (next.digest === this.#material.digest) return;
    this.#material = next;
    this.#clientContext = undefined;
    this.#sessions.clear();
    this.#log.info("tls: the certificates, keys or secrets have changed, and are in use now", {
      files: this.#files,
    });
    for (const listener of [...this.#listeners]) listener();
  }

  #warn(warnings: readonly string[]): void {
    for (const one of warnings) if (!this.#warned.includes(one)) this.#log.warn(one);
    this.#warned = warnings;
  }

  /** Watches folders, not files: a new file replaces the old one by name, and container mounts replace the folder itself. */
  #watch(): void {
    for (const folder of new Set(this.#files.map((file) => path.dirname(path.resolve(file))))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#reloadSoon());
        watcher.on("error", () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // No watches left, or not supported by the file system: the poll finds changes later.
      }
    }
    this.#pollLater();
  }

  #reloadSoon(): void {
    if (this.#closed) return;
    this.#settle?.cancel();
    this.#settle = this.#clock.setTimer(() => this.reload(), settleMs);
  }

  #pollLater(): void {
    this.#poll = this.#clock.setTimer(() => {
      this.reload();
      this.#pollLater();
    }, pollMs);
  }

  close(): void {
    this.#closed = true;
    this.#poll?.cancel();
    this.#settle?.cancel();
    for (const watcher of this.#watchers) watcher.close();
    this.#listeners.clear();
    this.#sessions.clear();
  }
}
