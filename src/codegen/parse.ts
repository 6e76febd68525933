import protobuf from "protobufjs";
import { CodegenError } from "./error.js";
import { type Declaration, type Located, locate } from "./locate.js";
import type {
  Presence,
  ProtoEnum,
  ProtoField,
  ProtoFile,
  ProtoMessage,
  ProtoMethod,
  ProtoOneof,
  ProtoService,
  ScalarType,
} from "./model.js";
import { type FieldNames, fieldName, jsonName, methodName } from "./names.js";

export interface ParseOptions {
  /** The name others import the file by. */
  readonly name: string;
  /** Where it was read, for error texts. */
  readonly path: string;
  readonly fieldNames: FieldNames;
}

/**
 * One .proto file's text as declarations with lines and comments; types are still names. Throws `CodegenError` for
 * broken syntax and for what no generated code can be made for (groups, extensions, editions).
 */
export function parseProto(source: string, options: ParseOptions): ProtoFile {
  const { root, packageName } = parseText(source, options.path);
  return new FileBuilder(source, root, packageName, options).build();
}

const parserOptions = { keepCase: true, alternateCommentMode: true, preferTrailingComment: false };

function parseText(source: string, path: string): { root: protobuf.Root; packageName: string } {
  const root = new protobuf.Root();
  try {
    const { package: packageName = "" } = protobuf.parse(source, root, parserOptions);
    return { root, packageName };
  } catch (thrown) {
    throw syntaxError(source, path, thrown as Error);
  }
}

function syntaxError(source: string, path: string, thrown: Error): CodegenError {
  const duplicate = thrown.message.startsWith("duplicate ") ? duplicateOf(locate(source)) : undefined;
  if (duplicate !== undefined) return new CodegenError(path, duplicate.line, duplicate.message);
  const line = /\bline (\d+)\)/.exec(thrown.message)?.[1];
  const message = thrown.message
    .replace(/ \((?:.*, )?line \d+\)/, "")
    .replace(/^illegal token 'null'/, "unexpected end of the file")
    .replace(/^illegal token '(.*)', '(.*)' expected$/, "unexpected '$1', expected '$2'")
    .replace(/^illegal token '(.*)'$/, "unexpected '$1'");
  return new CodegenError(
    path,
    line === undefined ? lineOfError(source, thrown.message) : Number(line),
    message + proto2Hint(source, message),
  );
}

