import { messages } from "../error/messages.js";
import { Status } from "../error/status.js";
import type { ServiceDefinition } from "../protobuf/types.js";
import type { FileIndex } from "./file-index.js";
import type {
  ServerReflectionRequest,
  ServerReflectionResponseInput,
} from "./gen/grpc/reflection/v1/reflection.js";

type Answer = NonNullable<ServerReflectionResponseInput["messageResponse"]>;

/** The handlers of gRPC's reflection, v1 and v1alpha alike. */
export class ReflectionHandlers {
  readonly #definitions: () => readonly ServiceDefinition[];
  #index: FileIndex | undefined;

  /** `definitions`: of all services there are; asked once, when a first caller wants to know. */
  constructor(definitions: () => readonly ServiceDefinition[]) {
    this.#definitions = definitions;
  }

  async *serverReflectionInfo(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<ServerReflectionResponseInput, void> {
    this.#index ??= await this.#read();
    const sent = new Set<string>();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(this.#index, request, sent),
      };
    }
  }

  async #read(): Promise<FileIndex> {
    const { FileIndex } = await import("./file-index.js");
    return new FileIndex(this.#definitions());
  }
}

function answer(index: FileIndex, { messageRequest }: ServerReflectionRequest, sent: Set<string>): Answer {
  switch (messageRequest?.case) {
    case "listServices": {
      const service = index.services.map((name) => ({ name }));
      return { case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return fileAnswer(index, messageRequest.value, messageRequest.value, sent);
    case "fileContainingSymbol": {
      const symbol = messageRequest.value.replace(/^\./, "");
      return fileAnswer(index, index.symbols.get(symbol), symbol, sent);
    }
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      const file = index.extensions.get(containingType)?.get(extensionNumber);
      return fileAnswer(index, file, `${containingType} ${extensionNumber}`, sent);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = messageRequest.value;
      if (!index.symbols.has(baseTypeName)) return notFound(baseTypeName);
      const numbers = [...(index.extensions.get(baseTypeName)?.keys() ?? [])].sort((a, b) => a - b);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber: numbers } };
    }
    default: {
      const errorMessage = messages.reflectionUnknownRequest;
      return { case: "errorResponse", value: { errorCode: Status.INVALID_ARGUMENT, errorMessage } };
    }
  }
}

function fileAnswer(index: FileIndex, file: string | undefined, asked: string, sent: Set<string>): Answer {
  if (file === undefined || !index.files.has(file)) return notFound(asked);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: index.withImports(file, sent) } };
}

function notFound(asked: string): Answer {
  const errorMessage = messages.reflectionNotFound(asked);
  return { case: "errorResponse", value: { errorCode: Status.NOT_FOUND, errorMessage } };
}
