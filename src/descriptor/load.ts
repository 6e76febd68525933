import descriptor, {
  type IDescriptorProto,
  type IEnumDescriptorProto,
  type IFieldDescriptorProto,
  type IFileDescriptorProto,
} from "protobufjs/ext/descriptor.js";
import protobuf from "protobufjs/light.js";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";

/**
 * FileDescriptorProtos into protobufjs' reflection. They may come from a provider that nobody trusts, and protobufjs writes
 * code with the names in them and is slow with some shapes: everything is checked before it gets them.
 */

/** A service's files with all their imports are far below: of the 8,000 files of googleapis the largest has 1.2 MB. */
const bytesMax = 8 * 1024 * 1024;
/** As deep as messages may be nested in messages, and packages in packages. */
const depthMax = 100;
/** protobufjs adds a field in time that grows with the fields before it: 4,096 in one message take it about 2 s. */
const fieldPairsMax = 4096 ** 2;
const fieldNumberMax = 2 ** 29 - 1;
/** What a .proto can hold as a name; `__proto__` is one, but no property that can be assigned. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

const typeGroup = 10;
const typeMessage = 11;
const typeEnum = 14;

const anyName = "google.protobuf.Any";

/** protobufjs' reflection of some .proto files, by the full names they declare. */
export class LoadedFiles {
  readonly root: protobuf.Root;
  /**
   * Singular `float` and `double` fields whose absence is a 0. protobufjs' JSON takes -0 for absent too, so it is told that
   * they have presence; whoever reads JSON for it or writes it leaves the 0 out.
   */
  readonly zeroIsAbsent: ReadonlySet<protobuf.Field>;
  readonly #objects = new Map<string, protobuf.ReflectionObject>();

  constructor(root: protobuf.Root) {
    this.root = root;
    const zeroIsAbsent = new Set<protobuf.Field>();
    this.zeroIsAbsent = zeroIsAbsent;
    this.#index(root, zeroIsAbsent);
    // protobufjs asks for what is inside an Any, and its own look-up takes names that merely end so.
    root.lookupType = (path) => {
      const name = String(path);
      const type = this.type(name);
      if (type === undefined) throw new TypeError(messages.unknownTypeInAny(anyName, JSON.stringify(name)));
      return type;
    };
  }

  /** Not protobufjs' own look-up, which goes on with names that merely end so. */
  type(fullName: string): protobuf.Type | undefined {
    const found = this.#objects.get(fullName);
    return found instanceof protobuf.Type ? found : undefined;
  }

  service(fullName: string): protobuf.Service | undefined {
    const found = this.#objects.get(fullName);
    return found instanceof protobuf.Service ? found : undefined;
  }

  #index(scope: protobuf.NamespaceBase, zeroIsAbsent: Set<protobuf.Field>): void {
    for (const object of scope.nestedArray) {
      this.#objects.set(object.fullName.slice(1), object);
      if (object instanceof protobuf.Type) {
        const fields = object.fieldsArray.filter(
          ({ type, repeated, map, hasPresence }) =>
            (type === "float" || type === "double") && !repeated && !map && !hasPresence,
        );
        // Its codec, which has it right, is made before.
        if (fields.length > 0) object.setup();
        for (const field of fields) {
          zeroIsAbsent.add(field);
          Object.defineProperty(field, "hasPresence", { value: true });
        }
      }
      if (object instanceof protobuf.Namespace) this.#index(object, zeroIsAbsent);
    }
  }
}

/**
 * `descriptors`: one FileDescriptorProto a file, in any order; of two with the same name the first counts. Files that only
 * declare options may be missing. `trusted` ones, the program's own, may be as many and as large as they are. Throws
 * `TypeError` that says what is wrong.
 */
