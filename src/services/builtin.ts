import { defineFile } from "../protobuf/file.js";
import type { Reader } from "../protobuf/reader.js";
import { defineService, type MessageType } from "../protobuf/types.js";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection.js";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection.js";

/**
 * The services every provider has besides its own, so that tools need no generated code: health in the shape of
 * grpc.health.v1, and the descriptors that calls in JSON are made from. proto/health.proto and proto/reflection.proto
 * are their texts; they are few enough fields to be written here by hand.
 */

/** `HealthCheckResponse.ServingStatus`. */
export const ServingStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
export type ServingStatus = (typeof ServingStatus)[keyof typeof ServingStatus];

/** A message with one field 1 that holds a string, a list of strings or of bytes, or an enum. */
function oneField<T extends object>(
  typeName: string,
  name: keyof T & string,
  kind: "string" | "list" | "bytes" | "enum",
): MessageType<T, Partial<T>> {
  const empty = (): T => ({ [name]: kind === "string" ? "" : kind === "enum" ? 0 : [] }) as T;
  return {
    typeName,
    create: (input) => ({ ...empty(), ...input }),
    encode(message, writer) {
      const value: unknown = message[name] ?? empty()[name];
      if (kind === "enum") {
        if (value !== 0) writer.uint32(0x08).int32(value as number);
      } else if (kind === "list") {
        for (const one of value as string[]) writer.uint32(0x0a).string(one);
      } else if (kind === "bytes") {
        for (const one of value as Uint8Array[]) writer.uint32(0x0a).bytes(one);
      } else if (value !== "") {
        writer.uint32(0x0a).string(value as string);
      }
    },
    decode(reader, end) {
      const message = empty() as Record<string, unknown>;
      while (reader.pos < end) {
        const tag = reader.uint32();
        if (kind === "enum" && tag === 0x08) message[name] = reader.int32();
        else if (kind === "list" && tag === 0x0a) (message[name] as string[]).push(reader.string());
        else if (kind === "bytes" && tag === 0x0a) (message[name] as Uint8Array[]).push(reader.bytes());
        else if (kind === "string" && tag === 0x0a) message[name] = reader.string();
        else reader.skipType(tag & 7);
      }
      return message as T;
    },
  };
}

export interface HealthCheckRequest {
  /** Full name; empty asks for the provider as a whole. */
  service: string;
}

export interface HealthCheckResponse {
  status: ServingStatus;
}

// What `mprpc generate` makes of the two files; a test compares them.
const healthProto = defineFile(
  "health.proto",
  "CgxoZWFsdGgucHJvdG8SDmdycGMuaGVhbHRoLnYxIhMKEUhlYWx0aExpc3RSZXF1ZXN0IsQBChJIZWFsdGhMaXN0UmVzcG9uc2USTA" +
    "oIc3RhdHVzZXMYASADKAsyMC5ncnBjLmhlYWx0aC52MS5IZWFsdGhMaXN0UmVzcG9uc2UuU3RhdHVzZXNFbnRyeVIIc3RhdHVzZXMa" +
    "YAoNU3RhdHVzZXNFbnRyeRIQCgNrZXkYASABKAlSA2tleRI5CgV2YWx1ZRgCIAEoCzIjLmdycGMuaGVhbHRoLnYxLkhlYWx0aENoZW" +
    "NrUmVzcG9uc2VSBXZhbHVlOgI4ASIuChJIZWFsdGhDaGVja1JlcXVlc3QSGAoHc2VydmljZRgBIAEoCVIHc2VydmljZSKxAQoTSGVh" +
    "bHRoQ2hlY2tSZXNwb25zZRJJCgZzdGF0dXMYASABKA4yMS5ncnBjLmhlYWx0aC52MS5IZWFsdGhDaGVja1Jlc3BvbnNlLlNlcnZpbm" +
    "dTdGF0dXNSBnN0YXR1cyJPCg1TZXJ2aW5nU3RhdHVzEgsKB1VOS05PV04QABILCgdTRVJWSU5HEAESDwoLTk9UX1NFUlZJTkcQAhIT" +
    "Cg9TRVJWSUNFX1VOS05PV04QAzKMAgoGSGVhbHRoElUKBUNoZWNrEiIuZ3JwYy5oZWFsdGgudjEuSGVhbHRoQ2hlY2tSZXF1ZXN0Gi" +
    "MuZ3JwYy5oZWFsdGgudjEuSGVhbHRoQ2hlY2tSZXNwb25zZSIDkAIBElcKBVdhdGNoEiIuZ3JwYy5oZWFsdGgudjEuSGVhbHRoQ2hl" +
    "Y2tSZXF1ZXN0GiMuZ3JwYy5oZWFsdGgudjEuSGVhbHRoQ2hlY2tSZXNwb25zZSIDkAIBMAESUgoETGlzdBIhLmdycGMuaGVhbHRoLn" +
    "YxLkhlYWx0aExpc3RSZXF1ZXN0GiIuZ3JwYy5oZWFsdGgudjEuSGVhbHRoTGlzdFJlc3BvbnNlIgOQAgFiBnByb3RvMw==",
);

