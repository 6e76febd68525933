import { lstat, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { formatAddress, isReachable, parseAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import { makeFolder } from "../../base/make-folder.js";
import type { Logger } from "../../log/logger.js";
import { isGroup, isWeight, type ProviderEntry } from "../entry.js";
import { reasonOf } from "../errors.js";
import { parseJson, readPlainFile } from "../plain-file.js";
import type { Liveness, ProcessIdentity } from "./liveness.js";

/** One registration on disk: a file `<folder>/<Service>/<incarnation>.json`, never changed after it was written. */
export interface StoredEntry extends ProviderEntry {
  service: string;
  /** Grows with every registration of one address, so that "newer" needs no clock. */
  sequence: number;
  process: ProcessIdentity;
  heartbeat: string;
}

/** The longest entry a registration can make is far below it. */
const fileMaxBytes = 64 * 1024;
const suffix = ".json";
const temporarySuffix = ".tmp";
/** Writing takes a moment; an unfinished file older than this was left by a killed process. */
const temporaryMaxMs = 60_000;

const fileName = (incarnation: string): string => incarnation + suffix;
const textOf = (entry: StoredEntry): string => `${JSON.stringify(entry, undefined, 2)}\n`;

/** Which of two registrations of one address counts: the later one; in a tie (registered at once) the larger id. */
export function isNewer(a: StoredEntry, b: StoredEntry): boolean {
  if (a.sequence !== b.sequence) return a.sequence > b.sequence;
  return a.incarnation > b.incarnation;
}

/** The newest entry of each address. */
export function newestByAddress(entries: Iterable<StoredEntry>): StoredEntry[] {
  const newest = new Map<string, StoredEntry>();
  for (const entry of entries) {
    const address = formatAddress(entry.address);
    const other = newest.get(address);
    if (other === undefined || isNewer(entry, other)) newest.set(address, entry);
  }
  return [...newest.values()];
}

export interface ServiceFolderDeps {
  liveness: Liveness;
  log: Logger;
  clock: Clock;
  /** Files already warned of, so that each is named only once. */
  warned: Set<string>;
}

/** The files of one service. */
export class ServiceFolder {
  readonly path: string;
  readonly #service: string;
  readonly #liveness: Liveness;
  readonly #log: Logger;
  /** Files never change, so each is read once. */
  readonly #parsed = new Map<string, StoredEntry>();
  readonly #warned: Set<string>;
  /** Files others are writing, and when they were first seen, on the clock. */
  readonly #temporaries = new Map<string, number>();
  readonly #clock: Clock;

  constructor(root: string, service: string, deps: ServiceFolderDeps) {
    this.path = join(root, service);
    this.#service = service;
    this.#liveness = deps.liveness;
    this.#log = deps.log;
    this.#clock = deps.clock;
    this.#warned = deps.warned;
  }

  async create(): Promise<void> {
    await makeFolder(this.path, 0o700);
    await this.#refuseLink();
  }

  async #refuseLink(): Promise<void> {
    if ((await lstat(this.path)).isSymbolicLink()) throw new Error(`${this.path} is a symbolic link`);
  }

  /** The entries whose process lives. Files of processes that certainly do not are removed. */
  async read(): Promise<StoredEntry[]> {
    await this.#refuseLink();
    const all = await readdir(this.path);
    await this.#sweep(all.filter((name) => name.startsWith(".") && name.endsWith(temporarySuffix)));
    const names = all.filter((name) => name.endsWith(suffix) && !name.startsWith("."));
    const present = new Set(names);
    for (const name of this.#parsed.keys()) if (!present.has(name)) this.#parsed.delete(name);
    for (const file of this.#warned) {
      if (dirname(file) === this.path && !present.has(basename(file))) this.#warned.delete(file);
    }
    const entries = await Promise.all(names.map((name) => this.#readOne(name)));
    return entries.filter((entry) => entry !== undefined);
  }

  /** Atomic: a reader sees the whole file or none. */
  async write(entry: StoredEntry): Promise<void> {
    await this.create();
    const temporary = join(this.path, `.${entry.incarnation}${temporarySuffix}`);
    try {
      // An existing file was left by an earlier try, or is a foreign link.
      await rm(temporary, { force: true });
      await writeFile(temporary, textOf(entry), { mode: 0o600, flag: "wx" });
      await rename(temporary, join(this.path, fileName(entry.incarnation)));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** Whether the file of our own entry is there and as we wrote it: others may have changed it meanwhile. */
  async holds(entry: StoredEntry): Promise<boolean> {
    const file = join(this.path, fileName(entry.incarnation));
    const text = await readPlainFile(file, fileMaxBytes).catch(() => undefined);
    return text === textOf(entry);
  }

  async remove({ incarnation }: StoredEntry): Promise<void> {
    const name = fileName(incarnation);
    this.#parsed.delete(name);
    await rm(join(this.path, name), { force: true });
  }

  async #sweep(names: readonly string[]): Promise<void> {
    const nowMs = this.#clock.now();
    for (const name of this.#temporaries.keys()) if (!names.includes(name)) this.#temporaries.delete(name);
    for (const name of names) {
      const sinceMs = this.#temporaries.get(name) ?? nowMs;
      this.#temporaries.set(name, sinceMs);
      if (nowMs - sinceMs > temporaryMaxMs) await rm(join(this.path, name), { force: true }).catch(() => {});
    }
  }

  async #readOne(name: string): Promise<StoredEntry | undefined> {
    let entry = this.#parsed.get(name);
    if (entry === undefined) {
      entry = await this.#parse(name);
      if (entry === undefined) return undefined;
      this.#parsed.set(name, entry);
    }
    const state = await this.#liveness.judge(entry.process, entry.heartbeat);
    if (state === "dead") {
      this.#log.info("removing the entry of a process that is gone", { file: join(this.path, name) });
      await Promise.all([this.remove(entry), this.#liveness.forget(entry.heartbeat)]).catch(() => {});
    }
    return state === "alive" ? entry : undefined;
  }

  async #parse(name: string): Promise<StoredEntry | undefined> {
    const file = join(this.path, name);
    try {
      const entry = parseEntry(
        parseJson(await readPlainFile(file, fileMaxBytes)),
        name.slice(0, -suffix.length),
      );
      // Two services whose names differ in case share a folder on some file systems.
      return entry.service === this.#service ? entry : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" || this.#warned.has(file)) return undefined;
      this.#warned.add(file);
      this.#log.warn("ignoring a file that is no registry entry", { file, error: reasonOf(error) });
      return undefined;
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws an Error that names the invalid field. */
function parseEntry(value: unknown, incarnation: string): StoredEntry {
  const need = (ok: boolean, field: string) => {
    if (!ok) throw new Error(`its field "${field}" is missing or wrong`);
  };
  if (!isRecord(value)) throw new Error("it is not a JSON object");
  const { service, address, weight, startedAtMs, attributes, sequence, process, heartbeat, group } = value;
  if (!isRecord(address) || typeof address.host !== "string" || typeof address.port !== "number") {
    throw new Error('its field "address" is missing or wrong');
  }
  const { host, port } = address;
  const reached = isReachable({ host, port }) ? parseAddress(formatAddress({ host, port })) : undefined;
  if (reached === undefined) throw new Error('its field "address" is missing or wrong');
  if (!isRecord(process) || typeof process.pid !== "number")
    throw new Error('its field "process" is missing or wrong');
  if (!isRecord(attributes)) throw new Error('its field "attributes" is missing or wrong');
  need(value.incarnation === incarnation, "incarnation");
  if (typeof service !== "string") throw new Error('its field "service" is missing or wrong');
  if (typeof weight !== "number" || !isWeight(weight))
    throw new Error('its field "weight" is missing or wrong');
  if (typeof sequence !== "number") throw new Error('its field "sequence" is missing or wrong');
  if (typeof heartbeat !== "string" || !/^[0-9a-f]+$/.test(heartbeat)) {
    throw new Error('its field "heartbeat" is missing or wrong');
  }
  const identity: ProcessIdentity = { pid: process.pid };
  if (typeof process.start === "string") identity.start = process.start;
  if (typeof process.namespace === "string") identity.namespace = process.namespace;
  if (Number.isSafeInteger(process.thread)) identity.thread = process.thread as number;
  const texts = Object.entries(attributes).filter(
    (pair): pair is [string, string] => typeof pair[1] === "string",
  );
  return {
    ...{ service, address: reached, weight, sequence, incarnation, heartbeat, process: identity },
    startedAtMs: typeof startedAtMs === "number" ? startedAtMs : 0,
    attributes: Object.fromEntries(texts),
    ...(isGroup(group) ? { group } : {}),
  };
}
