import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FileDescriptorProto,
} from "../descriptor/gen/google/protobuf/descriptor.js";
import { messages } from "../error/messages.js";
import { Status } from "../error/status.js";
import { decodeMessage, type ServiceDefinition } from "../protobuf/types.js";
import type {
  ServerReflectionRequest,
  ServerReflectionResponseInput,
} from "./gen/grpc/reflection/v1/reflection.js";

interface IndexedFile {
  readonly bytes: Buffer;
  readonly imports: readonly string[];
}

/** The .proto files behind some services, by all that one may ask for. */
class FileIndex {
  readonly services: readonly string[];
  readonly files = new Map<string, IndexedFile>();
  /** The file that declares a name. */
  readonly symbols = new Map<string, string>();
  /** The files of the extensions of a message, by their numbers. */
  readonly extensions = new Map<string, Map<number, string>>();

  constructor(definitions: readonly ServiceDefinition[]) {
    this.services = definitions.map(({ typeName }) => typeName).sort();
    for (const { descriptors } of definitions) for (const bytes of descriptors) this.#addFile(bytes);
  }

  #addFile(bytes: Uint8Array): void {
    const file = decodeMessage(FileDescriptorProto, bytes);
    const { name: fileName = "" } = file;
    if (this.files.has(fileName)) return;
    const own = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.files.set(fileName, { bytes: own, imports: file.dependency });
    const scope = file.package ? `${file.package}.` : "";
    for (const message of file.messageType) this.#addMessage(message, scope, fileName);
    for (const { name } of file.enumType) this.symbols.set(scope + name, fileName);
    this.#addExtensions(file.extension, scope, fileName);
    for (const { name, method } of file.service) {
      this.symbols.set(scope + name, fileName);
      for (const one of method) this.symbols.set(`${scope}${name}.${one.name}`, fileName);
    }
  }

  #addMessage(message: DescriptorProto, scope: string, file: string): void {
    const name = scope + message.name;
    this.symbols.set(name, file);
    for (const field of message.field) this.symbols.set(`${name}.${field.name}`, file);
    for (const one of message.enumType) this.symbols.set(`${name}.${one.name}`, file);
    for (const nested of message.nestedType) this.#addMessage(nested, `${name}.`, file);
    this.#addExtensions(message.extension, `${name}.`, file);
  }

  #addExtensions(extensions: readonly FieldDescriptorProto[], scope: string, file: string): void {
    for (const { name, extendee = "", number = 0 } of extensions) {
      this.symbols.set(scope + name, file);
      const type = extendee.replace(/^\./, "");
      const known = this.extensions.get(type) ?? new Map<number, string>();
      this.extensions.set(type, known.set(number, file));
    }
  }

  /** A file and all it imports, but for those in `sent`, which it adds to. */
  withImports(name: string, sent: Set<string>): Buffer[] {
    const found: Buffer[] = [];
    const waiting = [name];
    // The one asked for is given also when it was before.
    sent.delete(name);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const file = this.files.get(next);
      if (file === undefined || sent.has(next)) continue;
      sent.add(next);
      found.push(file.bytes);
      waiting.push(...file.imports);
    }
    return found;
  }
}

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
    this.#index ??= new FileIndex(this.#definitions());
    const sent = new Set<string>();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(this.#index, request, sent),
      };
    }
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
