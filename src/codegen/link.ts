import { isDefault } from "./defaults.js";
import { CodegenError } from "./error.js";
import {
  type ProtoEnum,
  type ProtoField,
  type ProtoFile,
  type ProtoMessage,
  type ProtoService,
  type ProtoType,
  type ScalarType,
  scalarTypes,
} from "./model.js";

const scalars: ReadonlySet<string> = new Set(scalarTypes);
const neverMapKeys: ReadonlySet<string> = new Set(["double", "float", "bytes"]);
const fieldNumberMax = 536_870_911;

/**
 * Gives every field and rpc the types it names, and checks what the parser does not. Throws `CodegenError` for a type
 * that is not there, a field number out of range, names that become one in TypeScript.
 */
export function link(files: readonly ProtoFile[]): void {
  const types = new Map<string, ProtoType | ProtoService>();
  for (const file of files) {
    for (const type of [...file.messages, ...file.enums, ...file.services]) {
      const before = types.get(type.fullName);
      if (before !== undefined) {
        const where = `${before.file.path}:${before.line}`;
        throw new CodegenError(file.path, type.line, `${type.fullName} is already declared at ${where}`);
      }
      types.set(type.fullName, type);
    }
  }
  for (const file of files) new FileLinker(file, types).run();
  for (const file of files) for (const message of file.messages) message.recursive = holdsItself(message);
}

class FileLinker {
  readonly #file: ProtoFile;
  readonly #types: ReadonlyMap<string, ProtoType | ProtoService>;
  readonly #visible: ReadonlySet<ProtoFile>;

  constructor(file: ProtoFile, types: ReadonlyMap<string, ProtoType | ProtoService>) {
    this.#file = file;
    this.#types = types;
    this.#visible = visibleFrom(file);
  }

