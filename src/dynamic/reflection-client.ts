import type { CallOptions } from "../call/options.js";
import { OutgoingStream } from "../call/outgoing-stream.js";
import type { IncomingStream } from "../call/streams.js";
import { FileDescriptorProto } from "../descriptor/gen/google/protobuf/descriptor.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, toStatusCode } from "../error/status.js";
import { decodeMessage, type MethodDefinition } from "../protobuf/types.js";
import { ServerReflection, ServerReflectionAlpha } from "../services/builtin.js";
import type {
  ServerReflectionRequestInput,
  ServerReflectionResponse,
} from "../services/gen/grpc/reflection/v1/reflection.js";

/** Calls a method whose replies stream. */
export type OpenStream = (
  method: MethodDefinition,
  requests: unknown,
  options: CallOptions,
) => IncomingStream<unknown>;

type Question = NonNullable<ServerReflectionRequestInput["messageRequest"]>;
type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;

/** Asks a server by gRPC's own reflection: v1, and v1alpha where that is not served. Rejects with `RpcError`. */
async function askReflection<T>(
  open: OpenStream,
  options: CallOptions,
  use: (ask: (question: Question) => Promise<Answer>) => Promise<T>,
): Promise<T> {
  const methods = [ServerReflection.methods, ServerReflectionAlpha.methods];
  for (const { serverReflectionInfo } of methods) {
    const requests = new OutgoingStream<ServerReflectionRequestInput>();
    const replies = open(serverReflectionInfo, requests, options)[Symbol.asyncIterator]();
    const ask = async (question: Question): Promise<Answer> => {
      requests.write({ messageRequest: question }).catch(() => {});
      const { done, value } = await replies.next();
      const response = done ? undefined : (value as ServerReflectionResponse).messageResponse;
      if (response === undefined) throw new RpcError(Status.INTERNAL, messages.reflectionSilent);
      if (response.case !== "errorResponse") return response;
      const { errorCode, errorMessage } = response.value;
      const code = toStatusCode(errorCode);
      throw new RpcError(code === Status.OK ? Status.UNKNOWN : code, errorMessage);
    };
    try {
      return await use(ask);
    } catch (error) {
      const last = serverReflectionInfo === methods.at(-1)?.serverReflectionInfo;
      if (last || !(error instanceof RpcError) || error.code !== Status.UNIMPLEMENTED) throw error;
    } finally {
      // The end of the server's stream is not waited for: servers are known that never send it.
      requests.end();
      await replies.return?.();
    }
  }
  throw new RpcError(Status.INTERNAL, messages.reflectionSilent);
}

/** Full names of the services of a gRPC server. */
export function listByReflection(open: OpenStream, options: CallOptions): Promise<string[]> {
  return askReflection(open, options, async (ask) => {
    const answer = await ask({ case: "listServices", value: "*" });
    return answer.case === "listServicesResponse" ? answer.value.service.map(({ name }) => name).sort() : [];
  });
}

/** The .proto files behind a service of a gRPC server, its own first. */
export function describeByReflection(
  open: OpenStream,
  service: string,
  options: CallOptions,
): Promise<Uint8Array[]> {
  return askReflection(open, options, async (ask) => {
    const files = new Map<string, Uint8Array>();
    const missing = new Set<string>();
    const take = (answer: Answer): void => {
      if (answer.case !== "fileDescriptorResponse") return;
      for (const bytes of answer.value.fileDescriptorProto) {
        const { name = "", dependency } = decodeMessage(FileDescriptorProto, bytes);
        files.set(name, bytes);
        for (const one of dependency) missing.add(one);
      }
    };
    take(await ask({ case: "fileContainingSymbol", value: service }));
    for (const name of missing)
      if (!files.has(name)) take(await ask({ case: "fileByFilename", value: name }));
    return [...files.values()];
  });
}
