import { type Address, parseAddress } from "../base/address.js";

/** Where a command is to ask, as it was typed: `HOST:PORT`, or `grpc://HOST:PORT` for a gRPC server. */
export interface ProviderAddress extends Address {
  readonly protocol?: "grpc";
}

const grpcPrefix = "grpc://";

/** Undefined for what is neither. */
export function parseProviderAddress(text: string): ProviderAddress | undefined {
  const grpc = text.startsWith(grpcPrefix);
  const address = parseAddress(grpc ? text.slice(grpcPrefix.length) : text);
  if (address === undefined || !grpc) return address;
  return { ...address, protocol: "grpc" };
}
