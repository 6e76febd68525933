import descriptor from "protobufjs/ext/descriptor.js";
import { FieldText, optionsOf } from "./proto-field-text.js";
import type {
  EnumProto,
  FieldProto,
  FileProto,
  MessageProto,
  MethodProto,
  Options,
  Range,
  ServiceProto,
} from "./proto-shapes.js";

/** FileDescriptorProtos as text in the form of .proto files, for people: types under their full names, no comments. */

type Declared = { readonly file: FileProto } & (
  | { readonly message: MessageProto }
  | { readonly enum: EnumProto }
  | { readonly service: ServiceProto }
);

/** Everything that is declared, by its full name. */
export class ProtoText {
  readonly #declared = new Map<string, Declared>();
  /** By the message they extend, each under its full name. */
  readonly #extensions = new Map<string, { readonly field: FieldProto; readonly file: FileProto }[]>();
  readonly #fields = new FieldText((name) => {
    const found = this.#declared.get(name);
    return found !== undefined && "message" in found ? found.message : undefined;
  });

  /** Throws `Error` for what is no descriptor. */
  constructor(descriptors: readonly Uint8Array[]) {
    for (const bytes of descriptors) {
      const type = descriptor.FileDescriptorProto;
      this.#addFile(
        type.toObject(type.decode(bytes), { enums: String, arrays: true }) as unknown as FileProto,
      );
    }
  }

  /** A service, of all its methods or the one, and the messages and enums behind it; undefined when there is none. */
  ofService(name: string, only?: string): string | undefined {
    const found = this.#declared.get(name);
    if (found === undefined || !("service" in found)) return undefined;
    const methods = found.service.method.filter((method) => only === undefined || method.name === only);
    const lines = [...optionLines(found.service.options, "ServiceOptions"), ...methods.map(methodText)];
    const parts = [block(`service ${name}`, lines)];
    const files = new Set([found.file]);
    const queue = methods.flatMap(({ inputType, outputType }) => [bare(inputType), bare(outputType)]);
    const seen = new Set<string>();
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const type = this.#declared.get(next);
      // Google's own types are known.
      if (seen.has(next) || type === undefined || next.startsWith("google.protobuf.")) continue;
      seen.add(next);
      files.add(type.file);
      if ("enum" in type) parts.push(enumText(next, type.enum));
      else if ("message" in type) {
        parts.push(this.#messageText(next, type.message, type.file), ...this.#extensionText(next));
        const extensions = this.#extensions.get(next) ?? [];
        const fields = [...type.message.field, ...extensions.map(({ field }) => field)];
        queue.push(...fields.flatMap((field) => this.#fields.typesOf(field)));
      }
    }
    return [...[...files].flatMap(languageOf), ...parts].join("\n");
  }

  #addFile(file: FileProto): void {
    const scope = file.package === undefined ? "" : `${file.package}.`;
    this.#addTypes(file, scope, { ...file, nestedType: file.messageType });
    for (const service of file.service) this.#declared.set(scope + service.name, { file, service });
  }

  #addTypes(
    file: FileProto,
    scope: string,
    { nestedType, enumType, extension }: Pick<MessageProto, "nestedType" | "enumType" | "extension">,
  ): void {
    for (const one of enumType) this.#declared.set(scope + one.name, { file, enum: one });
    for (const field of extension) {
      const extendee = bare(field.extendee);
      const known = this.#extensions.get(extendee) ?? [];
      known.push({ field: { ...field, name: scope + field.name }, file });
      this.#extensions.set(extendee, known);
    }
    for (const message of nestedType) {
      this.#declared.set(scope + message.name, { file, message });
      this.#addTypes(file, `${scope}${message.name}.`, message);
    }
  }

  #messageText(name: string, message: MessageProto, file: FileProto): string {
    return block(`message ${name}`, [
      ...optionLines(message.options, "MessageOptions"),
      ...this.#fields.body(message, isProto2(file)),
      ...reservedLines(message, -1),
      ...rangeText("extensions", message.extensionRange, -1),
    ]);
  }

  #extensionText(name: string): string[] {
    const extensions = this.#extensions.get(name);
    if (extensions === undefined) return [];
    const lines = extensions.flatMap(({ field, file }) => this.#fields.lines(field, isProto2(file)));
    return [block(`extend ${name}`, lines)];
  }
}

function isProto2({ syntax }: FileProto): boolean {
  return syntax === undefined || syntax === "proto2";
}

function bare(type = ""): string {
  return type.replace(/^\./, "");
}

function block(head: string, lines: readonly string[]): string {
  return lines.length === 0 ? `${head} {}\n` : `${head} {\n${lines.map((one) => `  ${one}\n`).join("")}}\n`;
}

/** What a reader must know of a file that is not proto3. */
function languageOf({ name, syntax, edition, options }: FileProto): string[] {
  if (syntax === "proto3") return [];
  const language =
    syntax === "editions"
      ? `edition ${edition?.replace(/^EDITION_/, "")}${["", ...optionsOf({ features: options?.features }, "FileOptions")].join(", ")}`
      : "proto2";
  return [`// ${name}: ${language}\n`];
}

function optionLines(options: Options | undefined, type: string): string[] {
  return optionsOf(options, type).map((one) => `option ${one};`);
}

function methodText({ name, inputType, outputType, ...method }: MethodProto): string {
  const stream = (is: boolean | undefined): string => (is === true ? "stream " : "");
  const head = `rpc ${name}(${stream(method.clientStreaming)}${bare(inputType)}) returns (${stream(method.serverStreaming)}${bare(outputType)})`;
  const options = optionLines(method.options, "MethodOptions");
  return options.length === 0 ? `${head};` : `${head} { ${options.join(" ")} }`;
}

function enumText(name: string, { value, options, ...reserved }: EnumProto): string {
  return block(`enum ${name}`, [
    ...optionLines(options, "EnumOptions"),
    ...value.map((one) => {
      const own = optionsOf(one.options, "EnumValueOptions");
      return `${one.name} = ${one.number ?? 0}${own.length === 0 ? "" : ` [${own.join(", ")}]`};`;
    }),
    ...reservedLines(reserved, 0),
  ]);
}

/** `past`: from a range's end, which messages do not count to it, to its last number. */
function reservedLines(
  { reservedRange, reservedName }: Pick<EnumProto, "reservedRange" | "reservedName">,
  past: number,
): string[] {
  const names = reservedName.map((name) => JSON.stringify(name)).join(", ");
  return [...rangeText("reserved", reservedRange, past), ...(names === "" ? [] : [`reserved ${names};`])];
}

function rangeText(word: string, ranges: readonly Range[], past: number): string[] {
  if (ranges.length === 0) return [];
  const texts = ranges.map(({ start = 0, end = 0 }) => {
    const last = end + past;
    if (last === start) return String(start);
    return `${start} to ${last === 2 ** 29 - 1 || last === 2 ** 31 - 1 ? "max" : last}`;
  });
  return [`${word} ${texts.join(", ")};`];
}
