import { type Address, formatAddress } from "../../base/address.js";
import { Backoff, registryBackoff } from "../../base/backoff.js";
import type { Timer } from "../../base/clock.js";
import { Emitter, type Unsubscribe } from "../../base/emitter.js";
import type { Filled } from "../../base/options.js";
import { PeerTimer } from "../../base/peer-timer.js";
import type { RegistryDeps } from "../deps.js";
import { reasonOf } from "../errors.js";
import {
  type Connect,
  type CreateOptions,
  hasCode,
  type MultiOperation,
  type SessionTicket,
  type Znode,
  type ZnodeStat,
  type ZooKeeperConnection,
  ZooKeeperError,
} from "./connection.js";

export interface SessionOptions {
  servers: readonly Address[];
  /** Begins with `/` and is put before every path; empty for none. */
  chroot: string;
  /** Asked for, ms; the server may change it. */
  sessionTimeoutMs: number;
  /** `user:password` for digest. */
  auth: string | undefined;
  connect: Connect;
  deps: Filled<RegistryDeps>;
}

export interface SessionEvents {
  /** Connected. `fresh`: a new session, so our ephemeral znodes are gone. Watches are gone either way. */
  session: { fresh: boolean };
  /** The connection is lost; the session may live on, or not. */
  suspended: { reason: Error };
  /** The session is over, and our ephemeral znodes with it. */
  lost: { reason: Error };
  /** An attempt to connect failed; the next one follows. */
  unreachable: { reason: Error };
  /** A watch fired at this path. */
  changed: { path: string };
}

/** The longest a server may take to answer the handshake. */
const handshakeMaxMs = 2000;
/** Time limit for closing a session properly. */
const endSessionMaxMs = 1000;

/**
 * A ZooKeeper session that is kept up across servers, connections and its own expiry. Operations fail at once with
 * CONNECTION_LOSS while there is no connection; one that is not answered in time ends the connection, as all later
 * ones would wait too. A session does not keep the process alive; code that waits for it must. After each `session`
 * event everything must be read and watched again.
 */
export class ZooKeeperSession {
  readonly #options: SessionOptions;
  readonly #deps: Filled<RegistryDeps>;
  readonly #events: Emitter<SessionEvents>;
  readonly #servers: readonly Address[];
  readonly #backoff: Backoff;
  #nextServer = 0;
  #ticket: SessionTicket | undefined;
  #timeoutMs: number;
  /** The one in use or being opened. */
  #connection: ZooKeeperConnection | undefined;
  #connected = false;
  /** When the connection that held the ticket was lost, on the clock. */
  #lostAtMs = 0;
  #timer: Timer | undefined;
  /** Whether this outage is in the log already. */
  #reported = false;
  #started = false;
  #closed = false;