export function loadDescriptors(descriptors: readonly Uint8Array[], trusted = false): LoadedFiles {
  const size = descriptors.reduce((sum, { length }) => sum + length, 0);
  if (size > bytesMax && !trusted) throw new TypeError(messages.descriptorsTooLarge(size, bytesMax));
  const files = new Map<string, IFileDescriptorProto>();
  for (const bytes of descriptors) {
    const file = decodeFile(bytes);
    const name = file.name || `file ${files.size}`;
    if (!files.has(name)) files.set(name, file);
  }
  const declared = new Declarations();
  for (const file of files.values()) declared.addFile(file);
  for (const file of files.values()) checkFile(file, declared);
  if (!trusted) declared.checkCost();
  try {
    return new LoadedFiles(protobuf.Root.fromDescriptor({ file: [...files.values()] }, { keepCase: true }));
  } catch (error) {
    throw new TypeError(messages.descriptorInvalid(textOf(error)), { cause: error });
  }
}

function decodeFile(bytes: Uint8Array): IFileDescriptorProto {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(messages.descriptorNotBytes);
  try {
    const file = descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto;
    // What a FileDescriptorSet is, read as one file.
    if (/^\n/.test(file.name ?? "")) throw new Error("it is a FileDescriptorSet; give each of its files");
    // Empty bytes are a file that declares nothing; whoever sends them means something else.
    if (bytes.length === 0) throw new Error("it is empty");
    return file;
  } catch (error) {
    throw new TypeError(messages.descriptorInvalid(textOf(error)), { cause: error });
  }
}

type Kind = "message" | "enum" | "service" | "other";

/** Every full name that some files declare, and how much work they are. */
class Declarations {
  readonly #kinds = new Map<string, Kind>();
  /** By message: fields, oneofs and extensions. */
  readonly #fields = new Map<string, number>();

  addFile(file: IFileDescriptorProto): void {
    const scope = file.package ?? "";
    const parts = scope === "" ? [] : scope.split(".");
    if (parts.length > depthMax) throw new TypeError(messages.descriptorTooDeep);
    for (const part of parts) checkName(part);
    this.#addTypes(scope, file.messageType, file.enumType, 0);
    for (const { name, method } of file.service ?? []) {
      const service = this.#add(scope, name, "service");
      for (const one of method ?? []) this.#add(service, one.name, "other");
    }
  }

  is(fullName: string, kind: Kind): boolean {
    return this.#kinds.get(fullName) === kind;
  }

  count(message: string, fields: number): void {
    this.#fields.set(message, (this.#fields.get(message) ?? 0) + fields);
  }

  checkCost(): void {
    let pairs = 0;
    for (const [message, fields] of this.#fields) {
      pairs += fields ** 2;
      if (pairs > fieldPairsMax) throw new TypeError(messages.descriptorTooManyFields(message, fields));
    }
  }

  #addTypes(
    scope: string,
    types: readonly IDescriptorProto[] = [],
    enums: readonly IEnumDescriptorProto[] = [],
    depth = 0,
  ): void {
    if (depth > depthMax) throw new TypeError(messages.descriptorTooDeep);
    for (const { name, value } of enums) {
      this.#add(scope, name, "enum");
      for (const one of value ?? []) {
        if (one.name !== "__proto__") checkName(one.name);
      }
    }
    for (const type of types) {
      const fullName = this.#add(scope, type.name, "message");
      for (const field of type.field ?? []) {
        if (field.name === "__proto__") renameProto(field);
        this.#add(fullName, field.name, "other");
      }
      for (const { name } of type.oneofDecl ?? []) this.#add(fullName, name, "other");
      this.#addTypes(fullName, type.nestedType, type.enumType, depth + 1);
    }
  }

  #add(scope: string, name: string | undefined, kind: Kind): string {
    checkName(name);
    const fullName = scope === "" ? name : `${scope}.${name}`;
    if (this.#kinds.has(fullName)) throw new TypeError(messages.descriptorDuplicate(fullName));
    this.#kinds.set(fullName, kind);
    return fullName;
  }
}

function checkName(name: string | undefined): asserts name is string {
  if (name === undefined || !namePattern.test(name) || name === "__proto__") {
    throw new TypeError(messages.descriptorNameInvalid(JSON.stringify(name ?? "")));
  }
}

