import type { RpcChannel } from "../client/channel.js";
import type { Registry } from "../registry/registry.js";
import { builtinServices } from "../services/builtin.js";
import { callerUsage, checkCount, readArguments } from "./arguments.js";
import { withClient } from "./client.js";
import { CliError, type Command, exitCodes, UsageError } from "./command.js";
import { parseProviderAddress } from "./provider-address.js";
import { fullServiceName, listedIn, servicesAt } from "./service-names.js";
import { splitMethod } from "./target.js";

const usage = `Usage: mprpc describe SERVICE [METHOD] [options]
       mprpc describe HOST:PORT [SERVICE [METHOD]] [options]

Prints a service with its methods and the messages behind them, in the form of a .proto file, as its provider tells it.
SERVICE is a service of the registry, or of the provider at HOST:PORT, in full or by its short name; with METHOD
(or SERVICE.METHOD, SERVICE/METHOD) one method. Without SERVICE: every service of the provider.

${callerUsage}  -i FILE, --key=value    the configuration, as \`mprpc config\` shows it
  -h, --help              this text
`;

export const describeCommand: Command = {
  usage,
  async run(args, io) {
    const parsed = readArguments(args, {}, { takesConfig: true });
    const { config, positionals } = parsed;
    const address = parseProviderAddress(positionals[0] ?? "");
    const words = address === undefined ? positionals : positionals.slice(1);
    checkCount(words, "SERVICE", address === undefined ? 1 : 0, 2);
    const [word, method] = words;
    if (word !== undefined && !/^\/?[\w.]+(?:\/\w+)?$/.test(word)) {
      throw new UsageError(`expected [HOST:PORT] SERVICE, got ${JSON.stringify(word)}`);
    }
    return withClient({ config, address }, io, async (channel, app) => {
      const names = address === undefined ? await listedIn(app.registry) : await servicesAt(channel);
      const asked =
        word === undefined
          ? names.map((service) => ({ service }))
          : [find(word, method, names, app.registry)];
      const texts: string[] = [];
      for (const one of asked) texts.push(await textOf(one, channel));
      io.out(texts.join("\n"));
      return exitCodes.done;
    });
  },
};

interface Asked {
  readonly service: string;
  readonly method?: string | undefined;
}

/** What `word` means: a service, or a service and its method in one. */
function find(word: string, method: string | undefined, names: readonly string[], registry: Registry): Asked {
  const known = [...names, ...builtinServices];
  const split = splitMethod(word);
  const isService = known.some((name) => name === word || name.endsWith(`.${word}`));
  if (method === undefined && split !== undefined && (word.includes("/") || !isService)) {
    const whole = known.some((name) => name === split.service || name.endsWith(`.${split.service}`));
    if (whole || word.includes("/")) {
      return { service: fullServiceName(split.service, known, registry.name), method: split.method };
    }
  }
  // A registry that does not know its services, such as static://, may have it all the same.
  if (names.includes("*") && word.includes(".")) return { service: word, method };
  return { service: fullServiceName(word, known, `registry ${registry.name}`), method };
}

async function textOf({ service, method }: Asked, channel: RpcChannel): Promise<string> {
  const methods = await channel.describe(service);
  const wanted =
    method && methods.find(({ name, localName }) => name === method || localName === method)?.name;
  if (method !== undefined && wanted === undefined) {
    throw new CliError(
      `${service} has no method ${JSON.stringify(method)}; it has ${methods.map(({ name }) => name).join(", ")}`,
    );
  }
  // It brings protobufjs' reflection with it.
  const { ProtoText } = await import("./proto-text.js");
  const text = new ProtoText(await channel.descriptors(service)).ofService(service, wanted);
  if (text === undefined) throw new CliError(`the provider of ${service} does not tell its messages`);
  return text;
}
