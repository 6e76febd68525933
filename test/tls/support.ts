import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import type { CallContext } from "../../src/call/context.js";
import { RpcChannel } from "../../src/client/channel.js";
import { RpcProvider } from "../../src/server/provider.js";
import type { TlsOptions } from "../../src/transport/tls/options.js";
import { tlsTransport } from "../../src/transport/tls/tls-transport.js";
import type { Transport } from "../../src/transport/transport.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { ProbeService, type ProbeServiceHandler, ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";
import { noteLeak } from "../tools/leaks/notes.js";

/** A folder for one test, gone after it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** TCP secured as `options` say, until the test ends. */
export function openTransport(options: TlsOptions, log = new RecordingLog(), cutAfterMs = 200): Transport {
  const transport = tlsTransport({ clock: systemClock, log, cutAfterMs }, options);
  onTestFinished(() => transport.close?.());
  return transport;
}

/** A provider and a channel of two processes, each with its own options and log, that find each other in one registry. */
export interface TlsPair {
  readonly cluster: Cluster;
  readonly provider: RpcProvider;
  readonly channel: RpcChannel;
  readonly stub: ProbeServiceStub;
  readonly providerLog: RecordingLog;
  readonly callerLog: RecordingLog;
  readonly providerTransport: Transport;
  readonly callerTransport: Transport;
  /** The callers' identities, in the order of the calls. */
  readonly identities: Array<string | undefined>;
}

export async function startTls(
  server: TlsOptions,
  client: TlsOptions,
  options: ClusterOptions & {
    handlers?: Partial<ProbeServiceHandler>;
    moreServices?: (provider: RpcProvider) => void;
  } = {},
): Promise<TlsPair> {
  const cluster = new Cluster({ ...options, tcp: true });
  const providerLog = new RecordingLog();
  const callerLog = new RecordingLog();
  const providerTransport = openTransport(server, providerLog);
  const callerTransport = openTransport(client, callerLog);
  const identities: Array<string | undefined> = [];
  const note = (context: CallContext): void => void identities.push(context.peer.identities.transport);
  const provider = new RpcProvider(cluster.runtime({ transport: providerTransport, log: providerLog }));
  provider.notifyService(ProbeService, {
    echo: (request, context) => {
      note(context);
      return request;
    },
    relay: (request) => request,
    note: (request) => request,
    ...options.handlers,
  });
  options.moreServices?.(provider);
  cluster.onClose(() => provider.shutdown());
  await provider.start();
  const channel = new RpcChannel(cluster.runtime({ transport: callerTransport, log: callerLog }));
  cluster.onClose(() => channel.close());
  const stub = new ProbeServiceStub(channel);
  return {
    ...{
      cluster,
      provider,
      channel,
      stub,
      providerLog,
      callerLog,
      providerTransport,
      callerTransport,
      identities,
    },
  };
}

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    noteLeak("the error of a call", error);
    return (error as Error).message;
  }
  throw new Error("the call succeeded");
}
