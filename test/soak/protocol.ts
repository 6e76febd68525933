import type { ChildProcess } from "node:child_process";

/** What a process of the soak is told at its start, as JSON in its arguments. */
export interface Spec {
  /** Of the place in the cluster; whoever takes it after a restart has the same. */
  name: string;
  /** Of this process alone, and of its files in the ledger. */
  life: number;
  seed: number;
  /** Where the ledger, the logs and the registry's files are. */
  folder: string;
  registry: string;
  /** Calls a second; of callers. */
  rate: number;
  /** Where a provider listens; 0: any free port. */
  port: number;
  /** Connections are drained at this age; of a provider that is never restarted. 0: as by default. */
  connectionMaxAgeMs: number;
  /** Garbage is collected, and memory looked at afterwards, so often. */
  gcEveryMs: number;
}

export interface Memory {
  rssBytes: number;
  heapUsedBytes: number;
  externalBytes: number;
  arrayBuffersBytes: number;
}

/** One second of one process. */
export interface Sample extends Memory {
  /** Unix time, ms. */
  atMs: number;
  /** Just after garbage was collected, in the seconds where it was. */
  afterGc: Memory | undefined;
  /** Sockets, pipes, files: what holds the event loop, but for timers. */
  handles: number;
  timers: number;
  /** Open file descriptors; 0 where the system does not tell. */
  descriptors: number;
  loopDelayMs: { p50: number; p99: number; max: number };
  /** Calls in flight: of a caller those it waits for, of a provider those it serves. */
  inFlight: number;
  /** Connections of a provider. */
  connections: number;
  /** Handlers that began in this second. */
  served: number;
  /** Calls that ended in this second, by class: `kind|code|executed`, `kind|OK|yes`. */
  ended: Record<string, number>;
  /** What the first call of each class that failed was told. */
  texts: Record<string, string>;
  /** The longest time without a call that succeeded, up to now or to the call that ended it; of callers. */
  unservedMs: number;
}

/** What a process that was asked to stop says last, when nothing should be left of its calls. */
export interface Final {
  begun: number;
  settled: number;
  /** Of its `clientStart` and `clientEnd` events. */
  started: number;
  ended: number;
  inFlight: number;
  connections: number;
  /** Deadlines that are still waited for. */
  deadlines: number;
}

export type Message =
  | { type: "ready"; port: number }
  | { type: "sample"; sample: Sample }
  | { type: "fault"; text: string }
  | { type: "final"; final: Final };

/** To the parent; nobody else starts these programs. */
export function tell(message: Message): void {
  if (process.connected) process.send?.(message);
}

export function onMessage(child: ChildProcess, listener: (message: Message) => void): void {
  child.on("message", (message) => listener(message as Message));
}

export const specOf = (argv: readonly string[]): Spec => JSON.parse(argv[2] ?? "") as Spec;

/** The services' addresses, and the flags that go with them. */
export function nodeArguments({ name, folder, registry, port }: Spec): string[] {
  return [
    "node",
    name,
    `--registry=${registry}`,
    `--zookeeper.snapshotdir=${folder}/snapshots`,
    `--rpcserverport=${port}`,
    "--log.level=warn",
    `--log.dir=${folder}/log-${name}`,
    "--log.maxbytes=4MiB",
    "--log.maxfiles=1",
  ];
}
