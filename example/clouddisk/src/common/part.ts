import type { FastifyInstance } from "fastify";
import type { Logger, MprpcApplication, RpcChannel, RpcProvider } from "mprpc";
import type { Database } from "../dbproxy/client.js";
import type { DiskEvents } from "../events/disk-events.js";
import type { Settings } from "./settings.js";

export const serviceNames = ["dbproxy", "account", "transfer", "download", "upload", "apigw"] as const;
export type ServiceName = (typeof serviceNames)[number];

/** What a service is given: the process it lives in, shared with the others there. */
export interface Host {
  readonly app: MprpcApplication;
  /** To the other services, through the registry, whether they are in this process or not. */
  readonly channel: RpcChannel;
  /** The typed actions of dbproxy, over `channel`. */
  readonly database: Database;
  readonly settings: Settings;
  /** Carries events between the services; undefined: each asks the database. */
  readonly events: DiskEvents | undefined;
  /** The services that run in this process. */
  readonly services: readonly ServiceName[];
  /** A name for this process that no other one has, also not after a restart: owner of leases and claims. */
  readonly instance: string;
}

/** A service of the cloud disk, ready to be put into a process. */
export interface Part {
  readonly name: ServiceName;
  readonly log: Logger;
  /** Its RPC services. */
  notify(provider: RpcProvider): void;
  /**
   * Its HTTP routes. A process has one HTTP server for all its services when apigw is among them, and else one for
   * each that has routes.
   */
  routes?(http: FastifyInstance): Promise<void>;
  /** Called once the RPC services are registered and HTTP listens; background work starts here. */
  start?(): Promise<void>;
  /**
   * Ends background work and waits for it. HTTP has closed by then; RPC still works. dbproxy's is called last, when the
   * process serves no call any more.
   */
  stop?(): Promise<void>;
}

export type CreatePart = (host: Host) => Part | Promise<Part>;
