import { type Address, formatAddress } from "../base/address.js";
import { Metadata, type MetadataValue } from "../base/metadata.js";
import { printable } from "../base/printable.js";
import type { RpcChannel } from "../client/channel.js";
import { duration } from "../config/kinds.js";
import { JsonMappingError } from "../descriptor/json-error.js";
import { type ExactJson, writeExactJson } from "../descriptor/json-text.js";
import type { JsonCallOptions } from "../dynamic/json-calls.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import type { MethodKind } from "../protobuf/types.js";
import { type ClassicDialect, classicDialects } from "../protocol/classic/classic-wire.js";
import type { Registry } from "../registry/registry.js";
import { callerUsage, checkCount, type ParsedArguments, readArguments } from "./arguments.js";
import { withClient } from "./client.js";
import { type CliIo, type Command, exitCodes, UsageError } from "./command.js";
import { parseRequest, RequestLines } from "./requests.js";
import { fullServiceName, listedIn, servicesAt, servicesIn } from "./service-names.js";
import { untilStopped } from "./stop.js";
import { readTarget, type Target } from "./target.js";

const usage = `Usage: mprpc call SERVICE METHOD [JSON] [options]
       mprpc call HOST:PORT SERVICE METHOD [JSON] [options]
       mprpc call grpc://HOST:PORT SERVICE METHOD [JSON] [options]

Calls a method and prints its reply as JSON. SERVICE is a service of the registry, or of the provider at HOST:PORT, in full
or by its short name; a gRPC server is asked by its reflection, and is known as one also without grpc://. METHOD is spelt as in the .proto or as in stubs. Both may be one word, SERVICE.METHOD or
SERVICE/METHOD. JSON is the request, {} when left out, and - reads it from stdin; its numbers arrive exactly.

Of a stream of replies each is printed as it comes, on one line. A stream of requests is read from stdin, one JSON a line, when JSON
is - or left out; a JSON that is given is the only request. Ctrl-C cancels the call.

  mprpc call UserServiceRpc Login '{"name": "zhang san", "pwd": "123456"}' --text
  mprpc call 127.0.0.1:8000 fixbug.UserServiceRpc/Login - < request.json
  mprpc call FriendServiceRpc WatchFriends '{"userid": 1}' --text

  --text                  bytes fields are text, not base64, in the request and in the reply
  --timeout 5s            the deadline, with its unit; none for no deadline (default: calltimeout of the configuration;
                          none for a stream of replies)
  --metadata KEY=VALUE    sent with the request; may be repeated
  -v, --verbose           print the metadata of the reply, and the trailers of a stream, on stderr
  --proto FILE            take the messages from this .proto, for providers that cannot be asked; may be repeated
  -I, --import-path DIR   where imports of --proto are looked for; may be repeated
  --classic[=DIALECT]     HOST:PORT is a provider of the classic C++ framework, or of a fork of it: le32 (the original),
                          be32, varint or framed; without DIALECT le32, or, for a method that may run twice, any of them
${callerUsage}  -i FILE, --key=value    the configuration, as \`mprpc config\` shows it
  -h, --help              this text

Exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C.
`;

const options = {
  text: { kind: "flag" },
  timeout: { kind: "value" },
  metadata: { kind: "many" },
  verbose: { kind: "flag", short: "v" },
  proto: { kind: "many" },
  "import-path": { kind: "many", short: "I" },
  classic: { kind: "optional" },
} as const;

const askClassic =
  "If it is a provider of the classic C++ framework, add --classic (or --classic=DIALECT) and --proto FILE";

const timeoutKind = duration({ minMs: 1, none: true });

