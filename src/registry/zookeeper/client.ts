import type { Client, Library, LibraryError, LibraryStat, MultiCallback } from "node-zookeeper-client";
import { formatAddress } from "../../base/address.js";
import { reasonOf } from "../errors.js";
import {
  type Access,
  type ConnectionOptions,
  type CreateOptions,
  type MultiOperation,
  type SessionTicket,
  type Znode,
  type ZnodeStat,
  type ZooKeeperConnection,
  ZooKeeperError,
} from "./connection.js";

/** ZooKeeper's own default (jute.maxbuffer) is 1 MiB; a much larger answer is not from ZooKeeper. */
const frameMaxBytes = 16 * 1024 * 1024;
/** The client and many servers break at 1 MiB; ours are below 100 bytes. */
const dataMaxBytes = 512 * 1024;
const lengthBytes = 4;
/** In a reply: length, xid (4), zxid (8), then the error code. */
const xidOffset = lengthBytes;
const errorOffset = lengthBytes + 12;
const systemErrorCode = -1;

const ephemeralFlag = 1;
const sequentialFlag = 2;

/**
 * node-zookeeper-client, limited to one connection. By itself it is unsafe: it hangs after a cut frame, crashes on an unknown
 * error code, reconnects forever to an unusable server, and queues operations without end. So its framing,
 * its handling of a closed socket and its reconnecting are replaced here; the library encodes and decodes.
 */
export async function connectZooKeeper(options: ConnectionOptions): Promise<ZooKeeperConnection> {
  // Loaded only when ZooKeeper is used.
  const { default: library } = await import("node-zookeeper-client");
  return new LibraryConnection(library, options);
}

class LibraryConnection implements ZooKeeperConnection {
  readonly opened: Promise<void>;
  readonly #library: Library;
  readonly #client: Client;
  readonly #options: ConnectionOptions;
  readonly #knownCodes: ReadonlyMap<number, string>;
  readonly #pending = new Set<(reason: ZooKeeperError) => void>();
  /** One function for all paths: the library keeps a list of watchers per path and never forgets one. */
  readonly #watcher: (event: { path: string }) => void;
  /** What arrived of a frame that is not complete. */
  #partial: Buffer = Buffer.alloc(0);
  /** The code of the reply being delivered, when it had to be replaced by one the library knows. */
  #replacedCode: number | undefined;
  #socketError: Error | undefined;
  #closed: ZooKeeperError | undefined;
  #settleOpened: { resolve: () => void; reject: (reason: ZooKeeperError) => void } | undefined;
  #ended: (() => void) | undefined;

  constructor(library: Library, options: ConnectionOptions) {
    this.#library = library;
    this.#options = options;
    this.#knownCodes = codeNames(library);
    this.#watcher = ({ path }) => {
      if (this.#closed === undefined) options.onChange(path);
    };
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    this.#client = this.#createClient();
    this.#client.connect();
  }

  get ticket(): SessionTicket {
    return {
      id: this.#client.getSessionId(),
      password: this.#client.getSessionPassword(),
      zxid: this.#client.connectionManager.zxid,
    };
  }

  get sessionTimeoutMs(): number {
    return this.#client.getSessionTimeout();
  }

  create(path: string, options: CreateOptions): Promise<string> {
    const { data, acls, mode } = this.#createArguments(path, options);
    return this.#call(path, (done) => this.#client.create(path, data, acls, mode, done));
  }

  remove(path: string, version: number): Promise<void> {
    return this.#call(path, (done) => this.#client.remove(path, version, (error) => done(error, undefined)));
  }

