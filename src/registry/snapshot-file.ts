import { createHash, randomBytes } from "node:crypto";
import { rename, rm, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { isReachable, localAddress, parseAddress } from "../base/address.js";
import { type Clock, systemClock } from "../base/clock.js";
import type { Logger } from "../log/logger.js";
import { isWeight } from "./entry.js";
import { reasonOf } from "./errors.js";
import { makePrivateFolder } from "./folder.js";
import { parseJson, readPlainFile } from "./plain-file.js";
import type { Endpoint } from "./registry.js";

import { folderDigits, sweepSnapshots } from "./sweep.js";

/** A list of thousands of instances is far below it. */
const fileMaxBytes = 16 * 1024 * 1024;
const markEveryMs = 24 * 3600_000;

/** `$XDG_CACHE_HOME/mprpc` or `~/.cache/mprpc`. */
export function defaultSnapshotFolder(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env.XDG_CACHE_HOME;
  return join(cache?.startsWith("/") ? cache : join(homedir(), ".cache"), "mprpc");
}

/**
 * The last good list of each service on disk, for a start while its server is away: `<folder>/<registry>/<Service>.json`,
 * written whole or not at all. It is optional: if it cannot be written, one warning is logged, and
 * the next list is tried again.
 */
export class SnapshotFile {
  readonly #folder: string;
  readonly #log: Logger;
  /** The newest list of each service, written or about to be, so that an unchanged one is not written again. */
  readonly #newest = new Map<string, string>();
  /** Files are written one after the other, so that an older list never overwrites a newer one. */
  #turn: Promise<void> = Promise.resolve();
  /** When each file was last marked as in use, on the clock. */
  readonly #markedMs = new Map<string, number>();
  readonly #clock: Clock;
  #prepared = false;
  #swept = false;
  #warned = false;

  /** `registry` distinguishes registries that share the folder. */
  constructor(folder: string, registry: string, log: Logger, clock: Clock = systemClock) {
    this.#folder = join(folder, createHash("sha256").update(registry).digest("hex").slice(0, folderDigits));
    this.#log = log;
    this.#clock = clock;
  }

  /** Resolves when it is on disk, or need not be written. */
  async save(service: string, endpoints: readonly Endpoint[]): Promise<void> {
    const text = `${JSON.stringify({ service, endpoints }, undefined, 2)}\n`;
    if (this.#newest.get(service) === text) return this.#mark(service);
    this.#newest.set(service, text);
    this.#turn = this.#turn.then(() => this.#write(service, text));
    await this.#turn;
  }

  async #write(service: string, text: string): Promise<void> {
    // A newer list arrived while this one waited.
    if (this.#newest.get(service) !== text) return;
    const temporary = this.#path(service, `.${randomBytes(4).toString("hex")}.tmp`);
    try {
      this.#prepare();
      await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
      await rename(temporary, this.#path(service, ".json"));
      this.#markedMs.set(service, this.#clock.now());
      this.#warned = false;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      if (this.#newest.get(service) === text) this.#newest.delete(service);
      // It may have been removed.
      this.#prepared = false;
      this.#warn(error);
    }
  }

  /** `undefined` when there is no trustworthy file. */
  async load(service: string): Promise<Endpoint[] | undefined> {
    const path = this.#path(service, ".json");
    try {
      this.#prepare();
    } catch (error) {
      this.#warn(error);
      return undefined;
    }
    try {
      const value = parseJson(await readPlainFile(path, fileMaxBytes)) as { endpoints: unknown };
      if (!Array.isArray(value.endpoints) || !value.endpoints.every(isEndpoint))
        throw new Error("it is no snapshot");
      void this.#mark(service);
      return value.endpoints;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        this.#log.warn("ignoring a snapshot file that cannot be read", {
          file: path,
          error: reasonOf(error),
        });
      }
      return undefined;
    }
  }

  /** Marks an unchanged file as in use, so that it is not swept. */
  async #mark(service: string): Promise<void> {
    const nowMs = this.#clock.now();
    if (nowMs - (this.#markedMs.get(service) ?? Number.NEGATIVE_INFINITY) < markEveryMs) return;
    this.#markedMs.set(service, nowMs);
    const now = new Date(this.#clock.wallNow());
    // Removed by somebody: then the next list is written again.
    await utimes(this.#path(service, ".json"), now, now).catch(() => this.#newest.delete(service));
  }

  #path(service: string, suffix: string): string {
    return join(this.#folder, service + suffix);
  }

  /** Throws RegistryError when the folder cannot be trusted. */
  #prepare(): void {
    if (this.#prepared) return;
    makePrivateFolder(
      this.#folder,
      "choose another with snapshots=/folder in the registry URL, or snapshots=off",
    );
    this.#prepared = true;
    if (this.#swept) return;
    this.#swept = true;
    void sweepSnapshots(dirname(this.#folder), this.#clock.wallNow()).catch(() => {});
  }

  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log.warn("no snapshot file: a start without the registry would find no endpoints, or old ones", {
      error: reasonOf(error),
    });
  }
}

function isEndpoint(value: unknown): value is Endpoint {
  if (typeof value !== "object" || value === null) return false;
  const { host, port, protocol, weight, attributes, incarnation, methods } = value as Partial<Endpoint>;
  const isText = (text: unknown) => typeof text === "string";
  const named = typeof host === "string" && typeof port === "number" && isReachable({ host, port });
  return (
    named &&
    (localAddress(host) !== undefined || parseAddress(`[${host}]:${port}`) !== undefined) &&
    (protocol === "mprpc" || protocol === "classic" || protocol === "grpc") &&
    typeof weight === "number" &&
    isWeight(weight) &&
    typeof attributes === "object" &&
    attributes !== null &&
    Object.values(attributes).every(isText) &&
    (incarnation === undefined || isText(incarnation)) &&
    (methods === undefined || (Array.isArray(methods) && methods.every(isText)))
  );
}