export const callCommand: Command = {
  usage,
  async run(args, io) {
    const parsed = readArguments(args, options, { takesConfig: true });
    const { target, rest } = readTarget(parsed.positionals);
    checkCount(rest, "at most one JSON", 0, 1);
    const [json] = rest;
    const { address } = target;
    const classic = readDialect(parsed);
    if (classic !== undefined && address === undefined) {
      throw new UsageError(
        "--classic goes with HOST:PORT; in a registry classic providers are known as such",
      );
    }
    const callOptions = readCallOptions(parsed);
    if (parsed.has("verbose")) callOptions.onMetadata = (metadata) => io.err(metadataLines(metadata));
    const given = json === undefined || json === "-" ? undefined : parseRequest(json, "the request");
    const { config } = parsed;
    const protos = parsed.values("proto");
    const descriptors = protos.length === 0 ? [] : await describe(protos, parsed.values("import-path"));
    return withClient({ config, address, classic, descriptors }, io, async (channel, app, { silence }) => {
      const known = servicesIn(descriptors);
      const { registry } = app;
      let lines: RequestLines | undefined;
      try {
        if (silence !== undefined) {
          io.err(`mprpc: ${silence}. ${askClassic}\n`);
          return exitCodes.failed;
        }
        const service =
          address === undefined
            ? await inRegistry(target, known, registry)
            : await atProvider(target, known, channel, { address, classic });
        const { method } = target;
        const kind = await kindOf(channel, service, method, callOptions);
        if (given === undefined && takesMany(kind)) lines = new RequestLines(io.stdinLines());
        const request = lines ?? (await oneRequest(given, json, kind, io));
        return await untilStopped(io, (signal) =>
          send({ channel, service, method, kind, request, options: { ...callOptions, signal } }, io),
        );
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        if (error.cause instanceof UsageError) throw error.cause;
        if (
          classic === undefined &&
          (error.code === Status.UNIMPLEMENTED || error.code === Status.UNAVAILABLE)
        ) {
          // What is all a service's name was taken for a service and its method.
          const ask = () => (address === undefined ? listedIn(registry) : servicesAt(channel));
          await refuseService(target.word, known.length > 0 ? known : await ask().catch(() => []), channel);
        }
        io.err(describeFailure(error, lines));
        return exitCodes.failed;
      }
    });
  },
};

/** One call, as it will be made. */
interface Sending {
  readonly channel: RpcChannel;
  readonly service: string;
  readonly method: string;
  readonly kind: MethodKind;
  readonly request: ExactJson | AsyncIterable<ExactJson>;
  readonly options: JsonCallOptions;
}

/** Prints what comes. Resolves with the exit code; rejects with `RpcError`. */
async function send(
  { channel, service, method, kind, request, options }: Sending,
  io: CliIo,
): Promise<number> {
  if (kind === "unary" || kind === "client_streaming") {
    const reply = await channel.callJson(service, method, request, options);
    io.out(`${writeExactJson(reply, 2)}\n`);
  } else {
    const replies = channel.streamJson(service, method, request, options);
    for await (const reply of replies) io.out(`${writeExactJson(reply)}\n`);
    // Where the metadata are wanted.
    options.onMetadata?.(await replies.trailers);
  }
  return exitCodes.done;
}

const takesMany = (kind: MethodKind): boolean => kind === "client_streaming" || kind === "bidi_streaming";

/** The kind of a method. One that is not there counts as unary: the call says what there is. */
async function kindOf(
  channel: RpcChannel,
  service: string,
  method: string,
  { timeoutMs }: JsonCallOptions,
): Promise<MethodKind> {
  try {
    const methods = await channel.describe(service, timeoutMs === undefined ? {} : { timeoutMs });
    const found =
      methods.find(({ name }) => name === method) ?? methods.find(({ localName }) => localName === method);
    return found?.kind ?? "unary";
  } catch (error) {
    throw RpcError.from(error).with({ method: `${service}.${method}` });
  }
}

/** The one request there is: of a stream, too, when it was given as an argument. */
async function oneRequest(
  given: ExactJson | undefined,
  json: string | undefined,
  kind: MethodKind,
  io: CliIo,
): Promise<ExactJson> {
  let request = given;
  if (request === undefined) request = json === "-" ? parseRequest(await io.readStdin(), "the request") : {};
  return takesMany(kind) ? [request] : request;
}

/** The compiler of .proto files is loaded by those who give one. */
async function describe(protos: readonly string[], importPaths: readonly string[]): Promise<Uint8Array[]> {
  const { describeProtos } = await import("../codegen/index.js");
  return describeProtos(protos, importPaths);
}

/** "": classic, and the dialect is not known. */
function readDialect(parsed: ParsedArguments): ClassicDialect | "" | undefined {
  const text = parsed.value("classic");
  if (text === undefined || text === "") return text;
  const dialect = classicDialects.find((one) => one === text);
  if (dialect !== undefined) return dialect;
  throw new UsageError(
    `--classic: expected one of ${classicDialects.join(", ")}, got ${JSON.stringify(text)}`,
  );
}