  constructor(options: SessionOptions) {
    const { deps, servers, sessionTimeoutMs } = options;
    this.#options = options;
    this.#deps = deps;
    this.#timeoutMs = sessionTimeoutMs;
    this.#backoff = new Backoff(registryBackoff, deps.random);
    this.#servers = shuffle(servers, deps.random);
    this.#events = new Emitter((error, event) => {
      deps.log.error("a listener of the ZooKeeper session threw", { event, error: reasonOf(error) });
    });
  }

  on<K extends keyof SessionEvents>(name: K, listener: (event: SessionEvents[K]) => void): Unsubscribe {
    return this.#events.on(name, listener);
  }

  /** Begins to connect; later calls do nothing. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    void this.#connect();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** The session's number, as in `ephemeralOwner`; `undefined` when there is none. */
  get id(): bigint | undefined {
    return this.#ticket?.id.readBigInt64BE();
  }

  create(path: string, options: CreateOptions): Promise<string> {
    return this.#run((connection) => connection.create(this.#real(path), options)).then((real) =>
      this.#ours(real),
    );
  }

  /** `version` -1, the default, matches any. */
  remove(path: string, version = -1): Promise<void> {
    return this.#run((connection) => connection.remove(this.#real(path), version));
  }

  setData(path: string, data: Buffer, version = -1): Promise<ZnodeStat> {
    return this.#run((connection) => connection.setData(this.#real(path), data, version));
  }

  getData(path: string, watch = false): Promise<Znode> {
    return this.#run((connection) => connection.getData(this.#real(path), watch));
  }

  exists(path: string, watch = false): Promise<ZnodeStat | undefined> {
    return this.#run((connection) => connection.exists(this.#real(path), watch));
  }

  children(path: string, watch = false): Promise<string[]> {
    return this.#run((connection) => connection.children(this.#real(path), watch));
  }

  multi(operations: readonly MultiOperation[]): Promise<void> {
    const real = operations.map((operation) =>
      "create" in operation
        ? { ...operation, create: this.#real(operation.create) }
        : { ...operation, remove: this.#real(operation.remove) },
    );
    return this.#run((connection) => connection.multi(real));
  }

  /** Creates the chroot's znodes that are missing, open to all, since other programs may share it. */
  async createChroot(): Promise<void> {
    const parts = this.#options.chroot.split("/").slice(1);
    for (const [i] of parts.entries()) {
      const path = `/${parts.slice(0, i + 1).join("/")}`;
      if ((await this.#run((connection) => connection.exists(path, false))) !== undefined) continue;
      try {
        await this.#run((connection) => connection.create(path, { access: "open" }));
      } catch (error) {
        if (!hasCode(error, "NODE_EXISTS")) throw error;
      }
    }
  }

  /** Ends the session, so that our ephemeral znodes go at once, if it is connected; resolves within a second. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    const connection = this.#connection;
    if (connection === undefined) return;
    const closed = new ZooKeeperError("CONNECTION_LOSS", "the session is closed");
    if (!this.#connected) return connection.destroy(closed);
    this.#connected = false;
    const timer = this.#deps.clock.setTimer(() => connection.destroy(closed), endSessionMaxMs, true);
    await connection.endSession();
    timer.cancel();
    connection.destroy(closed);
  }

  /** One attempt, and the next one planned if it fails. */
  async #connect(): Promise<void> {
    const server = this.#servers[this.#nextServer % this.#servers.length] as Address;
    this.#nextServer += 1;
    this.#dropOldTicket();
    try {
      await this.#open(server);
    } catch (error) {
      this.#connection = undefined;
      if (!this.#closed) this.#onConnectFailed(error);
    }
  }

  async #open(server: Address): Promise<void> {
    const { clock } = this.#deps;
    // As an operation, while there is another server to try; a server that is the only one may be slow to start.
    const share = this.#servers.length > 1 ? 1 / 3 : 2 / 3;
    const timeoutMs = Math.min(handshakeMaxMs, this.#timeoutMs * share);
    const connection = await this.#options.connect({
      server,
      sessionTimeoutMs: this.#options.sessionTimeoutMs,
      ticket: this.#ticket,
      auth: this.#options.auth,
      onChange: (path) => this.#events.emit("changed", { path: this.#ours(path) }),
      onClose: (reason) => this.#onClosed(connection, reason),
    });
    this.#connection = connection;
    if (this.#closed) connection.destroy(new ZooKeeperError("CONNECTION_LOSS", "the session is closed"));
    const text = `${formatAddress(server)}: no answer to the handshake within ${Math.round(timeoutMs)} ms`;
    const onTimeout = (): void => connection.destroy(new ZooKeeperError("CONNECTION_LOSS", text));
    const timer = new PeerTimer(clock, onTimeout, timeoutMs);
    try {
      await connection.opened;
    } finally {
      timer.cancel();
    }
    // It may have ended in the same turn it opened; then `#onClosed` has seen to it.
    if (this.#connection === connection) this.#onOpened(connection, server);
  }

  #onOpened(connection: ZooKeeperConnection, server: Address): void {
    const before = this.#ticket;
    this.#ticket = connection.ticket;
    this.#timeoutMs = connection.sessionTimeoutMs;
    this.#connected = true;
    this.#reported = false;
    this.#backoff.reset();
    const fresh = before === undefined || !before.id.equals(this.#ticket.id);
    this.#deps.log.info(fresh ? "ZooKeeper session opened" : "ZooKeeper session resumed", {
      server: formatAddress(server),
      session: `0x${this.#ticket.id.toString("hex")}`,
      timeoutMs: this.#timeoutMs,
    });
    this.#planHeartbeat();
    this.#events.emit("session", { fresh });
  }

  /** The client itself sends none while it only listens, and does not notice when none is answered. */
  #planHeartbeat(): void {
    this.#timer = this.#deps.clock.setTimer(() => {
      // An answer with an error is a sign of life too; without one `#run` ends the connection.
      this.exists("/")
        .catch(() => {})
        .then(() => {
          if (this.#connected) this.#planHeartbeat();
        });
    }, this.#timeoutMs / 4);
  }

  #onClosed(connection: ZooKeeperConnection, reason: ZooKeeperError): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#connected = false;
    this.#ticket = connection.ticket;
    this.#lostAtMs = this.#deps.clock.now();
    this.#deps.log.warn("ZooKeeper connection lost", { reason: reason.message });
    this.#events.emit("suspended", { reason });
    if (hasCode(reason, "SESSION_EXPIRED")) this.#loseSession(reason);
    this.#planConnect();
  }

  #onConnectFailed(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error));
    if (hasCode(error, "SESSION_EXPIRED")) {
      this.#loseSession(reason);
      // The server is fine; only the session has expired.
      void this.#connect();
      return;
    }
    const fields = { reason: reason.message };
    if (this.#reported) this.#deps.log.debug("ZooKeeper cannot be reached", fields);
    else this.#deps.log.warn("ZooKeeper cannot be reached; trying on", fields);
    this.#reported = true;
    this.#events.emit("unreachable", { reason });
    this.#planConnect();
  }

  #planConnect(): void {
    if (this.#closed) return;
    this.#timer = this.#deps.clock.setTimer(() => void this.#connect(), this.#backoff.next());
  }

  #loseSession(reason: Error): void {
    if (this.#ticket === undefined) return;
    this.#ticket = undefined;
    this.#deps.log.warn("ZooKeeper session lost", { reason: reason.message });
    this.#events.emit("lost", { reason });
  }

  /** A server whose data was wiped refuses an old ticket forever without reporting it as expired. */
  #dropOldTicket(): void {
    const limitMs = 2 * this.#timeoutMs;
    if (this.#ticket === undefined || this.#deps.clock.now() - this.#lostAtMs <= limitMs) return;
    this.#loseSession(new Error(`not resumed within ${Math.round(limitMs)} ms`));
  }

  async #run<T>(operation: (connection: ZooKeeperConnection) => Promise<T>): Promise<T> {
    const connection = this.#connection;
    if (connection === undefined || !this.#connected) {
      throw new ZooKeeperError("CONNECTION_LOSS", "not connected to ZooKeeper");
    }
    const limitMs = this.#timeoutMs / 3;
    const onTimeout = (): void => {
      const text = `no answer within ${Math.round(limitMs)} ms`;
      connection.destroy(new ZooKeeperError("CONNECTION_LOSS", text));
    };
    const timer = new PeerTimer(this.#deps.clock, onTimeout, limitMs);
    try {
      return await operation(connection);
    } finally {
      timer.cancel();
    }
  }

  #real(path: string): string {
    const { chroot } = this.#options;
    if (chroot === "") return path;
    return path === "/" ? chroot : chroot + path;
  }

  #ours(real: string): string {
    return real.slice(this.#options.chroot.length) || "/";
  }
}

/** Fisher-Yates: clients spread over the servers. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
