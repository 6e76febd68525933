import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FileDescriptorProto,
} from "../descriptor/gen/google/protobuf/descriptor.js";
import { decodeMessage, type ServiceDefinition } from "../protobuf/types.js";

interface IndexedFile {
  readonly bytes: Buffer;
  readonly imports: readonly string[];
}

/** The .proto files behind some services, by all that one may ask for. */
export class FileIndex {
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
