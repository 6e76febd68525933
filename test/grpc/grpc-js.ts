import grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import {
  decodeMessage,
  encodeMessage,
  type MethodDefinition,
  type ServiceDefinition,
} from "../../src/protobuf/types.js";

/** A method of ours as @grpc/grpc-js wants it. Only the messages are encoded by us; the rest is theirs. */
export function definitionOf(method: MethodDefinition): grpc.MethodDefinition<unknown, unknown> {
  const { kind, input, output } = method;
  return {
    path: `/${method.service}/${method.name}`,
    requestStream: kind === "client_streaming" || kind === "bidi_streaming",
    responseStream: kind === "server_streaming" || kind === "bidi_streaming",
    requestSerialize: (message) => encodeMessage(input, message),
    requestDeserialize: (bytes) => decodeMessage(input, bytes),
    responseSerialize: (message) => encodeMessage(output, message),
    responseDeserialize: (bytes) => decodeMessage(output, bytes),
  };
}

export function serviceOf(service: ServiceDefinition): grpc.ServiceDefinition {
  return Object.fromEntries(
    Object.values(service.methods).map((method) => [method.localName, definitionOf(method)]),
  );
}

/** What a call of @grpc/grpc-js came to. */
export interface Outcome {
  replies: unknown[];
  code: number;
  text: string;
  initial: grpc.Metadata;
  trailing: grpc.Metadata;
}

/** Calls of one @grpc/grpc-js client. */
export class GrpcJsCaller {
  readonly client: grpc.Client;

  constructor(
    target: string,
    options: grpc.ClientOptions = {},
    credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
  ) {
    this.client = new grpc.Client(target, credentials, options);
    onTestFinished(() => this.client.close());
  }

  unary(
    method: MethodDefinition,
    request: unknown,
    metadata = new grpc.Metadata(),
    options: grpc.CallOptions = {},
  ): Promise<Outcome> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    return new Promise((resolve) => {
      const outcome = empty();
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, reply) => {
          if (error === null) outcome.replies.push(reply);
          // The status comes behind it.
          setImmediate(() => resolve(outcome));
        },
      );
      watch(call, outcome);
    });
  }

  clientStream(method: MethodDefinition): {
    call: grpc.ClientWritableStream<unknown>;
    outcome: Promise<Outcome>;
  } {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    const outcome = empty();
    let done!: (outcome: Outcome) => void;
    const whole = new Promise<Outcome>((resolve) => {
      done = resolve;
    });
    const call = this.client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      new grpc.Metadata(),
      {},
      (error, reply) => {
        if (error === null) outcome.replies.push(reply);
        setImmediate(() => done(outcome));
      },
    );
    watch(call, outcome);
    return { call, outcome: whole };
  }

  serverStream(
    method: MethodDefinition,
    request: unknown,
    options: grpc.CallOptions = {},
  ): { call: grpc.ClientReadableStream<unknown>; outcome: Promise<Outcome> } {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    const call = this.client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      options,
    );
    return { call, outcome: gather(call) };
  }

  bidi(
    method: MethodDefinition,
    metadata = new grpc.Metadata(),
    options: grpc.CallOptions = {},
  ): { call: grpc.ClientDuplexStream<unknown, unknown>; outcome: Promise<Outcome> } {
    const { path, requestSerialize, responseDeserialize } = definitionOf(method);
    const call = this.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      options,
    );
    return { call, outcome: gather(call) };
  }
}

function empty(): Outcome {
  return {
    replies: [],
    code: -1,
    text: "",
    initial: new grpc.Metadata(),
    trailing: new grpc.Metadata(),
  };
}

interface Watched {
  on(event: "metadata", listener: (metadata: grpc.Metadata) => void): unknown;
  on(event: "status", listener: (status: grpc.StatusObject) => void): unknown;
}

function watch(call: Watched, outcome: Outcome): void {
  call.on("metadata", (metadata) => {
    outcome.initial = metadata;
  });
  call.on("status", ({ code, details, metadata }) => {
    outcome.code = code;
    outcome.text = details;
    outcome.trailing = metadata;
  });
}

async function gather(call: grpc.ClientReadableStream<unknown>): Promise<Outcome> {
  const outcome = empty();
  watch(call, outcome);
  call.on("data", (message) => outcome.replies.push(message));
  // Its status says it as well.
  call.on("error", () => {});
  await new Promise((resolve) => call.on("status", resolve));
  return outcome;
}

/** A server of @grpc/grpc-js on a free port, for as long as the test runs. Returns its port. */
export async function grpcJsServer(
  service: ServiceDefinition,
  handlers: grpc.UntypedServiceImplementation,
  options: grpc.ServerOptions = {},
  credentials: grpc.ServerCredentials = grpc.ServerCredentials.createInsecure(),
): Promise<{ port: number; server: grpc.Server }> {
  const server = new grpc.Server(options);
  server.addService(serviceOf(service), handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return { port, server };
}
