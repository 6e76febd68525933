import { RpcProvider } from "../../src/index.js";
import type { HostProgram, SimulatedApp, SimulatedHost, Simulation } from "../../src/testing/index.js";
import type { Connection, ConnectionHandler, Listener } from "../../src/transport/transport.js";
import { type Blob, ProbeService, type ProbeServiceHandler } from "../support/gen/probe.js";

export const echoes: ProbeServiceHandler = {
  echo: (request: Blob) => request,
  relay: (request: Blob) => request,
  note: (request: Blob) => request,
};

/** A host's program that serves the probe service. */
export function probeProgram(handlers: Partial<ProbeServiceHandler> = {}): HostProgram {
  return async (app) => {
    const provider = new RpcProvider(app).notifyService(ProbeService, { ...echoes, ...handlers });
    await provider.start();
    return provider;
  };
}

/** Keeps what a connection tells its owner, in order. */
export class Ear implements ConnectionHandler {
  readonly connection: Connection;
  readonly told: string[] = [];
  readonly chunks: Buffer[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
    connection.setHandler(this);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    if (this.told.at(-1) !== "data") this.told.push("data");
  }

  onEnd(): void {
    this.told.push("end");
  }

  onDrain(): void {
    this.told.push("drain");
  }

  onClose(error: Error | undefined): void {
    this.told.push(`close ${error?.message ?? "well"}`);
  }
}

export interface Ends {
  client: Ear;
  server: Ear;
  listener: Listener;
  near: SimulatedHost;
  far: SimulatedHost;
}

/** A connection between two new hosts, `near` and `far`. */
export async function connected(sim: Simulation): Promise<Ends> {
  const near = sim.host("near");
  const far = sim.host("far");
  let server: Ear | undefined;
  const listener = await far.app.transport.listen({ host: far.address, port: 80 }, (connection) => {
    server = new Ear(connection);
  });
  const client = new Ear(await sim.until(dial(near.app, "far")));
  await sim.run(10);
  if (server === undefined) throw new Error("nothing was accepted");
  return { client, server, listener, near, far };
}

export function dial(app: SimulatedApp, host: string, port = 80): Promise<Connection> {
  return app.transport.connect({ host, port }, { timeoutMs: 2000 });
}
