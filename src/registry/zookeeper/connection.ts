import type { Address } from "../../base/address.js";

/** Names as in ZooKeeper's `KeeperException.Code`; a code the client does not know is `CODE_<number>`. */
export type ZooKeeperErrorCode =
  | "CONNECTION_LOSS"
  | "SESSION_EXPIRED"
  | "AUTH_FAILED"
  | "NO_NODE"
  | "NODE_EXISTS"
  | "BAD_VERSION"
  | "NO_AUTH"
  | (string & {});

export class ZooKeeperError extends Error {
  override readonly name = "ZooKeeperError";
  readonly code: ZooKeeperErrorCode;

  constructor(code: ZooKeeperErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Whether `thrown` is the ZooKeeperError of that code. */
export function hasCode(thrown: unknown, ...codes: ZooKeeperErrorCode[]): thrown is ZooKeeperError {
  return thrown instanceof ZooKeeperError && codes.includes(thrown.code);
}

/** The fields of a znode's stat that are used. */
export interface ZnodeStat {
  /** The transaction that created it: the order of creation, independent of clocks. */
  czxid: bigint;
  version: number;
  /** The session it lives with; 0 for a persistent one. */
  ephemeralOwner: bigint;
}

export interface Znode {
  data: Buffer;
  stat: ZnodeStat;
}

/** `owned`: written by holders of our credentials, read by all. `open`: anyone may do anything. */
export type Access = "open" | "owned";

export interface CreateOptions {
  data?: Buffer;
  access: Access;
  ephemeral?: boolean;
  /** ZooKeeper appends ten digits that only grow. */
  sequential?: boolean;
}

export type MultiOperation =
  | { create: string; options: CreateOptions }
  /** `version` is compared, -1 matches any; it must not be 0, which the client cannot compare here. */
  | { remove: string; version: number };

/** What resumes a session on another connection. */
export interface SessionTicket {
  id: Buffer;
  password: Buffer;
  /** The last transaction seen: a server behind it refuses the session. */
  zxid: Buffer;
}

export interface ConnectionOptions {
  server: Address;
  /** The requested timeout; the server may change it. */
  sessionTimeoutMs: number;
  /** `undefined` asks for a new session. */
  ticket: SessionTicket | undefined;
  /** `user:password` for the digest scheme. */
  auth: string | undefined;
  /** A watch fired; `path` is the znode's. */
  onChange: (path: string) => void;
  /** The connection is over: once, after `opened` has resolved. */
  onClose: (reason: ZooKeeperError) => void;
}

/**
 * One TCP connection to one server; it never reconnects. This is all the driver knows about a ZooKeeper
 * client, so that it can be replaced. Every operation rejects with ZooKeeperError, and with
 * CONNECTION_LOSS as soon as the connection ends; none has a timeout of its own.
 */
export interface ZooKeeperConnection {
  /** Resolves when the session is established. Rejects: SESSION_EXPIRED when the ticket is no longer good, else CONNECTION_LOSS. */
  readonly opened: Promise<void>;
  readonly ticket: SessionTicket;
  /** As agreed with the server, ms. */
  readonly sessionTimeoutMs: number;
  /** Resolves with the path, which differs from the given one when sequential. */
  create(path: string, options: CreateOptions): Promise<string>;
  /** `version` -1 matches any. */
  remove(path: string, version: number): Promise<void>;
  setData(path: string, data: Buffer, version: number): Promise<ZnodeStat>;
  getData(path: string, watch: boolean): Promise<Znode>;
  /** A watch is also left where no znode is. */
  exists(path: string, watch: boolean): Promise<ZnodeStat | undefined>;
  children(path: string, watch: boolean): Promise<string[]>;
  /** All or nothing. */
  multi(operations: readonly MultiOperation[]): Promise<void>;
  /** Ends the session and with it our ephemeral znodes; resolves when the server has closed the connection. */
  endSession(): Promise<void>;
  /** Drops the connection; the session lives on until it expires. */
  destroy(reason: ZooKeeperError): void;
}

export type Connect = (options: ConnectionOptions) => Promise<ZooKeeperConnection>;
