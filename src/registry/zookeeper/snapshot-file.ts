import { createHash, randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../base/endpoint.js";
import type { Logger } from "../../logger/logger.js";
import { reasonOf } from "../errors.js";
import { makePrivateFolder } from "../folder.js";
import type { Endpoint } from "../registry.js";

/** `$XDG_CACHE_HOME/mprpc` or `~/.cache/mprpc`. */
export function defaultSnapshotFolder(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env.XDG_CACHE_HOME;
  return join(cache?.startsWith("/") ? cache : join(homedir(), ".cache"), "mprpc");
}

/**
 * The last good list of each service on disk, for a start while ZooKeeper is away: `<folder>/<registry>/<Service>.json`,
 * written whole or not at all. It is a help and never a condition: when it cannot be written there is one warning.
 */
export class SnapshotFile {
  readonly #folder: string;
  readonly #log: Logger;
  /** What each service's file holds, so that an unchanged list is not written again. */
  readonly #written = new Map<string, string>();
  #usable: boolean | undefined;

  /** `registry` tells registries apart that share the folder. */
  constructor(folder: string, registry: string, log: Logger) {
    this.#folder = join(folder, createHash("sha256").update(registry).digest("hex").slice(0, 16));
    this.#log = log;
  }

  async save(service: string, endpoints: readonly Endpoint[]): Promise<void> {
    const text = `${JSON.stringify({ service, endpoints }, undefined, 2)}\n`;
    if (this.#written.get(service) === text || !this.#prepare()) return;
    this.#written.set(service, text);
    const temporary = this.#path(service, `.${randomBytes(4).toString("hex")}.tmp`);
    try {
      await writeFile(temporary, text, { mode: 0o600 });
      await rename(temporary, this.#path(service, ".json"));
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** `undefined` when there is none that can be trusted. */
  async load(service: string): Promise<Endpoint[] | undefined> {
    if (!this.#prepare()) return undefined;
    const path = this.#path(service, ".json");
    try {
      const value = JSON.parse(await readFile(path, "utf8")) as { endpoints: unknown };
      if (!Array.isArray(value.endpoints) || !value.endpoints.every(isEndpoint))
        throw new Error("it is no snapshot");
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

  #path(service: string, suffix: string): string {
    return join(this.#folder, service + suffix);
  }

  #prepare(): boolean {
    if (this.#usable !== undefined) return this.#usable;
    try {
      makePrivateFolder(
        this.#folder,
        "choose another with snapshots=/folder in the registry URL, or snapshots=off",
      );
      this.#usable = true;
    } catch (error) {
      this.#giveUp(error);
    }
    return this.#usable === true;
  }

  #giveUp(error: unknown): void {
    if (this.#usable !== false) {
      this.#log.warn("no snapshot file: a start without ZooKeeper will find no endpoints", {
        error: reasonOf(error),
      });
    }
    this.#usable = false;
  }
}

function isEndpoint(value: unknown): value is Endpoint {
  if (typeof value !== "object" || value === null) return false;
  const { host, port, protocol, weight, attributes } = value as Partial<Endpoint>;
  const named =
    typeof host === "string" && typeof port === "number" && parseAddress(`[${host}]:${port}`) !== undefined;
  const spoken = protocol === "mprpc" || protocol === "classic";
  return named && spoken && typeof weight === "number" && weight > 0 && typeof attributes === "object";
}