const reflectionProto = defineFile(
  "reflection.proto",
  "ChByZWZsZWN0aW9uLnByb3RvEhNtcHJwYy5yZWZsZWN0aW9uLnYxIi0KE0xpc3RTZXJ2aWNlc1JlcXVlc3QSFgoGZmlsdGVyGAEg" +
    "ASgJUgZmaWx0ZXIiMgoUTGlzdFNlcnZpY2VzUmVzcG9uc2USGgoIc2VydmljZXMYASADKAlSCHNlcnZpY2VzIisKD0Rlc2NyaWJl" +
    "UmVxdWVzdBIYCgdzZXJ2aWNlGAEgASgJUgdzZXJ2aWNlIjQKEERlc2NyaWJlUmVzcG9uc2USIAoLZGVzY3JpcHRvcnMYASADKAxS" +
    "C2Rlc2NyaXB0b3JzMtQBCgpSZWZsZWN0aW9uEmgKDExpc3RTZXJ2aWNlcxIoLm1wcnBjLnJlZmxlY3Rpb24udjEuTGlzdFNlcnZp" +
    "Y2VzUmVxdWVzdBopLm1wcnBjLnJlZmxlY3Rpb24udjEuTGlzdFNlcnZpY2VzUmVzcG9uc2UiA5ACARJcCghEZXNjcmliZRIkLm1w" +
    "cnBjLnJlZmxlY3Rpb24udjEuRGVzY3JpYmVSZXF1ZXN0GiUubXBycGMucmVmbGVjdGlvbi52MS5EZXNjcmliZVJlc3BvbnNlIgOQ" +
    "AgFiBnByb3RvMw==",
);

const healthCheckRequest = oneField<HealthCheckRequest>(
  "grpc.health.v1.HealthCheckRequest",
  "service",
  "string",
);
const healthCheckResponse = oneField<HealthCheckResponse>(
  "grpc.health.v1.HealthCheckResponse",
  "status",
  "enum",
);

export interface HealthListResponse {
  /** By full name; the provider as a whole by "". */
  statuses: Map<string, HealthCheckResponse>;
}

const healthListRequest: MessageType<object, object> = {
  typeName: "grpc.health.v1.HealthListRequest",
  create: () => ({}),
  encode() {},
  decode(reader, end) {
    while (reader.pos < end) reader.skipType(reader.uint32() & 7);
    return {};
  },
};

const healthListResponse: MessageType<HealthListResponse, Partial<HealthListResponse>> = {
  typeName: "grpc.health.v1.HealthListResponse",
  create: (input) => ({ statuses: new Map(), ...input }),
  encode({ statuses = new Map() }, writer) {
    for (const [service, response] of statuses) {
      writer.uint32(0x0a);
      const entry = writer.begin();
      writer.uint32(0x0a).string(service).uint32(0x12);
      const value = writer.begin();
      healthCheckResponse.encode(response, writer);
      writer.end(value).end(entry);
    }
  },
  decode(reader, end) {
    const statuses = new Map<string, HealthCheckResponse>();
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === 0x0a) readStatus(reader, statuses);
      else reader.skipType(tag & 7);
    }
    return { statuses };
  },
};

function readStatus(reader: Reader, statuses: Map<string, HealthCheckResponse>): void {
  let service = "";
  let response: HealthCheckResponse = { status: ServingStatus.UNKNOWN };
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("an entry is longer than its message");
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 0x0a) service = reader.string();
    else if (tag === 0x12) {
      const bytes = reader.uint32();
      response = healthCheckResponse.decode(reader, reader.pos + bytes);
    } else reader.skipType(tag & 7);
  }
  statuses.set(service, response);
}

/** `grpc.health.v1.Health`. */
export const Health = defineService({
  typeName: "grpc.health.v1.Health",
  methods: {
    check: {
      name: "Check",
      input: healthCheckRequest,
      output: healthCheckResponse,
      idempotency: "no_side_effects",
    },
    watch: {
      name: "Watch",
      kind: "server_streaming",
      input: healthCheckRequest,
      output: healthCheckResponse,
      idempotency: "no_side_effects",
    },
    list: {
      name: "List",
      input: healthListRequest,
      output: healthListResponse,
      idempotency: "no_side_effects",
    },
  },
  file: healthProto,
});

/** `mprpc.reflection.v1.Reflection`. */
export const Reflection = defineService({
  typeName: "mprpc.reflection.v1.Reflection",
  methods: {
    listServices: {
      name: "ListServices",
      input: oneField<{ filter: string }>("mprpc.reflection.v1.ListServicesRequest", "filter", "string"),
      output: oneField<{ services: string[] }>(
        "mprpc.reflection.v1.ListServicesResponse",
        "services",
        "list",
      ),
      idempotency: "no_side_effects",
    },
    describe: {
      name: "Describe",
      input: oneField<{ service: string }>("mprpc.reflection.v1.DescribeRequest", "service", "string"),
      output: oneField<{ descriptors: Uint8Array[] }>(
        "mprpc.reflection.v1.DescribeResponse",
        "descriptors",
        "bytes",
      ),
      idempotency: "no_side_effects",
    },
  },
  file: reflectionProto,
});

export { ServerReflection, ServerReflectionAlpha };

/** Every provider has them. */
const builtins = [Health, Reflection, ServerReflection, ServerReflectionAlpha];

/** Descriptors of the built-in services by their full names: nobody has to be asked for them. */
export const builtinDescriptors: ReadonlyMap<string, readonly Uint8Array[]> = new Map(
  builtins.map(({ typeName, descriptors }) => [typeName, descriptors]),
);

/** Full names of the built-in services; they stand in no registry. */
export const builtinServices: readonly string[] = builtins.map(({ typeName }) => typeName);