function readCallOptions(parsed: ParsedArguments): JsonCallOptions {
  const result: JsonCallOptions = { bytes: parsed.has("text") ? "text" : "base64" };
  const timeout = parsed.value("timeout");
  if (timeout !== undefined) {
    result.timeoutMs = readTimeout(timeout);
  }
  const metadata = new Metadata();
  for (const text of parsed.values("metadata")) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--metadata: expected KEY=VALUE, got ${JSON.stringify(text)}`);
    }
    append(metadata, key, value);
  }
  if (metadata.size > 0) result.metadata = metadata;
  return result;
}

/** As in the configuration, but with a unit: whoever types 5 means seconds, and would get 5 ms. */
function readTimeout(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) {
    throw new UsageError(`--timeout: ${text} has no unit, write ${text}s or ${text}ms`);
  }
  const timeoutMs = timeoutKind.parse(text)?.value;
  if (timeoutMs !== undefined) return timeoutMs;
  const expected = timeoutKind.expected.replace("5000, ", "");
  throw new UsageError(`--timeout: expected ${expected}, got ${JSON.stringify(text)}`);
}

function append(metadata: Metadata, key: string, value: MetadataValue): void {
  try {
    metadata.append(key, value);
  } catch (error) {
    throw new UsageError(`--metadata: ${(error as Error).message}`);
  }
}

/** A full name is looked up by the call itself, so that it works also while a registry can only be remembered. */
async function inRegistry(target: Target, known: readonly string[], registry: Registry): Promise<string> {
  const { service: wanted } = target;
  if (wanted.includes(".")) return wanted;
  const listed = await listedIn(registry);
  if (listed.includes("*") && known.length === 0) return wanted;
  if (target.word !== undefined && [...listed, ...known].includes(target.word)) return wanted;
  return fullServiceName(wanted, [...listed, ...known], `registry ${registry.name}`);
}

/** Throws `UsageError` when `text`, which should be SERVICE.METHOD, is one of `services` and has no METHOD. */
async function refuseService(
  text: string | undefined,
  services: readonly string[],
  channel: RpcChannel,
): Promise<void> {
  if (text === undefined || !services.includes(text)) return;
  const methods = (await channel.describe(text)).map(({ name }) => name);
  throw new UsageError(
    `METHOD is missing: write ${text}/METHOD; the methods of ${text} are ${methods.join(", ")}`,
  );
}

async function atProvider(
  { service: wanted, word }: Target,
  known: readonly string[],
  channel: RpcChannel,
  { address, classic }: { address: Address; classic: ClassicDialect | "" | undefined },
): Promise<string> {
  if (wanted.includes(".")) return wanted;
  await refuseService(word, known, channel);
  if (known.length > 0) return fullServiceName(wanted, known, "the .proto files");
  if (classic !== undefined) return wanted;
  const services = await servicesAt(channel);
  await refuseService(word, services, channel);
  return fullServiceName(wanted, services, `the provider at ${formatAddress(address)}`);
}

/** `lines`: where the requests came from, when they were a stream. */
function describeFailure(error: RpcError, lines: RequestLines | undefined): string {
  const details = error.details.map(
    ({ type, value }) => `  detail ${printable(type)}: ${Buffer.from(value).toString("base64")}\n`,
  );
  const told = [error.metadata, error.trailers].map((one) => (one === undefined ? "" : metadataLines(one)));
  // A request is looked at when it is taken.
  const place =
    lines !== undefined && error.cause instanceof JsonMappingError ? `  request: ${lines.place}\n` : "";
  // The library names the option of a call made by a program.
  const message = error.message.replace("(timeoutMs, calltimeout)", "(--timeout, calltimeout)");
  return `${message}\n  executed: ${error.executed}\n${place}${details.join("")}${told.join("")}`;
}

function metadataLines(metadata: Metadata): string {
  return [...metadata]
    .map(
      ([key, value]) =>
        `  ${key}: ${typeof value === "string" ? printable(value) : `base64 ${value.toString("base64")}`}\n`,
    )
    .join("");
}
