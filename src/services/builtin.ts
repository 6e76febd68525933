import { defineService, type MessageType } from "../protobuf/types.js";

/**
 * The services every provider has besides its own, so that tools need no generated code: health in the shape of
 * grpc.health.v1, and the descriptors that calls in JSON are made from. proto/health.proto and proto/reflection.proto
 * are their texts; they are few enough fields to be written here by hand.
 */

/** `HealthCheckResponse.ServingStatus`. */
export const ServingStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
export type ServingStatus = (typeof ServingStatus)[keyof typeof ServingStatus];

/** A message with one field 1 that holds a string, a list of strings or an enum. */
function oneField<T extends object>(
  typeName: string,
  name: keyof T & string,
  kind: "string" | "list" | "enum",
): MessageType<T, Partial<T>> {
  const empty = (): T => ({ [name]: kind === "string" ? "" : kind === "list" ? [] : 0 }) as T;
  return {
    typeName,
    create: (input) => ({ ...empty(), ...input }),
    encode(message, writer) {
      const value: unknown = message[name] ?? empty()[name];
      if (kind === "enum") {
        if (value !== 0) writer.uint32(0x08).int32(value as number);
      } else if (kind === "list") {
        for (const one of value as string[]) writer.uint32(0x0a).string(one);
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

const noSideEffects = { idempotency_level: "NO_SIDE_EFFECTS" };

/** The protobufjs JSON descriptor of a .proto file whose package is `names`. */
function descriptorOf(names: readonly string[], contents: Readonly<Record<string, object>>): string {
  const nested = names.reduceRight<object>((inner, name) => ({ [name]: { nested: inner } }), contents);
  return JSON.stringify({ nested });
}

/** A message with one field 1. */
const fieldOf = (name: string, type: string, repeated = false) => ({
  edition: "proto3",
  fields: { [name]: { ...(repeated ? { rule: "repeated" } : {}), type, id: 1 } },
});

const healthDescriptor = descriptorOf(["grpc", "health", "v1"], {
  HealthCheckRequest: fieldOf("service", "string"),
  HealthCheckResponse: {
    ...fieldOf("status", ".grpc.health.v1.HealthCheckResponse.ServingStatus"),
    nested: { ServingStatus: { values: ServingStatus } },
  },
  Health: {
    edition: "proto3",
    methods: {
      Check: {
        requestType: ".grpc.health.v1.HealthCheckRequest",
        responseType: ".grpc.health.v1.HealthCheckResponse",
        options: noSideEffects,
      },
    },
  },
});

const reflectionMethod = (name: string) => ({
  requestType: `.mprpc.reflection.v1.${name}Request`,
  responseType: `.mprpc.reflection.v1.${name}Response`,
  options: noSideEffects,
});

const reflectionDescriptor = descriptorOf(["mprpc", "reflection", "v1"], {
  ListServicesRequest: fieldOf("filter", "string"),
  ListServicesResponse: fieldOf("services", "string", true),
  DescribeRequest: fieldOf("service", "string"),
  DescribeResponse: fieldOf("descriptors", "string", true),
  Reflection: {
    edition: "proto3",
    methods: { ListServices: reflectionMethod("ListServices"), Describe: reflectionMethod("Describe") },
  },
});

/** `grpc.health.v1.Health`. `Watch` is a stream and comes with streams. */
export const Health = defineService({
  typeName: "grpc.health.v1.Health",
  methods: {
    check: {
      name: "Check",
      input: oneField<HealthCheckRequest>("grpc.health.v1.HealthCheckRequest", "service", "string"),
      output: oneField<HealthCheckResponse>("grpc.health.v1.HealthCheckResponse", "status", "enum"),
      idempotency: "no_side_effects",
    },
  },
  descriptors: [healthDescriptor],
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
      output: oneField<{ descriptors: string[] }>(
        "mprpc.reflection.v1.DescribeResponse",
        "descriptors",
        "list",
      ),
      idempotency: "no_side_effects",
    },
  },
  descriptors: [reflectionDescriptor],
});

/** Descriptors of the built-in services by their full names: nobody has to be asked for them. */
export const builtinDescriptors: ReadonlyMap<string, readonly string[]> = new Map(
  [Health, Reflection].map(({ typeName, descriptors }) => [typeName, descriptors]),
);

/** Full names of the built-in services; they stand in no registry. */
export const builtinServices: readonly string[] = [Health.typeName, Reflection.typeName];
