import type { MprpcApplication, RpcChannel } from "mprpc";
import type { Host } from "../../src/common/part.js";
import type { Settings } from "../../src/common/settings.js";
import { Database } from "../../src/dbproxy/client.js";

export const testSettings: Settings = {
  dataFolder: "/nowhere",
  node: "test",
  callers: "services",
  secret: "a secret of the tests",
  apigw: {
    host: "127.0.0.1",
    port: 0,
    publicUrl: undefined,
    secureCookie: false,
    feedsMax: 20,
    requestsPerMinute: 100_000,
    trustedProxies: [],
  },
  account: {
    quotaBytes: 1_000_000,
    sessionTtlMs: 3_600_000,
    openSignup: true,
    contact: "",
    operator: undefined,
    operatorPassword: undefined,
    failuresMax: 5,
  },
  sweepMs: 5_000,
  databaseUrl: "sqlite:",
  progressUrl: "database:",
  upload: {
    host: "127.0.0.1",
    port: 0,
    publicUrl: undefined,
    partBytes: 1_048_576,
    fileMaxBytes: 1e12,
    uploadTtlMs: 3_600_000,
    ticketTtlMs: 60_000,
    openMax: 1000,
    requestsPerMinute: 100_000,
    instantOf: "user",
    reserveBytes: 0,
  },
  download: {
    host: "127.0.0.1",
    port: 0,
    publicUrl: undefined,
    urlTtlMs: 60_000,
    requestsPerMinute: 1_000_000,
  },
  store: { url: "local:", bucket: "test", region: "", accessKey: "", secretKey: "" },
  transfer: {
    concurrency: 1,
    leaseMs: 60_000,
    retryMinMs: 10,
    retryMaxMs: 1000,
    cleanIntervalMs: 60_000,
    scrubIntervalMs: 60_000,
    trashTtlMs: 60_000,
  },
};

/** A host for code that calls no other service, or only what `channel` is. */
export function fakeHost(parts: Partial<Host> = {}): Host {
  const channel = parts.channel ?? ({} as unknown as RpcChannel);
  return {
    app: {} as unknown as MprpcApplication,
    channel,
    database: new Database(channel),
    settings: testSettings,
    services: ["apigw"],
    events: undefined,
    instance: "test-1",
    ...parts,
  };
}
