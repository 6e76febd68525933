import os from "node:os";
import path from "node:path";
import type { MprpcApplication } from "mprpc";

/** The sections of the conf that are the cloud disk's own; clouddisk.conf explains each key. */
export const sections = [
  "clouddisk",
  "apigw",
  "account",
  "database",
  "progress",
  "upload",
  "download",
  "store",
  "transfer",
];

/** Where an HTTP server listens, and what browsers call it. */
export interface HttpSettings {
  host: string;
  /** 0: any free one. */
  port: number;
  /** `https://disk.example.com`; undefined: `http://host:port` as it listens. */
  publicUrl: string | undefined;
}

export interface Settings {
  /** Staged uploads, the embedded database and the embedded store. */
  dataFolder: string;
  /** The machine, more precisely the data folder: upload, download and transfer with the same name share staged files. */
  node: string;
  /** Signs tickets and URLs; undefined: one made and kept in the database. */
  secret: string | undefined;
  apigw: HttpSettings & {
    secureCookie: boolean;
    /** Requests per minute and address; of sign-in and sign-up a tenth. */
    requestsPerMinute: number;
    /** Addresses or networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For is believed; empty: nobody's. */
    trustedProxies: string[];
  };
  account: {
    quotaBytes: number;
    sessionTtlMs: number;
    /** Failed sign-ins per user name within 15 minutes. */
    failuresMax: number;
  };
  /** `sqlite:/path/to/file` or `mysql://user:password@host:port/database`. */
  databaseUrl: string;
  /** `database:` or `redis://host:port/0`. */
  progressUrl: string;
  upload: HttpSettings & {
    partBytes: number;
    fileMaxBytes: number;
    /** An upload that got no part for this long is thrown away. */
    uploadTtlMs: number;
    ticketTtlMs: number;
  };
  download: HttpSettings & { urlTtlMs: number };
  store: {
    /** `local:` (beneath the data folder), `local:/folder`, or `http://host:port` (or https) of an S3-compatible store. */
    url: string;
    bucket: string;
    region: string;
    accessKey: string;
    secretKey: string;
  };
  transfer: {
    /** Objects stored at once. */
    concurrency: number;
    retryMinMs: number;
    retryMaxMs: number;
    /** How often unreferenced content, stale uploads, old sessions and old trash are looked for. */
    cleanIntervalMs: number;
    /** How often every stored object is checked; each run goes through all of them. */
    scrubIntervalMs: number;
    /** Trash older than this is deleted. */
    trashTtlMs: number;
  };
}

export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.CLOUDDISK_DATA || path.join(os.homedir(), ".local/share/mprpc-clouddisk");
}

export function loadSettings(app: MprpcApplication): Settings {
  void app;
  throw new Error("not written yet");
}
