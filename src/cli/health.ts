import { type Address, parseAddress } from "../base/address.js";
import { loadConfig } from "../config/config.js";
import { duration } from "../config/kinds.js";
import { RpcError } from "../error/rpc-error.js";
import { Health, ServingStatus } from "../services/builtin.js";
import { checkCount, type ParsedArguments, readArguments } from "./arguments.js";
import { withClient } from "./client.js";
import { type CliIo, type Command, exitCodes, UsageError } from "./command.js";

const usage = `Usage: mprpc health [HOST:PORT] [SERVICE] [options]

Asks a provider whether it serves (grpc.health.v1), prints SERVING or NOT_SERVING and ends with 0 or 3: for probes. Without
HOST:PORT it is the provider that the configuration describes (rpcserverip, rpcserverport), on this machine. With SERVICE,
its full name, one service is asked about.

  --timeout 1s            how long the provider may take, with its unit (default: 1s)
  -i FILE, --key=value    the configuration, as \`mprpc config\` shows it
  -h, --help              this text

Exit code: 0 it serves, 1 it cannot be asked or has no such service, 2 wrong usage, 3 it answers that it does not serve.
`;

/** It answers, and does not serve: it drains, or took the service out. */
const notServing = 3;

const timeoutKind = duration({ minMs: 1 });
const defaultTimeout = "1s";

export const healthCommand: Command = {
  usage,
  async run(args, io) {
    const parsed = readArguments(args, { timeout: { kind: "value" } }, { takesConfig: true });
    const given = parseAddress(parsed.positionals[0] ?? "");
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
  const { rpcserverip: host, rpcserverport: port } = values;
  if (port === 0) {
    throw new UsageError(
      "give HOST:PORT: the configuration has no rpcserverport, so the provider takes a free one",
    );
  }
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return { host: own, port };
}