  run(): void {
    for (const message of this.#file.messages) {
      this.#checkNames(message);
      for (const field of message.fields) this.#field(field, message);
    }
    for (const service of this.#file.services) this.#service(service);
  }

  #error(line: number, message: string): CodegenError {
    return new CodegenError(this.#file.path, line, message);
  }

  #field(field: ProtoField, message: ProtoMessage): void {
    const name = `${message.shortName}.${field.name}`;
    if (field.id < 1 || field.id > fieldNumberMax) {
      throw this.#error(field.line, `${name}: field numbers go from 1 to ${fieldNumberMax}, not ${field.id}`);
    }
    if (field.id >= 19_000 && field.id <= 19_999) {
      throw this.#error(field.line, `${name}: field numbers 19000 to 19999 are kept for protobuf itself`);
    }
    if (field.mapKey !== undefined && (!scalars.has(field.mapKey) || neverMapKeys.has(field.mapKey))) {
      throw this.#error(field.line, `${name}: a map key is an integer, bool or string, not ${field.mapKey}`);
    }
    if (scalars.has(field.typeName)) {
      field.type = field.typeName as ScalarType;
    } else {
      const found = this.#resolve(field.typeName, message.fullName, field.line, name);
      if (found.kind === "service") {
        throw this.#error(field.line, `${name}: ${field.typeName} is a service, not a message or an enum`);
      }
      field.type = found;
      if (message.file.syntax === "proto3" && found.kind === "enum" && found.closed) {
        throw this.#error(
          field.line,
          `${name}: a proto3 message cannot use the proto2 enum ${found.fullName}`,
        );
      }
    }
    this.#checkDefault(field, name);
  }

  #checkDefault(field: ProtoField, name: string): void {
    if (field.defaultText === undefined) return;
    if (field.presence === "repeated" || field.presence === "map" || isMessage(field.type)) {
      throw this.#error(field.line, `${name}: only a single scalar or enum takes a [default = ...]`);
    }
    if (typeof field.type === "string" && !isDefault(field.type, field.defaultText)) {
      throw this.#error(field.line, `${name}: ${field.defaultText} is no ${field.type}`);
    }
    if (isEnum(field.type) && !field.type.values.some(({ name: value }) => value === field.defaultText)) {
      throw this.#error(field.line, `${name}: ${field.defaultText} is no value of ${field.type.fullName}`);
    }
  }

  #service(service: ProtoService): void {
    const seen = new Map<string, string>();
    for (const method of service.methods) {
      const name = `${service.shortName}.${method.name}`;
      const before = seen.get(method.localName);
      if (before !== undefined) {
        throw this.#error(
          method.line,
          `rpc ${method.name} and rpc ${before} are both ${method.localName} in TypeScript`,
        );
      }
      seen.set(method.localName, method.name);
      method.input = this.#message(method.inputName, service.fullName, method.line, name);
      method.output = this.#message(method.outputName, service.fullName, method.line, name);
    }
  }

  #message(name: string, scope: string, line: number, user: string): ProtoMessage {
    const found = this.#resolve(name, scope, line, user);
    if (found.kind === "message") return found;
    throw this.#error(
      line,
      `${user}: ${name} is ${found.kind === "enum" ? "an enum" : "a service"}, not a message`,
    );
  }

  /** protobuf's rule: from the innermost scope outwards; a leading dot names the type in full. */
  #resolve(name: string, scope: string, line: number, user: string): ProtoType | ProtoService {
    const wanted = name.startsWith(".") ? [name.slice(1)] : candidates(name, scope);
    let hidden: ProtoType | ProtoService | undefined;
    for (const fullName of wanted) {
      const found = this.#types.get(fullName);
      if (found === undefined) continue;
      if (this.#visible.has(found.file)) return found;
      hidden ??= found;
    }
    if (hidden === undefined) throw this.#error(line, `${user}: there is no type ${name}`);
    throw this.#error(
      line,
      `${user}: ${name} is declared in ${hidden.file.name}, which this file does not import`,
    );
  }

  #checkNames(message: ProtoMessage): void {
    const seen = new Map<string, string>();
    const json = new Map<string, string>();
    for (const { name, localName, line, jsonName } of [
      ...message.fields.map((field) =>
        field.presence === "oneof" ? { ...field, localName: undefined } : field,
      ),
      ...message.oneofs.map((oneof) => ({ ...oneof, jsonName: undefined })),
    ]) {
      for (const [key, names, kind] of [
        [localName, seen, "in TypeScript"],
        [jsonName, json, "in JSON"],
      ] as const) {
        const before = key === undefined ? undefined : names.get(key);
        if (before !== undefined) {
          throw this.#error(line, `${message.shortName}: ${name} and ${before} are both ${key} ${kind}`);
        }
        if (key !== undefined) names.set(key, name);
      }
    }
  }
}

function candidates(name: string, scope: string): string[] {
  const parts = scope === "" ? [] : scope.split(".");
  const result: string[] = [];
  for (let count = parts.length; count >= 0; count--) result.push([...parts.slice(0, count), name].join("."));
  return result;
}

/** The file itself, what it imports, and what those import publicly. */
function visibleFrom(file: ProtoFile): Set<ProtoFile> {
  const visible = new Set([file]);
  const add = (one: ProtoFile | undefined): void => {
    if (one === undefined || visible.has(one)) return;
    visible.add(one);
    for (const inner of one.imports) if (inner.public) add(inner.file);
  };
  for (const one of file.imports) add(one.file);
  return visible;
}

function holdsItself(message: ProtoMessage): boolean {
  const seen = new Set<ProtoMessage>();
  const open = [message];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { type } of next.fields) {
      if (type === message) return true;
      if (isMessage(type) && !seen.has(type)) {
        seen.add(type);
        open.push(type);
      }
    }
  }
  return false;
}

export function isMessage(type: ScalarType | ProtoType): type is ProtoMessage {
  return typeof type === "object" && type.kind === "message";
}

export function isEnum(type: ScalarType | ProtoType): type is ProtoEnum {
  return typeof type === "object" && type.kind === "enum";
}