  async setData(path: string, data: Buffer, version: number): Promise<ZnodeStat> {
    checkData(path, data);
    const stat = await this.#call<LibraryStat>(path, (done) =>
      this.#client.setData(path, data, version, done),
    );
    return toStat(stat);
  }

  getData(path: string, watch: boolean): Promise<Znode> {
    return this.#call(path, (done) =>
      this.#client.getData(path, watch ? this.#watcher : undefined, (error, data, stat) => {
        if (error) done(error, undefined as never);
        else done(undefined, { data: data ?? Buffer.alloc(0), stat: toStat(stat) });
      }),
    );
  }

  async exists(path: string, watch: boolean): Promise<ZnodeStat | undefined> {
    const stat = await this.#call<LibraryStat | null>(path, (done) =>
      this.#client.exists(path, watch ? this.#watcher : undefined, done),
    );
    return stat === null ? undefined : toStat(stat);
  }

  children(path: string, watch: boolean): Promise<string[]> {
    return this.#call(path, (done) =>
      this.#client.getChildren(path, watch ? this.#watcher : undefined, done),
    );
  }

  async multi(operations: readonly MultiOperation[]): Promise<void> {
    const transaction = this.#client.transaction();
    transaction.connectionManager = { queue: (request, done) => this.#queueMulti(request, done) };
    for (const operation of operations) {
      if ("create" in operation) {
        const { data, acls, mode } = this.#createArguments(operation.create, operation.options);
        transaction.create(operation.create, data, acls, mode);
      } else {
        // The library turns version 0 into -1 here, which compares nothing.
        if (operation.version === 0)
          throw new RangeError(`${operation.remove}: version 0 cannot be compared in a multi`);
        transaction.remove(operation.remove, operation.version);
      }
    }
    await this.#call<unknown>("multi", (done) => transaction.commit(done));
  }

  async endSession(): Promise<void> {
    if (this.#closed !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#ended = resolve;
      this.#client.close();
    });
  }

  destroy(reason: ZooKeeperError): void {
    this.#finish(reason);
  }

  #createClient(): Client {
    const { server, sessionTimeoutMs, ticket, auth } = this.#options;
    const resume = ticket === undefined ? {} : { sessionId: ticket.id, sessionPassword: ticket.password };
    const client = this.#library.createClient("replaced:1", {
      ...{ sessionTimeout: sessionTimeoutMs, retries: 0 },
      ...resume,
    });
    const manager = client.connectionManager;
    // Its own parser of the connection string cannot read IPv6.
    manager.servers = [{ host: server.host, port: server.port }];
    if (ticket !== undefined) manager.zxid = ticket.zxid;
    if (auth !== undefined) client.addAuthInfo("digest", Buffer.from(auth));
    // These are looked up when it connects. Instead of its own `onSocketClosed`, which reconnects, ours ends it all.
    const greet = manager.onSocketConnected.bind(manager);
    manager.onSocketConnected = () => {
      // Waiting for an answer keeps the process alive; listening for changes does not.
      manager.socket?.unref();
      greet();
    };
    const deliver = manager.onSocketData.bind(manager);
    manager.onSocketData = (chunk) => this.#onData(chunk, deliver);
    manager.onSocketError = (error) => {
      this.#socketError = error;
    };
    manager.onSocketClosed = () =>
      this.#finish(this.#lossError(reasonOf(this.#socketError ?? "connection closed")));
    client.on("state", ({ name }) => this.#onState(name));
    return client;
  }

  #onState(name: string): void {
    if (name === "SYNC_CONNECTED") {
      this.#settleOpened?.resolve();
      this.#settleOpened = undefined;
    } else if (name === "EXPIRED" || name === "AUTH_FAILED") {
      const code = name === "EXPIRED" ? "SESSION_EXPIRED" : "AUTH_FAILED";
      this.#finish(new ZooKeeperError(code, `${this.#server}: ${code}`));
    }
  }

  /** Passes only complete frames to the library, one at a time, and without error codes on which it throws. */
  #onData(chunk: Buffer, deliver: (frame: Buffer) => void): void {
    let rest = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    while (this.#closed === undefined && rest.length >= lengthBytes) {
      const size = rest.readInt32BE(0);
      if (size < 0 || size > frameMaxBytes) {
        this.#finish(this.#lossError(`a frame of ${size} bytes is none of ZooKeeper's`));
        return;
      }
      if (rest.length < lengthBytes + size) break;
      const frame = rest.subarray(0, lengthBytes + size);
      rest = rest.subarray(lengthBytes + size);
      this.#deliver(frame, deliver);
    }
    this.#partial = rest;
  }

  #deliver(frame: Buffer, deliver: (frame: Buffer) => void): void {
    this.#replacedCode = undefined;
    const isReply =
      this.#settleOpened === undefined &&
      frame.length >= errorOffset + 4 &&
      frame.readInt32BE(xidOffset) >= 0;
    if (isReply) {
      const code = frame.readInt32BE(errorOffset);
      if (code !== 0 && !this.#knownCodes.has(code)) {
        this.#replacedCode = code;
        frame.writeInt32BE(systemErrorCode, errorOffset);
      }
    }
    try {
      deliver(frame);
    } catch (error) {
      this.#finish(this.#lossError(`an answer could not be read: ${reasonOf(error)}`, error));
    }
  }

  #call<T>(
    path: string,
    start: (done: (error: LibraryError | null | undefined, value: T) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      this.#pending.add(reject);
      start((error, value) => {
        this.#pending.delete(reject);
        if (error) reject(this.#toError(error, path));
        else resolve(value);
      });
    });
  }

  /** The library throws at a code it does not know in the results of a multi too; the first failed one is its error. */
  #queueMulti(request: unknown, done: MultiCallback): void {
    this.#client.connectionManager.queue(request, (error, response) => {
      const failed = response?.payload?.results.find(({ err }) => err !== undefined && err !== 0);
      if (failed?.err !== undefined && !this.#knownCodes.has(failed.err)) {
        this.#replacedCode = failed.err;
        failed.err = systemErrorCode;
      }
      done(error, response);
    });
  }

  #toError(error: LibraryError, path: string): ZooKeeperError {
    const replaced = this.#replacedCode;
    const code =
      replaced === undefined ? (this.#knownCodes.get(error.code) ?? String(error.code)) : `CODE_${replaced}`;
    return new ZooKeeperError(code, `${path}: ${code}`, error);
  }

  #lossError(text: string, cause?: unknown): ZooKeeperError {
    return new ZooKeeperError("CONNECTION_LOSS", `${this.#server}: ${text}`, cause);
  }

  get #server(): string {
    return formatAddress(this.#options.server);
  }

  #finish(reason: ZooKeeperError): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#partial = Buffer.alloc(0);
    const manager = this.#client.connectionManager;
    if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
    // The library opens its socket one tick after `connect()`; ended before that, it is dropped right after.
    if (manager.socket === undefined) setImmediate(() => this.#dropSocket());
    else this.#dropSocket();
    const opening = this.#settleOpened;
    this.#settleOpened = undefined;
    for (const reject of [...this.#pending]) reject(reason);
    this.#pending.clear();
    this.#ended?.();
    if (opening === undefined) this.#options.onClose(reason);
    else opening.reject(reason);
  }

  #dropSocket(): void {
    const manager = this.#client.connectionManager;
    if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
    manager.socket?.destroy();
  }

  #createArguments(path: string, options: CreateOptions) {
    const { data = Buffer.alloc(0), access, ephemeral = false, sequential = false } = options;
    checkData(path, data);
    const mode = (ephemeral ? ephemeralFlag : 0) | (sequential ? sequentialFlag : 0);
    return { data, acls: this.#acls(access), mode };
  }

  #acls(access: Access) {
    const { ACL } = this.#library;
    if (access === "open" || this.#options.auth === undefined) return ACL.OPEN_ACL_UNSAFE;
    return [...ACL.CREATOR_ALL_ACL, ...ACL.READ_ACL_UNSAFE];
  }
}

function checkData(path: string, data: Buffer): void {
  if (data.length <= dataMaxBytes) return;
  throw new RangeError(`${path}: ${data.length} bytes of data, the limit is ${dataMaxBytes}`);
}

function codeNames(library: Library): Map<number, string> {
  const names = new Map<number, string>();
  for (const [name, code] of Object.entries(library.Exception)) {
    if (typeof code === "number") names.set(code, name);
  }
  return names;
}

function toStat({ czxid, version, ephemeralOwner }: LibraryStat): ZnodeStat {
  return { czxid: czxid.readBigInt64BE(), version, ephemeralOwner: ephemeralOwner.readBigInt64BE() };
}
