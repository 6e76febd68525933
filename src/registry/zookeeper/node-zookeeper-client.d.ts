/** The part of node-zookeeper-client 1.1.3 that is used, its inner connection manager included: the version is pinned. */
declare module "node-zookeeper-client" {
  type Callback<T extends unknown[]> = (error: LibraryError | null | undefined, ...results: T) => void;
  type Watcher = (event: { path: string }) => void;

  interface LibraryError extends Error {
    code: number;
  }

  interface LibraryStat {
    czxid: Buffer;
    version: number;
    ephemeralOwner: Buffer;
  }

  /** Opaque here: only the library's own lists are used. */
  interface AclEntry {
    readonly permission: number;
  }

  /** The answer to a multi: a result for each of its operations; `err` in those that failed. */
  type MultiCallback = Callback<[response?: { payload: { results: { err?: number }[] } | null }]>;

  interface RequestQueue {
    queue(request: unknown, callback: MultiCallback): void;
  }

  interface ConnectionManager extends RequestQueue {
    servers: { host: string; port: number }[];
    socket?: { destroy(): void; unref(): void };
    connectTimeoutHandler: NodeJS.Timeout | null;
    zxid: Buffer;
    onSocketConnected(): void;
    onSocketData(chunk: Buffer): void;
    onSocketError(error: Error): void;
    onSocketClosed(): void;
  }

  interface Transaction {
    /** Where `commit` sends its request. */
    connectionManager: RequestQueue;
    create(path: string, data: Buffer, acls: AclEntry[], mode: number): Transaction;
    remove(path: string, version: number): Transaction;
    commit(callback: Callback<[unknown]>): void;
  }

  interface Client {
    readonly connectionManager: ConnectionManager;
    on(event: "state", listener: (state: { name: string }) => void): this;
    connect(): void;
    close(): void;
    addAuthInfo(scheme: string, auth: Buffer): void;
    getSessionId(): Buffer;
    getSessionPassword(): Buffer;
    getSessionTimeout(): number;
    create(path: string, data: Buffer, acls: AclEntry[], mode: number, callback: Callback<[string]>): void;
    remove(path: string, version: number, callback: Callback<[]>): void;
    setData(path: string, data: Buffer, version: number, callback: Callback<[LibraryStat]>): void;
    getData(
      path: string,
      watcher: Watcher | undefined,
      callback: Callback<[Buffer | undefined, LibraryStat]>,
    ): void;
    exists(path: string, watcher: Watcher | undefined, callback: Callback<[LibraryStat | null]>): void;
    getChildren(path: string, watcher: Watcher | undefined, callback: Callback<[string[]]>): void;
    transaction(): Transaction;
  }

  interface Library {
    createClient(
      connectionString: string,
      options: { sessionTimeout: number; retries: number; sessionId?: Buffer; sessionPassword?: Buffer },
    ): Client;
    readonly ACL: Readonly<Record<"OPEN_ACL_UNSAFE" | "CREATOR_ALL_ACL" | "READ_ACL_UNSAFE", AclEntry[]>>;
    readonly Exception: Readonly<Record<string, unknown>>;
  }

  const library: Library;

  export type { Client, ConnectionManager, Library, LibraryError, LibraryStat, MultiCallback };
  export default library;
}
