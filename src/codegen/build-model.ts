import {
  defaultFeatures,
  editionOf,
  type Features,
  fieldFeatures,
  mergeFeatures,
} from "../descriptor/features.js";
import {
  type DescriptorProto,
  type Edition,
  type EnumDescriptorProto,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FeatureSet_Utf8Validation,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldOptions_JSType,
  type FileDescriptorProto,
  type MessageOptions,
  type MethodDescriptorProto,
  MethodOptions_IdempotencyLevel,
  type ServiceDescriptorProto,
} from "../descriptor/gen/google/protobuf/descriptor.js";
import { topic } from "../descriptor/gen/mprpc/options.js";
import type { MethodKind } from "../protobuf/types.js";
import { Comments } from "./comments.js";
import {
  type EnumModel,
  type ExtensionModel,
  type FieldModel,
  type FileModel,
  isMessage,
  type LongForm,
  type MessageModel,
  type MethodModel,
  type OneofModel,
  type Presence,
  type ScalarType,
  type ServiceModel,
  type TopicModel,
  type TypeModel,
} from "./model.js";
import { type FieldNames, fieldName, memberNames, methodName } from "./names.js";
import { findRecursion } from "./recursion.js";

export interface ModelOptions {
  readonly fieldNames: FieldNames;
  /** What 64-bit integers without `[jstype]` are. */
  readonly longs: LongForm;
}

/** One file as a front end gives it: `descriptor` is `proto` in bytes, without source positions. */
export interface DescribedFile {
  readonly proto: FileDescriptorProto;
  readonly descriptor: Uint8Array;
}

/** The types of google/protobuf are named in camel case whatever is asked for: `mprpc/codec` knows Timestamp, Any and Struct. */
const googleFolder = "google/protobuf/";

/** By `FieldDescriptorProto.Type`; groups and messages are told apart by their features. */
const scalars: readonly (ScalarType | undefined)[] = [
  ...([
    undefined,
    "double",
    "float",
    "int64",
    "uint64",
    "int32",
    "fixed64",
    "fixed32",
    "bool",
    "string",
  ] as const),
  ...([
    undefined,
    undefined,
    "bytes",
    "uint32",
    undefined,
    "sfixed32",
    "sfixed64",
    "sint32",
    "sint64",
  ] as const),
];

/** Numbers of fields in descriptor.proto: they make the paths by which comments are found. */
const at = {
  file: { messages: 4, enums: 5, services: 6, extensions: 7 },
  message: { fields: 2, nested: 3, enums: 4, extensions: 6, options: 7, oneofs: 8 },
  enum: { values: 2 },
  service: { methods: 2 },
} as const;

/**
 * Models of linked files, each behind those it imports. Throws `TypeError` for a set that is not complete: a type or a file
 * that is named but not there.
 */
export function buildModels(files: readonly DescribedFile[], options: ModelOptions): FileModel[] {
  const types = new Map<string, TypeModel>();
  const models = new Map<string, FileModel>();
  const hasTopics = files.some(({ proto }) => knowsTopics(proto));
  for (const file of files) {
    const builder = new FileBuilder(file, { ...options, hasTopics }, types, models);
    models.set(builder.file.name, builder.build());
  }
  const all = [...models.values()];
  findRecursion(all.flatMap(({ messages }) => messages));
  return all;
}

/**
 * Whether the number of `mprpc.topic` is that option's in these files, since an option is declared once among files that were
 * parsed together. Those that only `import option` names may not be among them.
 */
function knowsTopics({ package: scope, extension, optionDependency }: FileDescriptorProto): boolean {
  return (
    optionDependency.includes("mprpc/options.proto") ||
    extension.some(({ name, number }) => `${scope}.${name}` === topic.typeName && number === topic.number)
  );
}

/** An element with its parent's features and the path to it. */
interface Place {
  readonly features: Features;
  readonly path: readonly number[];
  /** The short name of the message around it, with a dot behind; empty at the top. */
  readonly prefix: string;
}