/** Under the name `__proto__` no object has a property of its own that was assigned. */
function renameProto(field: IFieldDescriptorProto): void {
  field.jsonName ??= "Proto";
  field.name = "_proto___";
}

function checkFile(file: IFileDescriptorProto, declared: Declarations): void {
  const scope = file.package ?? "";
  file.extension = checkExtensions(file.extension, scope, declared);
  for (const type of file.messageType ?? []) checkMessage(type, scope, declared);
  for (const { method } of file.service ?? []) {
    for (const { name = "", inputType, outputType } of method ?? []) {
      checkReference(name, inputType, "message", declared);
      checkReference(name, outputType, "message", declared);
    }
  }
}

function checkMessage(type: IDescriptorProto, scope: string, declared: Declarations): void {
  const fullName = scope === "" ? (type.name ?? "") : `${scope}.${type.name}`;
  const oneofs = type.oneofDecl?.length ?? 0;
  declared.count(fullName, (type.field?.length ?? 0) + oneofs);
  for (const field of type.field ?? []) {
    checkField(field, fullName, declared);
    const { oneofIndex } = field;
    if (
      Object.hasOwn(field, "oneofIndex") &&
      !((oneofIndex as number) >= 0 && (oneofIndex as number) < oneofs)
    ) {
      throw new TypeError(
        messages.descriptorInvalid(`${fullName}.${field.name} is in a oneof that is not there`),
      );
    }
  }
  separateJsonNames(type.field ?? []);
  if (fullName === "google.protobuf.Value") {
    // protobufjs' JSON knows them by these names alone.
    for (const field of type.field ?? []) field.name = protobuf.util.jsonName(field.name ?? "");
  }
  type.extension = checkExtensions(type.extension, fullName, declared);
  for (const inner of type.nestedType ?? []) checkMessage(inner, fullName, declared);
}

/**
 * In proto2 `foo_bar` may stand beside `fooBar`, whose name in JSON it has then; each is known by its own name. A name in
 * JSON goes to the first that claims it, as in protoc.
 */
function separateJsonNames(fields: readonly IFieldDescriptorProto[]): void {
  const names = new Map(fields.map((field) => [field.name, field]));
  for (const field of fields) {
    const jsonName = field.jsonName || protobuf.util.jsonName(field.name ?? "");
    const owner = names.get(jsonName);
    if (owner === undefined) names.set(jsonName, field);
    else if (owner !== field) field.jsonName = field.name as string;
  }
}

/** Those whose message is there: nobody needs the options that a missing file declares. */
function checkExtensions(
  extensions: IFieldDescriptorProto[] = [],
  scope: string,
  declared: Declarations,
): IFieldDescriptorProto[] {
  const kept = extensions.filter(({ extendee = "" }) => declared.is(extendee.slice(1), "message"));
  for (const extension of kept) {
    checkName(extension.name);
    checkField(extension, scope, declared);
    declared.count((extension.extendee ?? "").slice(1), 1);
  }
  return kept;
}

function checkField(field: IFieldDescriptorProto, scope: string, declared: Declarations): void {
  const { name = "", number = 0, type, typeName } = field;
  const owner = `${scope}.${name}`;
  if (!(number >= 1 && number <= fieldNumberMax)) {
    throw new TypeError(messages.descriptorInvalid(`${owner} has the number ${number}`));
  }
  if (!Object.hasOwn(field, "type")) throw new TypeError(messages.descriptorInvalid(`${owner} has no type`));
  if (type === typeMessage || type === typeGroup) checkReference(owner, typeName, "message", declared);
  else if (type === typeEnum) checkReference(owner, typeName, "enum", declared);
  else delete field.typeName;
  // Decoding and JSON need none, and protobufjs does not read all that are valid.
  delete field.defaultValue;
}

function checkReference(owner: string, name: string | undefined, kind: Kind, declared: Declarations): void {
  if (name === undefined || !name.startsWith(".") || !declared.is(name.slice(1), kind)) {
    throw new TypeError(messages.descriptorMissingType(owner, kind, JSON.stringify(name ?? "")));
  }
}
