import { nearestName } from "../base/nearest.js";
import type { IncomingStream } from "../call/streams.js";
import type { RpcChannel } from "../client/channel.js";
import { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";
import { listByReflection, type OpenStream } from "../dynamic/reflection-client.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { decodeMessage, shortName } from "../protobuf/types.js";
import type { Registry } from "../registry/registry.js";
import { builtinServices, Reflection } from "../services/builtin.js";
import { CliError } from "./command.js";

/** Names of the services in a registry. */
export async function listedIn(registry: Registry): Promise<string[]> {
  return (await registry.list()).map(({ service }) => service);
}

/** Full names of the services of the one provider that `channel` has. */
export async function servicesAt(channel: RpcChannel): Promise<readonly string[]> {
  try {
    return (await channel.call(Reflection.methods.listServices, {})).services;
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Status.UNIMPLEMENTED) throw error;
    // A gRPC server: those that are there for tools are not listed of ours either.
    const open: OpenStream = (method, requests, options) =>
      channel.bidiStream(method as never, requests as never, options) as IncomingStream<unknown>;
    const names = await listByReflection(open, {});
    return names.filter((name) => !builtinServices.includes(name));
  }
}

/** The full names of the services that FileDescriptorProtos declare. */
export function servicesIn(descriptors: readonly Uint8Array[]): string[] {
  return descriptors.flatMap((bytes) => {
    const file = decodeMessage(FileDescriptorProto, bytes);
    const scope = file.package ? `${file.package}.` : "";
    return file.service.map(({ name }) => scope + name);
  });
}

/**
 * The full name `wanted` stands for: itself, or the only service of that short name among `known`. Throws `CliError`
 * for a short name of several services, and for one of none.
 */
export function fullServiceName(wanted: string, known: Iterable<string>, where: string): string {
  const names = [...new Set(known)];
  if (names.includes(wanted) && wanted.includes(".")) return wanted;
  const found = names.filter((name) => shortName(name) === wanted);
  // A classic registry knows short names only; the full one, where there is one, says more.
  const full = found.filter((name) => name.includes("."));
  const [first, second] = full.length > 0 ? full : found;
  if (first !== undefined && second === undefined) return first;
  if (first !== undefined) {
    throw new CliError(
      `${JSON.stringify(wanted)} is short for ${found.join(" and ")} in ${where}: name one in full`,
    );
  }
  const short = nearestName(wanted, names.map(shortName));
  const nearest = nearestName(wanted, names) ?? names.find((name) => shortName(name) === short);
  const hint =
    nearest !== undefined
      ? `; did you mean ${JSON.stringify(nearest)}?`
      : names.length === 0
        ? "; there are none"
        : `; there are ${names.slice(0, 8).join(", ")}${names.length > 8 ? " and more" : ""}`;
  throw new CliError(`no service ${JSON.stringify(wanted)} in ${where}${hint}`);
}