interface BuilderOptions extends ModelOptions {
  /** Whether messages may have `option (mprpc.topic)`. */
  readonly hasTopics: boolean;
}

/** What is left to do when all types of the file are known. */
type Later = () => void;

class FileBuilder {
  readonly file: FileModel;
  readonly #options: BuilderOptions;
  readonly #types: Map<string, TypeModel>;
  readonly #comments: Comments;
  readonly #edition: Edition;
  readonly #style: FieldNames;
  /** The nested types behind map fields, which are not generated. */
  readonly #entries = new Map<string, DescriptorProto>();
  readonly #later: Later[] = [];

  constructor(
    { proto, descriptor }: DescribedFile,
    options: BuilderOptions,
    types: Map<string, TypeModel>,
    models: ReadonlyMap<string, FileModel>,
  ) {
    const name = proto.name ?? "";
    this.#options = options;
    this.#types = types;
    this.#comments = new Comments(proto);
    this.#edition = editionOf(proto);
    this.#style = name.startsWith(googleFolder) ? "camel" : options.fieldNames;
    const dependencies = proto.dependency.map((one) => {
      const found = models.get(one);
      if (found !== undefined) return found;
      throw new TypeError(`${name} imports ${one}, which is not among the descriptors in front of it`);
    });
    this.file = {
      ...{ name, package: proto.package ?? "", descriptor, proto, dependencies },
      ...{ messages: [], enums: [], services: [], extensions: [] },
    };
  }

  build(): FileModel {
    const { proto } = this.file;
    const features = mergeFeatures(defaultFeatures(this.#edition), proto.options?.features);
    const place = (number: number, i: number): Place => ({ features, path: [number, i], prefix: "" });
    proto.messageType.forEach((one, i) => {
      this.#message(one, place(at.file.messages, i));
    });
    proto.enumType.forEach((one, i) => {
      this.#enum(one, place(at.file.enums, i));
    });
    proto.service.forEach((one, i) => {
      this.#service(one, place(at.file.services, i));
    });
    proto.extension.forEach((one, i) => {
      this.#extension(one, place(at.file.extensions, i));
    });
    for (const finish of this.#later) finish();
    return this.file;
  }

  #declared(name: string, place: Place, options: { readonly deprecated?: boolean | undefined } | undefined) {
    return { name, comment: this.#comments.of(place.path), deprecated: options?.deprecated ?? false };
  }

  #declaredType(
    name: string,
    place: Place,
    options: { readonly deprecated?: boolean | undefined } | undefined,
  ) {
    const shortName = place.prefix + name;
    const scope = this.file.package;
    const fullName = scope === "" ? shortName : `${scope}.${shortName}`;
    return { ...this.#declared(name, place, options), file: this.file, fullName, shortName };
  }

  #message(proto: DescriptorProto, place: Place): void {
    const { name = "", options } = proto;
    const declared = this.#declaredType(name, place, options);
    if (options?.mapEntry === true) {
      this.#entries.set(declared.fullName, proto);
      return;
    }
    const message: MessageModel = {
      ...declared,
      ...{ kind: "message", fields: [], oneofs: [], recursive: false, countsDepth: false },
      messageSet: options?.messageSetWireFormat ?? false,
      topic: this.#topicOf(options, place.path),
    };
    this.file.messages.push(message);
    this.#types.set(message.fullName, message);
    const features = mergeFeatures(place.features, options?.features);
    const inner = (number: number, i: number): Place => ({
      ...{ features, path: [...place.path, number, i], prefix: `${message.shortName}.` },
    });
    proto.nestedType.forEach((one, i) => {
      this.#message(one, inner(at.message.nested, i));
    });
    proto.enumType.forEach((one, i) => {
      this.#enum(one, inner(at.message.enums, i));
    });
    proto.extension.forEach((one, i) => {
      this.#extension(one, inner(at.message.extensions, i));
    });
    this.#later.push(() => this.#members(message, proto, inner));
  }

  #topicOf(options: MessageOptions | undefined, path: readonly number[]): TopicModel | undefined {
    if (!this.#options.hasTopics || options === undefined || !topic.has(options)) return undefined;
    const key = [...path, at.message.options, topic.number].join();
    const found = this.file.proto.sourceCodeInfo?.location.find((one) => one.path.join() === key);
    const [line, column] = (found?.span ?? []).map((from0) => from0 + 1);
    return { name: topic.get(options) ?? "", line, column };
  }

  #members(message: MessageModel, proto: DescriptorProto, inner: (number: number, i: number) => Place): void {
    const isOf = (i: number) => (field: FieldDescriptorProto) => isInOneof(field) && field.oneofIndex === i;
    // A proto3 `optional` stands in a oneof of its own in the descriptor, which nobody declared.
    const declaredOneofs = proto.oneofDecl
      .map((oneof, i) => ({ oneof, i, fields: proto.field.filter(isOf(i)) }))
      .filter(({ fields }) => fields.length > 0);
    const single = proto.field.filter((field) => !isInOneof(field));
    const local = (name: string): string => fieldName(name, this.#style);
    const names = memberNames(
      [...single, ...declaredOneofs.map(({ oneof }) => oneof)].map(({ name = "" }) => name),
      local,
    );
    const localNames = new Map<FieldDescriptorProto, string>();
    single.forEach((field, i) => {
      localNames.set(field, names[i] as string);
    });
    for (const { fields } of declaredOneofs) {
      const cases = memberNames(
        fields.map(({ name = "" }) => name),
        local,
      );
      fields.forEach((field, i) => {
        localNames.set(field, cases[i] as string);
      });
    }
    const fields = new Map(
      proto.field.map((field, i) => [
        field,
        this.#field(field, inner(at.message.fields, i), {
          localName: localNames.get(field) as string,
          errorName: `${message.shortName}.${field.name}`,
        }),
      ]),
    );
    message.fields = [...fields.values()];
    message.oneofs = declaredOneofs.map(({ oneof, i, fields: own }, n): OneofModel => {
      const model: OneofModel = {
        ...this.#declared(oneof.name ?? "", inner(at.message.oneofs, i), undefined),
        localName: names[single.length + n] as string,
        fields: own.map((field) => fields.get(field) as FieldModel),
      };
      for (const field of model.fields) field.oneof = model;
      return model;
    });
  }

