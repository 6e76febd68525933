import { formatAddress } from "../base/address.js";
import { printable } from "../base/printable.js";
import { RpcChannel } from "../client/channel.js";
import { RpcError } from "../error/rpc-error.js";
import type { MethodKind } from "../protobuf/types.js";
import { openRegistry } from "../registry/open.js";
import type { Endpoint, Registry } from "../registry/registry.js";
import type { App } from "../runtime/app.js";
import { callerUsage, checkCount, readArguments } from "./arguments.js";
import { withClient } from "./client.js";
import { type CliIo, type Command, exitCodes, UsageError } from "./command.js";
import { type ProviderAddress, parseProviderAddress } from "./provider-address.js";
import { servicesAt } from "./service-names.js";

const usage = `Usage: mprpc list [HOST:PORT] [--json] [options]

Lists the services of the registry, or of the provider at HOST:PORT: methods and instances. Methods are asked of the
providers; those of classic providers are read from ZooKeeper, which does not tell their messages.

  --json                  an array of {service, methods, instances}, for programs
${callerUsage}  -i FILE, --key=value    the configuration, as \`mprpc config\` shows it
  -h, --help              this text
`;

interface ListedMethod {
  readonly name: string;
  /** Which sides stream, and full names of the messages; classic providers do not tell them. */
  readonly kind?: MethodKind;
  readonly input?: string;
  readonly output?: string;
}

interface ListedInstance {
  readonly address: string;
  readonly protocol: Endpoint["protocol"];
  readonly weight: number;
  readonly attributes: Readonly<Record<string, string>>;
}

interface ListedService {
  readonly service: string;
  readonly methods: readonly ListedMethod[];
  /** Why the methods are not known. */
  readonly error?: string;
  readonly instances: readonly ListedInstance[];
}

/** A static registry's name for services it does not name. */
const anyService = "*";

export const listCommand: Command = {
  usage,
  async run(args, io) {
    const parsed = readArguments(args, { json: { kind: "flag" } }, { takesConfig: true });
    const [target] = parsed.positionals;
    checkCount(parsed.positionals, "at most one HOST:PORT", 0, 1);
    const address = target === undefined ? undefined : parseProviderAddress(target);
    if (target !== undefined && address === undefined) {
      throw new UsageError(`expected HOST:PORT, got ${JSON.stringify(target)}`);
    }
    const { config } = parsed;
    return withClient({ config, address }, io, async (channel, app, met) => {
      const services =
        address === undefined
          ? await listRegistry(channel, app, app.registry)
          : await listProvider(channel, instanceAt(address, met.grpc));
      if (services.length === 0) io.err(`mprpc: no services in ${app.registry.name}\n`);
      print(services, parsed.has("json"), io);
      return exitCodes.done;
    });
  },
};

async function listRegistry(channel: RpcChannel, app: App, registry: Registry): Promise<ListedService[]> {
  const listings = await registry.list();
  const listed = await Promise.all(
    listings.map(async ({ service, endpoints }) =>
      service === anyService ? listEach(endpoints, app) : [await listService(channel, service, endpoints)],
    ),
  );
  return merge(listed.flat());
}

async function listService(
  channel: RpcChannel,
  service: string,
  endpoints: readonly Endpoint[],
): Promise<ListedService> {
  const instances = endpoints.map(instanceOf);
  if (endpoints.every(({ protocol }) => protocol === "classic")) {
    const names = new Set(endpoints.flatMap(({ methods = [] }) => methods));
    return { service, instances, methods: [...names].sort().map((name) => ({ name })) };
  }
  return { service, instances, ...(await methodsOf(channel, service)) };
}

/** Endpoints of which the registry does not know what they offer: each is asked. */
async function listEach(endpoints: readonly Endpoint[], app: App): Promise<ListedService[]> {
  const listed = await Promise.all(
    endpoints.map(async (endpoint): Promise<ListedService[]> => {
      const instance = instanceOf(endpoint);
      if (endpoint.protocol === "classic")
        return [{ service: anyService, methods: [], instances: [instance] }];
      await using channel = new RpcChannel(app, {
        registry: openRegistry(
          `static://${endpoint.protocol === "grpc" ? "grpc://" : ""}${instance.address}`,
          { log: app.log },
        ),
      });
      try {
        return await listProvider(channel, instance);
      } catch (error) {
        return [{ service: anyService, methods: [], instances: [instance], error: textOf(error) }];
      }
    }),
  );
  return listed.flat();
}

/** Every endpoint of `channel` is the one provider. Rejects when it cannot be asked. */
async function listProvider(channel: RpcChannel, instance: ListedInstance): Promise<ListedService[]> {
  const services = await servicesAt(channel);
  return Promise.all(
    services.map(async (service) => ({
      ...{ service, instances: [instance] },
      ...(await methodsOf(channel, service)),
    })),
  );
}

async function methodsOf(
  channel: RpcChannel,
  service: string,
): Promise<Pick<ListedService, "methods" | "error">> {
  try {
    const methods = await channel.describe(service);
    return { methods: methods.map(({ name, kind, input, output }) => ({ name, kind, input, output })) };
  } catch (error) {
    return { methods: [], error: textOf(error) };
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof RpcError)) throw error;
  return error.message;
}

/** One entry a service, sorted by name; what was learnt at different instances is put together. */
function merge(services: readonly ListedService[]): ListedService[] {
  const merged = new Map<string, ListedService>();
  for (const one of services) {
    const before = merged.get(one.service);
    merged.set(
      one.service,
      before === undefined ? one : { ...before, instances: [...before.instances, ...one.instances] },
    );
  }
  return [...merged.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
}

function instanceOf({ host, port, protocol, weight, attributes }: Endpoint): ListedInstance {
  return { address: formatAddress({ host, port }), protocol, weight, attributes };
}

function instanceAt(address: ProviderAddress, grpc: boolean): ListedInstance {
  return { address: formatAddress(address), protocol: grpc ? "grpc" : "mprpc", weight: 1, attributes: {} };
}

function print(services: readonly ListedService[], json: boolean, io: CliIo): void {
  if (json) {
    io.out(`${JSON.stringify(services, undefined, 2)}\n`);
    return;
  }
  io.out(services.map(describe).join("\n"));
}

/** As in a .proto. */
function methodText({ name, kind, input, output }: ListedMethod): string {
  if (input === undefined) return name;
  const requests = kind === "client_streaming" || kind === "bidi_streaming" ? "stream " : "";
  const replies = kind === "server_streaming" || kind === "bidi_streaming" ? "stream " : "";
  return `${name}(${requests}${input}) returns (${replies}${output})`;
}

function describe({ service, methods, error, instances }: ListedService): string {
  const lines = methods.map((method) => printable(methodText(method)));
  if (error !== undefined) lines.push(`methods not known: ${printable(error)}`);
  for (const { address, protocol, weight, attributes } of instances) {
    const facts = [
      ...(protocol === "mprpc" ? [] : [protocol]),
      ...(weight === 1 ? [] : [`weight ${weight}`]),
      ...Object.entries(attributes).map(([key, value]) => `${key}=${value}`),
    ];
    lines.push(printable(`at ${address}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`));
  }
  const title = service === anyService ? "any service" : printable(service);
  return [title, ...lines.map((line) => `  ${line}`), ""].join("\n");
}