/** A file that forgot its first line fails at a field, which says nothing to who has only ever written proto3. */
function proto2Hint(source: string, message: string): string {
  if (message === "unexpected 'required'" && /^\s*syntax\s*=\s*["']proto3/m.test(source)) {
    return "; proto3 has no required fields";
  }
  if (!/^unexpected '[\w.]+'$/.test(message) || /^\s*syntax\s*=/m.test(source)) return "";
  return `; the file has no \`syntax = "proto3";\`, and in proto2 a field begins with optional, required or repeated`;
}

/** The line at which the parser first says `message`, for the errors it gives without one. */
function lineOfError(source: string, message: string): number {
  const lines = source.split("\n");
  let low = 1;
  let high = lines.length;
  // What is wrong within the first n lines is wrong within any more of them, so halving finds the first.
  while (low < high) {
    const middle = (low + high) >> 1;
    if (saysSame(lines.slice(0, middle).join("\n"), message)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function saysSame(source: string, message: string): boolean {
  try {
    protobuf.parse(source, new protobuf.Root(), parserOptions);
    return false;
  } catch (thrown) {
    return (thrown as Error).message === message;
  }
}

/** The first name or field number that is declared twice in one scope. */
function duplicateOf({ declarations }: Located): { line: number; message: string } | undefined {
  const seen = new Map<string, Declaration>();
  for (const found of declarations) {
    if (found.kind === "extend" || found.kind === "extensions") continue;
    const keys: Array<[key: string, what: string]> = [
      [`${found.scope}.${found.name}`, `the name ${found.name}`],
    ];
    if (found.kind === "field" || found.kind === "value") {
      const number = found.tokens[found.tokens.indexOf("=") + 1] ?? "";
      keys.push([`${found.scope}=${number}`, `the number ${number}`]);
    }
    for (const [key, what] of keys) {
      const before = seen.get(key);
      if (before !== undefined) {
        const message = `${found.name}: ${what} is already used by ${before.name} in line ${before.line}`;
        return { line: found.line, message };
      }
      seen.set(key, found);
    }
  }
  return undefined;
}

/** The one name that a JavaScript object does not take as a key like any other. */
const lostName = "__proto__";
const noLostName = `JavaScript has no place for the name ${lostName}; give it another (the wire carries numbers, not names, of fields)`;

const optionsTarget = /^\.?google\.protobuf\.\w+Options$/;

/** Walks protobufjs's objects and the located declarations together. */
class FileBuilder {
  readonly #root: protobuf.Root;
  readonly #package: string;
  readonly #options: ParseOptions;
  readonly #located: Located;
  readonly #declared = new Map<string, Declaration>();
  readonly #syntax: "proto2" | "proto3";
  readonly #messages: ProtoMessage[] = [];
  readonly #enums: ProtoEnum[] = [];
  readonly #services: ProtoService[] = [];

  constructor(source: string, root: protobuf.Root, packageName: string, options: ParseOptions) {
    this.#root = root;
    this.#package = packageName;
    this.#options = options;
    this.#located = locate(source);
    for (const found of this.#located.declarations) this.#declared.set(keyOf(found.scope, found.name), found);
    const { syntax = "proto2", edition, syntaxLine } = this.#located;
    if (edition !== undefined) {
      throw this.#error(
        syntaxLine,
        `editions are not supported: write syntax = "proto3"; or "proto2" in the place of edition = "${edition}"`,
      );
    }
    if (syntax !== "proto2" && syntax !== "proto3") {
      throw this.#error(syntaxLine, `syntax "${syntax}" is not supported: write proto2 or proto3`);
    }
    this.#syntax = syntax;
  }

  build(): ProtoFile {
    const { declarations, packageLine } = this.#located;
    if (this.#package.split(".").includes(lostName))
      throw this.#error(packageLine, `the package: ${noLostName}`);
    for (const found of declarations) this.#refuseUnsupported(found);
    const file: ProtoFile = {
      name: this.#options.name,
      path: this.#options.path,
      package: this.#package,
      syntax: this.#syntax,
      imports: this.#located.imports.map(({ target, public: isPublic, line }) => ({
        target,
        public: isPublic,
        line,
      })),
      messages: this.#messages,
      enums: this.#enums,
      services: this.#services,
    };
    const scope = this.#package === "" ? this.#root : this.#root.lookup(this.#package);
    if (scope instanceof protobuf.Namespace) this.#addNested(scope, "", file);
    return file;
  }

  #error(line: number, message: string): CodegenError {
    return new CodegenError(this.#options.path, line, message);
  }

  #refuseUnsupported({ kind, name, line, tokens }: Declaration): void {
    // The parser, and protobufjs at the other side of a call in JSON, lose it without a word.
    if (name === lostName) throw this.#error(line, `${name}: ${noLostName}`);
    if (kind === "group") throw this.#error(line, `${name}: groups are not supported; use a nested message`);
    // Google's descriptor.proto has ranges for options, which nobody sends; it is imported to declare such options.
    if (kind === "extensions" && !this.#options.name.startsWith("google/protobuf/"))
      throw this.#error(line, "extension ranges are not supported; use Any or a field");
    if (kind === "extend" && !optionsTarget.test(tokens.slice(1).join(""))) {
      throw this.#error(line, `extend ${name}: extensions are not supported; use Any or a field`);
    }
    if (kind === "rpc" && tokens.includes("stream")) {
      throw this.#error(line, `rpc ${name}: streams are not supported yet; only unary calls are`);
    }
  }

  #addNested(parent: protobuf.NamespaceBase, scope: string, file: ProtoFile): void {
    for (const object of parent.nestedArray) {
      if (object instanceof protobuf.Type) {
        this.#messages.push(this.#message(object, scope, file));
        this.#addNested(object, scope === "" ? object.name : `${scope}.${object.name}`, file);
      } else if (object instanceof protobuf.Enum) {
        this.#enums.push(this.#enum(object, scope, file));
      } else if (object instanceof protobuf.Service) {
        this.#services.push(this.#service(object, scope, file));
      }
    }
  }

  #base(object: protobuf.ReflectionObject, scope: string) {
    return {
      name: object.name,
      line: this.#declaration(scope, object.name)?.line ?? 1,
      comment: object.comment ?? undefined,
      deprecated: object.options?.deprecated === true,
    };
  }

  #declaration(scope: string, name: string): Declaration | undefined {
    return this.#declared.get(keyOf(scope, name));
  }

  #typeBase(object: protobuf.ReflectionObject, scope: string, file: ProtoFile) {
    const shortName = scope === "" ? object.name : `${scope}.${object.name}`;
    const fullName = this.#package === "" ? shortName : `${this.#package}.${shortName}`;
    return { ...this.#base(object, scope), file, fullName, shortName };
  }

  #message(type: protobuf.Type, scope: string, file: ProtoFile): ProtoMessage {
    const base = this.#typeBase(type, scope, file);
    const fields = type.fieldsArray
      .map((field) => this.#field(field, base.shortName))
      .sort((a, b) => a.line - b.line || a.id - b.id);
    const oneofs: ProtoOneof[] = [];
    for (const oneof of type.oneofsArray) {
      const members = fields.filter(
        (field) =>
          field.presence === "oneof" && this.#declaration(base.shortName, field.name)?.oneof === oneof.name,
      );
      // protobufjs wraps each proto3 `optional` in a oneof of its own, which nobody declared.
      if (members.length === 0) continue;
      const localName = fieldName(oneof.name, this.#options.fieldNames);
      oneofs.push({ ...this.#base(oneof, base.shortName), localName, fields: members });
    }
    return { kind: "message", ...base, fields, oneofs, recursive: false };
  }

  #field(field: protobuf.Field, message: string): ProtoField {
    const base = this.#base(field, message);
    const found = this.#declaration(message, field.name);
    const packed = field.options?.packed;
    if (this.#syntax === "proto3" && found?.tokens[0] === "required") {
      throw this.#error(base.line, `${message}.${field.name}: proto3 has no required fields`);
    }
    if (this.#syntax === "proto3" && field.options?.default !== undefined) {
      throw this.#error(base.line, `${message}.${field.name}: proto3 has no [default = ...]`);
    }
    if (field.options?.json_name === lostName) throw this.#error(base.line, `${field.name}: ${noLostName}`);
    return {
      ...base,
      localName: fieldName(field.name, this.#options.fieldNames),
      jsonName: typeof field.options?.json_name === "string" ? field.options.json_name : jsonName(field.name),
      id: field.id,
      typeName: field.type,
      presence: this.#presence(field, found),
      packed: typeof packed === "boolean" ? packed : this.#syntax === "proto3",
      mapKey: field instanceof protobuf.MapField ? (field.keyType as ScalarType) : undefined,
      defaultText: defaultText(found),
      message,
      type: field.type as ScalarType,
    };
  }

  #presence(field: protobuf.Field, found: Declaration | undefined): Presence {
    if (field instanceof protobuf.MapField) return "map";
    if (field.repeated) return "repeated";
    if (found?.oneof !== undefined) return "oneof";
    if (found?.tokens[0] === "required") return "required";
    if (this.#syntax === "proto2" || field.options?.proto3_optional === true) return "explicit";
    return "implicit";
  }

  #enum(type: protobuf.Enum, scope: string, file: ProtoFile): ProtoEnum {
    const base = this.#typeBase(type, scope, file);
    const values = Object.entries(type.values).map(([name, number]) => ({
      name,
      number,
      line: this.#declaration(base.shortName, name)?.line ?? base.line,
      comment: type.comments[name] ?? undefined,
      deprecated: type.valuesOptions?.[name]?.deprecated === true,
    }));
    const closed = this.#syntax === "proto2";
    const [first] = values;
    if (first === undefined) throw this.#error(base.line, `enum ${base.shortName} has no values`);
    if (!closed && first.number !== 0) {
      const message = `enum ${base.shortName}: the first value of a proto3 enum must be 0, ${first.name} is ${first.number}`;
      throw this.#error(first.line, message);
    }
    return { kind: "enum", ...base, values, closed };
  }

  #service(service: protobuf.Service, scope: string, file: ProtoFile): ProtoService {
    const base = this.#typeBase(service, scope, file);
    const methods = service.methodsArray.map((method): ProtoMethod => {
      const level = method.options?.idempotency_level;
      return {
        ...this.#base(method, base.shortName),
        localName: methodName(method.name),
        inputName: method.requestType,
        outputName: method.responseType,
        idempotency:
          level === "NO_SIDE_EFFECTS" ? "no_side_effects" : level === "IDEMPOTENT" ? "idempotent" : "unknown",
      };
    });
    return { kind: "service", ...base, methods };
  }
}

function keyOf(scope: string, name: string): string {
  return `${scope}.${name}`;
}

/** `[default = -5]` as written; strings come with a leading quote from the locator, which is taken off. */
function defaultText(found: Declaration | undefined): string | undefined {
  const at = found?.tokens.findIndex((token, i) => token === "default" && found.tokens[i + 1] === "=") ?? -1;
  if (found === undefined || at < 0) return undefined;
  const text = found.tokens[at + 2] ?? "";
  return text.startsWith('"') ? text.slice(1) : text;
}
