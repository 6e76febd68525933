import type { Connection } from "../../transport/transport.js";

/** One read of Node is at most this. */
const readBufferBytes = 64 * 1024;

/** A program listens on a port. */
export interface Listening {
  readonly onConnection: (connection: Connection) => void;
  /** Runs what comes from the network in the process that listens. */
  readonly enter: (run: () => void) => void;
}

/** One life of the program of a host: from its start to its stop or crash. */
export interface ProcessGate {
  /** Runs `run` now, later when the process is paused, never when it is gone. */
  enter(run: () => void): void;
  readonly alive: boolean;
}

/** One end of a connection, as far as its host and the network's faults deal with it. */
export interface Socket {
  readonly machine: Machine;
  /** Undefined until the other side has accepted. */
  readonly peer: Socket | undefined;
  /** The process is gone, and the system closes its sockets. */
  abandon(): void;
  /** Breaks the connection: what is on its way is lost, and the other end hears of it later. */
  cut(): void;
  /** From now on nothing arrives in either direction, and nobody is told. */
  drop(): void;
  /** Lets it happen as soon as this end has received so many more bytes. */
  failAfter(kind: "cut" | "drop", moreBytes: number): void;
  /** Calls that off. */
  spare(): void;
}

/** A host as the network sees it: what of it lives on when its process dies. */
export class Machine {
  readonly name: string;
  readonly ip: string;
  readonly listeners = new Map<number, Listening>();
  readonly connections = new Set<Socket>();
  /** What its sockets read into, one after the other, as those of a process of Node do. */
  readonly readBuffer: Buffer = Buffer.alloc(readBufferBytes);
  /** How fast it reads; `Infinity`: at once. */
  readBytesPerMs = Infinity;
  /** Its system refuses every new connection, as one without a listener does. */
  refuses = false;
  /** Who its connections prove it to be; undefined: nobody. */
  identity: string | undefined;
  #process: ProcessGate | undefined;
  #nextPort = 40_000;

  constructor(name: string, ip: string) {
    this.name = name;
    this.ip = ip;
  }

  get process(): ProcessGate | undefined {
    return this.#process;
  }

  /** A new process, or none: the ports and connections of the old one are gone. */
  setProcess(process: ProcessGate | undefined): void {
    this.#process = process;
    this.listeners.clear();
    for (const connection of [...this.connections]) connection.abandon();
  }

  /** The way into the process that runs now. */
  gate(): (run: () => void) => void {
    const process = this.#process;
    return (run) => process?.enter(run);
  }

  freePort(): number {
    while (this.listeners.has(this.#nextPort)) this.#nextPort++;
    return this.#nextPort++;
  }
}
