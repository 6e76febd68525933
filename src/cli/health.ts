import { type Address, schemeOf } from "../base/address.js";
import { systemClock } from "../base/clock.js";
import type { RpcChannel } from "../client/channel.js";
import { loadConfig } from "../config/config.js";
import { duration } from "../config/kinds.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { Health, ServingStatus } from "../services/builtin.js";
import { callerUsage, checkCount, type ParsedArguments, readArguments } from "./arguments.js";
import { withClient } from "./client.js";
import { type CliIo, type Command, exitCodes, UsageError } from "./command.js";
import { parseProviderAddress } from "./provider-address.js";
import { untilStopped } from "./stop.js";

const usage = `Usage: mprpc health [HOST:PORT] [SERVICE] [options]

Asks a provider whether it serves (grpc.health.v1), prints SERVING or NOT_SERVING and ends with 0 or 3: for probes. Without
HOST:PORT it is the provider that the configuration describes (rpcserverip, rpcserverport, provider.unix), on this machine. With SERVICE,
its full name, one service is asked about.

With --watch it goes on: a line for each change, SERVICE_UNKNOWN for a service that is not there, until Ctrl-C or until the
provider cannot be asked any more.

  --watch                 print each change, instead of the status now
  --timeout 1s            how long the provider may take for its (first) answer, with its unit (default: 1s)
${callerUsage}  -i FILE, --key=value    the configuration, as \`mprpc config\` shows it
  -h, --help              this text

Exit code: 0 it serves, 1 it cannot be asked or has no such service, 2 wrong usage, 3 it answers that it does not serve;
with --watch 1 or, for Ctrl-C, 130.
`;

const options = { timeout: { kind: "value" }, watch: { kind: "flag" } } as const;

/** It answers, and does not serve: it drains, or took the service out. */
const notServing = 3;

const timeoutKind = duration({ minMs: 1 });
const defaultTimeout = "1s";

export const healthCommand: Command = {
  usage,
  async run(args, io) {
    const parsed = readArguments(args, options, { takesConfig: true });
    const given = parseProviderAddress(parsed.positionals[0] ?? "");
    const words = given === undefined ? parsed.positionals : parsed.positionals.slice(1);
    checkCount(words, "at most HOST:PORT and SERVICE", 0, 1);
    const [service = ""] = words;
    if (service !== "" && !/^[\w.]+$/.test(service)) {
      throw new UsageError(`expected HOST:PORT or a service's full name, got ${JSON.stringify(service)}`);
    }
    const timeoutMs = readTimeout(parsed);
    const address = given ?? ownAddress(parsed, io);
    return withClient({ config: parsed.config, address }, io, async (channel) => {
      try {
        if (parsed.has("watch")) {
          return await untilStopped(io, (signal) => watch(channel, { service, timeoutMs, signal }, io));
        }
        const { status } = await channel.call(Health.methods.check, { service }, { timeoutMs });
        const serving = status === ServingStatus.SERVING;
        io.out(serving ? "SERVING\n" : "NOT_SERVING\n");
        return serving ? exitCodes.done : notServing;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        io.err(`${error.message}\n`);
        return exitCodes.failed;
      }
    });
  },
};

interface Watching {
  readonly service: string;
  /** Until the first status. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Prints each change. Ends by a failure: rejects with `RpcError`. */
async function watch(
  channel: RpcChannel,
  { service, timeoutMs, signal }: Watching,
  io: CliIo,
): Promise<never> {
  const nameOf = new Map<number, string>(
    Object.entries(ServingStatus).map(([name, status]) => [status, name]),
  );
  let told: ServingStatus | undefined;
  // A provider ends a watch with its connection's age, and when it stops: then it cannot be asked again.
  for (;;) {
    const statuses = channel.serverStream(Health.methods.watch, { service }, { signal });
    let late = false;
    const timer = systemClock.setTimer(() => {
      late = true;
      statuses.cancel();
    }, timeoutMs);
    try {
      for await (const { status } of statuses) {
        timer.cancel();
        if (status !== told) io.out(`${nameOf.get(status) ?? status}\n`);
        told = status;
      }
    } catch (error) {
      if (!late) throw error;
      throw new RpcError(Status.DEADLINE_EXCEEDED, `no status within ${timeoutMs} ms (--timeout)`);
    } finally {
      timer.cancel();
    }
  }
}

function readTimeout(parsed: ParsedArguments): number {
  const text = parsed.value("timeout") ?? defaultTimeout;
  const timeoutMs = /^\d+$/.test(text) ? undefined : timeoutKind.parse(text)?.value;
  if (timeoutMs !== undefined) return timeoutMs;
  throw new UsageError(
    `--timeout: expected a duration with its unit, such as 500ms or 2s, got ${JSON.stringify(text)}`,
  );
}

/** Where the provider of the configuration listens, as this machine reaches it. */
function ownAddress(parsed: ParsedArguments, io: CliIo): Address {
  const { values } = loadConfig({ argv: parsed.config, env: io.env, cwd: io.cwd });
  const { rpcserverip: host, rpcserverport: port, provider } = values;
  const scheme = schemeOf({ host, port });
  if (scheme === "unix") return { host, port: 0 };
  if (scheme === "inproc" || port === 0) {
    // It may listen there as well.
    if (provider.unix !== undefined) return { host: `unix:${provider.unix}`, port: 0 };
    throw new UsageError(
      scheme === "inproc"
        ? `the provider of the configuration cannot be asked: only its own process reaches rpcserverip=${host}`
        : "give HOST:PORT: the configuration has no rpcserverport, so the provider takes a free one",
    );
  }
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return { host: own, port };
}
