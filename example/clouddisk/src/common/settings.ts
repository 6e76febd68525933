import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
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

function given(app: MprpcApplication, name: string): string | undefined {
  const [section = "", key = ""] = name.split(".");
  const text = app.config.own[section]?.[key];
  return text === "" ? undefined : text;
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

function amount(app: MprpcApplication, name: string, fallback: string): number {
  const text = given(app, name) ?? fallback;
  const [, digits = "", unit = ""] = /^(\d+)([a-zA-Z]*)$/.exec(text) ?? [];
  const perUnit = units[unit];
  if (digits === "" || perUnit === undefined)
    throw new Error(`${name}: expected an amount, found ${JSON.stringify(text)}`);
  return Number(digits) * perUnit;
}

function http(app: MprpcApplication, section: string, port: string): HttpSettings {
  return {
    host: given(app, `${section}.host`) ?? "127.0.0.1",
    port: amount(app, `${section}.port`, port),
    publicUrl: given(app, `${section}.publicurl`),
  };
}

/** The folder as the conf and `CLOUDDISK_DATA` say. */
export function configuredFolder(config: MprpcApplication["config"]): string {
  return path.resolve(config.own.clouddisk?.data ?? dataFolder());
}

/** Written at the first start, so that staged files are found again under whatever host name the machine has by then. */
function nodeName(folder: string): string {
  const file = path.join(folder, "node");
  try {
    writeFileSync(file, `${os.hostname()}-${randomBytes(4).toString("hex")}\n`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFileSync(file, "utf8").trim();
}

/** The settings of a process; makes its data folder. */
export function loadSettings(app: MprpcApplication): Settings {
  const folder = configuredFolder(app.config);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    dataFolder: folder,
    node: given(app, "clouddisk.node") ?? nodeName(folder),
    secret: given(app, "clouddisk.secret"),
    apigw: {
      ...http(app, "apigw", "8080"),
      secureCookie: given(app, "apigw.securecookie") === "yes",
      requestsPerMinute: amount(app, "apigw.requestsperminute", "600"),
      trustedProxies: (given(app, "apigw.trustedproxies") ?? "").split(",").filter((one) => one !== ""),
    },
    account: {
      quotaBytes: amount(app, "account.quota", "10GiB"),
      sessionTtlMs: amount(app, "account.sessionttl", "7d"),
      failuresMax: amount(app, "account.failures", "10"),
    },
    databaseUrl: given(app, "database.url") ?? `sqlite:${path.join(folder, "clouddisk.db")}`,
    progressUrl: given(app, "progress.url") ?? "database:",
    upload: {
      ...http(app, "upload", "8081"),
      partBytes: amount(app, "upload.part", "8MiB"),
      fileMaxBytes: amount(app, "upload.filemax", "1TiB"),
      uploadTtlMs: amount(app, "upload.uploadttl", "3d"),
      ticketTtlMs: amount(app, "upload.ticketttl", "1h"),
    },
    download: { ...http(app, "download", "8082"), urlTtlMs: amount(app, "download.urlttl", "10m") },
    store: {
      url: given(app, "store.url") ?? "local:",
      bucket: given(app, "store.bucket") ?? "clouddisk",
      region: given(app, "store.region") ?? "us-east-1",
      accessKey: given(app, "store.accesskey") ?? "",
      secretKey: given(app, "store.secretkey") ?? "",
    },
    transfer: {
      concurrency: amount(app, "transfer.concurrency", "2"),
      retryMinMs: amount(app, "transfer.retrymin", "1s"),
      retryMaxMs: amount(app, "transfer.retrymax", "5m"),
      cleanIntervalMs: amount(app, "transfer.cleaninterval", "10m"),
      scrubIntervalMs: amount(app, "transfer.scrubinterval", "7d"),
      trashTtlMs: amount(app, "transfer.trashttl", "30d"),
    },
  };
}