  #field(
    proto: FieldDescriptorProto,
    place: Place,
    names: { readonly localName: string; readonly errorName: string },
  ): FieldModel {
    const entry = this.#entryOf(proto);
    const [keyProto, valueProto = proto] = entry?.field ?? [];
    const features = fieldFeatures(this.#edition, place.features, proto);
    const type = this.#typeOf(valueProto);
    return {
      ...this.#declared(proto.name ?? "", place, proto.options),
      ...names,
      number: proto.number ?? 0,
      type,
      presence: presenceOf(proto, features, type, entry !== undefined),
      packed: features.repeatedFieldEncoding === FeatureSet_RepeatedFieldEncoding.PACKED,
      delimited: entry === undefined && features.messageEncoding === FeatureSet_MessageEncoding.DELIMITED,
      verifyUtf8: features.utf8Validation === FeatureSet_Utf8Validation.VERIFY,
      longs: this.#longsOf(proto),
      mapKey: keyProto && scalars[keyProto.type ?? 0],
      defaultValue: proto.defaultValue,
      oneof: undefined,
    };
  }

  #longsOf({ options }: FieldDescriptorProto): LongForm {
    if (options?.jstype === FieldOptions_JSType.JS_STRING) return "string";
    if (options?.jstype === FieldOptions_JSType.JS_NUMBER) return "number";
    return this.file.name.startsWith(googleFolder) ? "bigint" : this.#options.longs;
  }

  #entryOf({ label, typeName = "" }: FieldDescriptorProto): DescriptorProto | undefined {
    return label === FieldDescriptorProto_Label.LABEL_REPEATED
      ? this.#entries.get(typeName.slice(1))
      : undefined;
  }

  #typeOf({ type, typeName = "", name }: FieldDescriptorProto): FieldModel["type"] {
    return scalars[type ?? 0] ?? this.#found(typeName, `field ${name}`);
  }

  #found(typeName: string, user: string): TypeModel {
    const found = this.#types.get(typeName.replace(/^\./, ""));
    if (found !== undefined) return found;
    throw new TypeError(`${this.file.name}: the type ${typeName} of ${user} is not among the descriptors`);
  }

  #messageAt(typeName: string, user: string): MessageModel {
    const found = this.#found(typeName, user);
    if (isMessage(found)) return found;
    throw new TypeError(`${this.file.name}: the type ${typeName} of ${user} is not a message`);
  }

  #enum(proto: EnumDescriptorProto, place: Place): void {
    const features = mergeFeatures(place.features, proto.options?.features);
    const model: EnumModel = {
      ...this.#declaredType(proto.name ?? "", place, proto.options),
      kind: "enum",
      closed: features.enumType === FeatureSet_EnumType.CLOSED,
      values: proto.value.map(({ name = "", number = 0, options }, i) => ({
        ...this.#declared(name, { ...place, path: [...place.path, at.enum.values, i] }, options),
        number,
      })),
    };
    this.file.enums.push(model);
    this.#types.set(model.fullName, model);
  }

  #extension(proto: FieldDescriptorProto, place: Place): void {
    const declared = this.#declaredType(proto.name ?? "", place, proto.options);
    this.#later.push(() => {
      const model: ExtensionModel = {
        ...declared,
        kind: "extension",
        extendee: this.#messageAt(proto.extendee ?? "", `extension ${proto.name}`),
        field: this.#field(proto, place, { localName: "value", errorName: declared.fullName }),
      };
      this.file.extensions.push(model);
    });
  }

  #service(proto: ServiceDescriptorProto, place: Place): void {
    const declared = this.#declaredType(proto.name ?? "", place, proto.options);
    const localNames = memberNames(
      proto.method.map(({ name = "" }) => name),
      methodName,
    );
    this.#later.push(() => {
      const methods = proto.method.map((one, i) =>
        this.#method(
          one,
          { ...place, path: [...place.path, at.service.methods, i] },
          localNames[i] as string,
        ),
      );
      this.file.services.push({ ...declared, kind: "service", methods } satisfies ServiceModel);
    });
  }

  #method(proto: MethodDescriptorProto, place: Place, localName: string): MethodModel {
    const { name = "", options, inputType = "", outputType = "" } = proto;
    return {
      ...this.#declared(name, place, options),
      localName,
      kind: kindOf(proto),
      idempotency: idempotencyOf(options?.idempotencyLevel),
      input: this.#messageAt(inputType, `rpc ${name}`),
      output: this.#messageAt(outputType, `rpc ${name}`),
    };
  }
}

