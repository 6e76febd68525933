import { readdir } from "node:fs/promises";
import type { Filled } from "../../base/options.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
import {
  checkRegistration,
  checkServiceName,
  isServiceName,
  makeEntry,
  makeIncarnation,
  toEndpoint,
} from "../entry.js";
import { RegistryError, reasonOf } from "../errors.js";
import { defaultRegistryFolder, makeFolder, makePrivateFolder } from "../folder.js";
import type {
  Registration,
  RegistrationHandle,
  Registry,
  ServiceListing,
  Snapshot,
  Watch,
} from "../registry.js";
import { orderEndpoints, ServiceView, tellLost } from "../view.js";
import { Liveness, ownIdentity, type ProcessProbe } from "./liveness.js";
import { FileService, type Held } from "./service.js";
import { newestByAddress, ServiceFolder, type StoredEntry } from "./store.js";

export interface FileRegistryOptions extends RegistryDeps {
  /** Where the entries are. Default: a private folder per user, see `defaultRegistryFolder`. */
  folder?: string;
  /**
   * How often a folder in use is read without an event, ms. Default 1000: it is how soon the entry of a killed process
   * disappears, as the system sends no event for that.
   */
  pollMs?: number;
  /** Listen for file events. Default true; false relies on polling alone, for file systems that send none (NFS). */
  fileEvents?: boolean;
  /** How processes are judged; for tests. */
  probe?: ProcessProbe;
}

const defaultPollMs = 1000;
const cure = "choose another folder with registry=file:/path/to/folder";

/**
 * The registry that needs nothing installed: several processes of one machine share a folder, one small JSON file per
 * registration. The file of a killed process is recognised by its pid and start time and removed.
 */
export class FileRegistry implements Registry {
  readonly name: string;
  readonly folder: string;
  readonly #options: FileRegistryOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #liveness: Liveness;
  readonly #services = new Map<string, { service: FileService; view: ServiceView }>();
  /** See ServiceFolderDeps. */
  readonly #warned = new Set<string>();
  #closed = false;

  /** Creates the folder. Throws RegistryError `unreachable` or `denied` that names it and the cure. */
  constructor(options: FileRegistryOptions = {}) {
    this.#options = options;
    this.#deps = fillDeps(options);
    this.folder = options.folder ?? defaultRegistryFolder();
    this.name = `file:${this.folder}`;
    if (options.folder === undefined) makePrivateFolder(this.folder, cure);
    else makeFolder(this.folder, cure);
    this.#liveness = this.#makeLiveness();
  }

  async register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle> {
    checkRegistration(registration);
    signal?.throwIfAborted();
    this.#checkOpen();
    const { clock, random, log } = this.#deps;
    const { heartbeat } = this.#liveness;
    const entry = makeEntry(
      registration,
      registration.incarnation ?? makeIncarnation(random),
      clock.wallNow(),
    );
    const { service: name } = registration;
    const held: Held = {
      established: false,
      superseded: false,
      entry: { ...entry, service: name, sequence: 1, process: ownIdentity(), heartbeat },
      onLost: (reason) => {
        log.warn("a registration gave way; it is made again when the newer one goes", {
          ...{ service: name, reason: reason.message },
        });
        tellLost(registration, reason, log);
      },
    };
    await this.#startHeartbeat();
    this.#checkOpen();
    const { service } = this.#open(name);
    try {
      await service.add(held);
    } catch (error) {
      this.#closeUnused(name);
      throw error;
    }
    let withdrawn: Promise<void> | undefined;
    const unregister = () => (withdrawn ??= this.#withdraw(service, held, name));
    if (signal?.aborted === true) {
      await unregister();
      throw signal.reason;
    }
    return { unregister };
  }

  watch(service: string, onSnapshot: (snapshot: Snapshot) => void): Watch {
    checkServiceName(service);
    if (this.#closed) return { current: undefined, close: () => {} };
    return this.#open(service).view.add(onSnapshot, () => this.#closeUnused(service));
  }

  async list(signal?: AbortSignal): Promise<ServiceListing[]> {
    signal?.throwIfAborted();
    this.#checkOpen();
    const names = await readdir(this.folder).catch((error: unknown) => {
      const text = `cannot read the registry folder ${this.folder}: ${reasonOf(error)}`;
      throw new RegistryError("unreachable", text, error);
    });
    const liveness = this.#makeLiveness();
    const listings = names.filter(isServiceName).map(async (service) => {
      const entries = await this.#listOne(this.#folderOf(service, liveness));
      return { service, endpoints: orderEndpoints(newestByAddress(entries).map(toEndpoint)) };
    });
    const known = await Promise.all(listings);
    return known
      .filter(({ endpoints }) => endpoints.length > 0)
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const services = [...this.#services.values()];
    this.#services.clear();
    await Promise.all(services.map(({ service }) => service.close()));
    await this.#liveness.stop();
  }

  #folderOf(service: string, liveness: Liveness): ServiceFolder {
    const { clock, log } = this.#deps;
    return new ServiceFolder(this.folder, service, { clock, log, liveness, warned: this.#warned });
  }

  async #listOne(folder: ServiceFolder): Promise<StoredEntry[]> {
    try {
      return await folder.read();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Not a folder, or removed by now.
      if (code !== "ENOTDIR" && code !== "ENOENT") {
        const facts = { path: folder.path, error: reasonOf(error) };
        this.#deps.log.warn("the registry folder cannot be used", facts);
      }
      return [];
    }
  }

  #makeLiveness(): Liveness {
    const heartbeat = makeIncarnation(this.#deps.random);
    return new Liveness(this.folder, heartbeat, this.#deps.clock, this.#options.probe);
  }

  async #startHeartbeat(): Promise<void> {
    try {
      await this.#liveness.start();
    } catch (error) {
      const text = `cannot write to the registry folder ${this.folder}: ${reasonOf(error)}; ${cure}`;
      throw new RegistryError("unreachable", text, error);
    }
  }

  async #withdraw(service: FileService, held: Held, name: string): Promise<void> {
    await service.remove(held);
    this.#closeUnused(name);
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegistryError("closed", `the registry ${this.name} is closed`);
  }

  #open(name: string): { service: FileService; view: ServiceView } {
    const open = this.#services.get(name);
    if (open !== undefined) return open;
    const { clock, log } = this.#deps;
    const { pollMs = defaultPollMs, fileEvents = true } = this.#options;
    const view = new ServiceView(name, log);
    const folder = this.#folderOf(name, this.#liveness);
    const service = new FileService(folder, view, { clock, log, pollMs, fileEvents });
    const opened = { service, view };
    this.#services.set(name, opened);
    return opened;
  }

  /** A service that is neither watched nor registered here costs no polling. */
  #closeUnused(name: string): void {
    const open = this.#services.get(name);
    if (open === undefined || open.service.inUse) return;
    this.#services.delete(name);
    void open.service.close();
  }
}
