import { formatAddress } from "../base/address.js";
import { printable } from "../base/printable.js";
import { textOf } from "../base/thrown.js";
import { RpcChannel } from "../client/channel.js";
import type { LogFields, Logger } from "../log/logger.js";
import { MprpcApplication } from "../node/application.js";
import type { ClassicDialect } from "../protocol/classic/classic-wire.js";
import { openRegistry } from "../registry/open.js";
import type { CliIo } from "./command.js";
import { speaksGrpc } from "./probe-grpc.js";
import type { ProviderAddress } from "./provider-address.js";
import { whyNotOurs } from "./reach.js";

export interface ClientOptions {
  /** `-i FILE` and `--key=value`. */
  readonly config: readonly string[];
  /** Ask this provider, whatever the registry says. */
  readonly address?: ProviderAddress | undefined;
  /** The provider at `address` speaks the classic wire: in this dialect, or in one that is found out. */
  readonly classic?: ClassicDialect | "" | undefined;
  readonly descriptors?: readonly Uint8Array[];
}

/** A channel as the configuration says, for as long as `use` takes. */
export async function withClient<T>(
  options: ClientOptions,
  io: CliIo,
  use: (channel: RpcChannel, app: MprpcApplication, met: Met) => Promise<T>,
): Promise<T> {
  const { config, address, classic, descriptors = [] } = options;
  const log = consoleLogger(io);
  const url = address && staticUrl(address, classic);
  await using app = await MprpcApplication.init(["node", "mprpc", ...config], {
    env: io.env,
    cwd: io.cwd,
    log,
    ...(url === undefined ? {} : { registry: openRegistry(url, { log }) }),
  });
  const met = address === undefined || classic !== undefined ? unasked : await meet(address, app);
  const registry =
    met.grpc && address !== undefined
      ? { registry: openRegistry(staticUrl({ ...address, protocol: "grpc" }), { log }) }
      : {};
  await using channel = new RpcChannel(app, {
    ...registry,
    descriptors,
    ...(classic === undefined ? {} : { classic: classic || true }),
  });
  return await use(channel, app, met);
}

function staticUrl(address: ProviderAddress, classic?: ClassicDialect | ""): string {
  const grpc = address.protocol === "grpc" ? "grpc://" : "";
  return `static://${grpc}${formatAddress(address)}${classic === undefined ? "" : "?protocol=classic"}`;
}

/** What was found at an address. */
export interface Met {
  /** A server that speaks gRPC, and not our own protocol. */
  readonly grpc: boolean;
  /** Why no provider of ours can be called there, nor a gRPC server. */
  readonly silence: string | undefined;
}

const unasked: Met = { grpc: false, silence: undefined };

async function meet(address: ProviderAddress, app: MprpcApplication): Promise<Met> {
  if (address.protocol === "grpc") return { grpc: true, silence: undefined };
  const silence = await whyNotOurs(address, app);
  if (silence === undefined) return unasked;
  return (await speaksGrpc(address, app)) ? { grpc: true, silence: undefined } : { grpc: false, silence };
}

/** The library's warnings and errors go to stderr, for people; the rest is not what a command is run for. */
function consoleLogger(io: CliIo): Logger {
  const nothing = (): void => {};
  const tell = (level: string) => (text: string, fields?: LogFields) =>
    io.err(`mprpc: ${level}: ${printable(text)}${describeFields(fields)}\n`);
  const error = tell("error");
  return { trace: nothing, debug: nothing, info: nothing, warn: tell("warning"), error, fatal: error };
}

/** What it is about: a file, a service, the reason. */
function describeFields(fields: LogFields = {}): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}: ${describeField(value)}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

function describeField(value: unknown): string {
  return printable(
    typeof value === "object" && !(value instanceof Error) ? JSON.stringify(value) : textOf(value),
  );
}
