import { randomBytes } from "node:crypto";
import { accessSync, constants, linkSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { MprpcApplication } from "mprpc";
import type { Callers } from "./callers.js";
import { makeFolder } from "./folder.js";
import type { sections } from "./sections.js";

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
  /** Who may call the RPC services. */
  callers: Callers;
  /** Signs tickets and URLs; undefined: one made and kept in the database. */
  secret: string | undefined;
  apigw: HttpSettings & {
    secureCookie: boolean;
    /** Requests per minute and address; of sign-in and sign-up a tenth. */
    requestsPerMinute: number;
    /** Live change feeds of one user, open at once. */
    feedsMax: number;
    /** Addresses or networks (`10.0.0.0/8`) of proxies whose X-Forwarded-For is believed; empty: nobody's. */
    trustedProxies: string[];
  };
  account: {
    quotaBytes: number;
    sessionTtlMs: number;
    /** Whether anybody may sign up; else the operator makes users. */
    openSignup: boolean;
    /** Who is asked for an account where nobody may sign up; empty: not said. */
    contact: string;
    /** A user name; undefined: the first user's. */
    operator: string | undefined;
    /** The operator is made with it when there is none. */
    operatorPassword: string | undefined;
    /** Failed sign-ins per user name within 15 minutes. */
    failuresMax: number;
  };
  /** With a broker: how often the database is asked for jobs and changes that it has lost. */
  sweepMs: number;
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
    /** Uploads in parts a user may have open at once. */
    openMax: number;
    /** Per minute and address, and per user. */
    requestsPerMinute: number;
    /** Whose contents are not sent again: the user's own, or everyone's. */
    instantOf: "user" | "everyone";
    /** Of the data folder's disk. */
    reserveBytes: number;
  };
  download: HttpSettings & {
    urlTtlMs: number;
    /** Per minute and address, and per user. */
    requestsPerMinute: number;
  };
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
    /** A job is another process's when the one that took it was silent for so long. */
    leaseMs: number;
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

type DiskConfig = MprpcApplication<typeof sections>["config"];

/** The folder as the conf says. */
export function configuredFolder({ own }: DiskConfig): string {
  return path.resolve(own.clouddisk.data ?? path.join(os.homedir(), ".local/share/mprpc-clouddisk"));
}

/** Written at the first start, so that staged files are found again under whatever host name the machine has by then. */
function nodeName(folder: string): string {
  const file = path.join(folder, "node");
  const name = `${os
    .hostname()
    .replace(/[^\w.-]/g, "_")
    .slice(0, 80)}-${randomBytes(4).toString("hex")}`;
  // A name appears whole or not at all: several processes may start at once, and any may be killed.
  const mine = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  writeFileSync(mine, `${name}\n`);
  try {
    linkSync(mine, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    unlinkSync(mine);
  }
  return readFileSync(file, "utf8").trim();
}

function makeDataFolder(folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `the data folder ${folder} cannot be used: ${why}; change [clouddisk] data or CLOUDDISK_DATA`,
      {
        cause: error,
      },
    );
  }
}

/** The settings of a process; makes its data folder. */
export function loadSettings(config: DiskConfig): Settings {
  const { clouddisk, apigw, account, database, progress, upload, download, store, transfer } = config.own;
  const folder = configuredFolder(config);
  makeDataFolder(folder);
  return {
    dataFolder: folder,
    node: clouddisk.node ?? nodeName(folder),
    callers: clouddisk.callers === "any" ? "any" : "services",
    secret: clouddisk.secret,
    apigw: {
      ...httpSettings(apigw),
      secureCookie: apigw.securecookie,
      requestsPerMinute: apigw.requestsperminute,
      feedsMax: apigw.feeds,
      trustedProxies: [...apigw.trustedproxies],
    },
    account: {
      quotaBytes: account.quotaBytes,
      openSignup: account.signup,
      contact: account.contact ?? "",
      operator: account.operator?.normalize("NFC"),
      operatorPassword: account.operatorpassword,
      sessionTtlMs: account.sessionttlMs,
      failuresMax: account.failures,
    },
    sweepMs: clouddisk.sweepMs,
    databaseUrl: database.url ?? `sqlite:${path.join(folder, "clouddisk.db")}`,
    progressUrl: progress.url,
    upload: {
      ...httpSettings(upload),
      partBytes: upload.partBytes,
      fileMaxBytes: upload.filemaxBytes,
      uploadTtlMs: upload.uploadttlMs,
      ticketTtlMs: upload.ticketttlMs,
      openMax: upload.openmax,
      requestsPerMinute: upload.requestsperminute,
      instantOf: upload.instant === "everyone" ? "everyone" : "user",
      reserveBytes: upload.reserveBytes,
    },
    download: {
      ...httpSettings(download),
      urlTtlMs: download.urlttlMs,
      requestsPerMinute: download.requestsperminute,
    },
    store: {
      url: store.url,
      bucket: store.bucket,
      region: store.region,
      accessKey: store.accesskey ?? "",
      secretKey: store.secretkey ?? "",
    },
    transfer: {
      concurrency: transfer.concurrency,
      leaseMs: transfer.leaseMs,
      retryMinMs: transfer.retryminMs,
      retryMaxMs: transfer.retrymaxMs,
      cleanIntervalMs: transfer.cleanintervalMs,
      scrubIntervalMs: transfer.scrubintervalMs,
      trashTtlMs: transfer.trashttlMs,
    },
  };
}

function httpSettings({
  host,
  port,
  publicurl,
}: DiskConfig["own"]["apigw" | "upload" | "download"]): HttpSettings {
  return { host, port, publicUrl: publicurl };
}
