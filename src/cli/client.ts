import { type Address, formatAddress } from "../base/address.js";
import { printable } from "../base/printable.js";
import { textOf } from "../base/thrown.js";
import { RpcChannel } from "../client/channel.js";
import type { LogFields, Logger } from "../log/logger.js";
import { MprpcApplication } from "../node/application.js";
import type { ClassicDialect } from "../protocol/classic/classic-wire.js";
import { openRegistry } from "../registry/open.js";
import type { CliIo } from "./command.js";

export interface ClientOptions {
  /** `-i FILE` and `--key=value`. */
  readonly config: readonly string[];
  /** Ask this provider, whatever the registry says. */
  readonly address?: Address | undefined;
  /** The provider at `address` speaks the classic wire: in this dialect, or in one that is found out. */
  readonly classic?: ClassicDialect | "" | undefined;
  readonly descriptors?: readonly Uint8Array[];
}

/** A channel as the configuration says, for as long as `use` takes. */
export async function withClient<T>(
  options: ClientOptions,
  io: CliIo,
  use: (channel: RpcChannel, app: MprpcApplication) => Promise<T>,
): Promise<T> {
  const { config, address, classic, descriptors = [] } = options;
  const log = consoleLogger(io);
  const url =
    address && `static://${formatAddress(address)}${classic === undefined ? "" : "?protocol=classic"}`;
  await using app = await MprpcApplication.init(["node", "mprpc", ...config], {
    env: io.env,
    cwd: io.cwd,
    log,
    ...(url === undefined ? {} : { registry: openRegistry(url, { log }) }),
  });
  await using channel = new RpcChannel(app, {
    descriptors,
    ...(classic === undefined ? {} : { classic: classic || true }),
  });
  return await use(channel, app);
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