function isInOneof({ oneofIndex, proto3Optional }: FieldDescriptorProto): boolean {
  return oneofIndex !== undefined && proto3Optional !== true;
}

function presenceOf(
  field: FieldDescriptorProto,
  features: Features,
  type: FieldModel["type"],
  isMap: boolean,
): Presence {
  if (isMap) return "map";
  if (field.label === FieldDescriptorProto_Label.LABEL_REPEATED) return "repeated";
  if (isInOneof(field)) return "oneof";
  if (features.fieldPresence === FeatureSet_FieldPresence.LEGACY_REQUIRED) return "required";
  if (isMessage(type) || field.extendee !== undefined) return "explicit";
  return features.fieldPresence === FeatureSet_FieldPresence.IMPLICIT ? "implicit" : "explicit";
}

function kindOf({ clientStreaming, serverStreaming }: MethodDescriptorProto): MethodKind {
  if (clientStreaming === true) return serverStreaming === true ? "bidi_streaming" : "client_streaming";
  return serverStreaming === true ? "server_streaming" : "unary";
}

function idempotencyOf(level: MethodOptions_IdempotencyLevel | undefined): MethodModel["idempotency"] {
  if (level === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return "no_side_effects";
  return level === MethodOptions_IdempotencyLevel.IDEMPOTENT ? "idempotent" : "unknown";
}
