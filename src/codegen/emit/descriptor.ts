import {
  type DescriptorProtoInput,
  type EnumDescriptorProtoInput,
  type FieldDescriptorProtoInput,
  FileDescriptorProto,
  MethodOptions_IdempotencyLevel as Idempotency,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { encodeMessage } from "../../protobuf/types.js";
import { isMessage } from "../link.js";
import type { ProtoEnum, ProtoField, ProtoFile, ProtoMessage, ProtoType, ScalarType } from "../model.js";

/** A file as a FileDescriptorProto: what coding and calling need; no comments, no custom options. */
export function descriptorOf(file: ProtoFile): Uint8Array {
  return encodeMessage(FileDescriptorProto, {
    name: file.name,
    package: file.package === "" ? undefined : file.package,
    dependency: file.imports.map(({ target }) => target),
    publicDependency: file.imports.flatMap((one, i) => (one.public ? [i] : [])),
    messageType: file.messages.filter(isOuter).map((message) => messageOf(message, file)),
    enumType: file.enums.filter(isOuter).map(enumOf),
    service: file.services.map(({ name, methods }) => ({
      name,
      method: methods.map((method) => ({
        name: method.name,
        inputType: `.${method.input?.fullName}`,
        outputType: `.${method.output?.fullName}`,
        options:
          method.idempotency === "unknown"
            ? undefined
            : {
                idempotencyLevel:
                  method.idempotency === "idempotent" ? Idempotency.IDEMPOTENT : Idempotency.NO_SIDE_EFFECTS,
              },
      })),
    })),
    syntax: file.syntax === "proto2" ? undefined : file.syntax,
  });
}

function isOuter({ shortName }: ProtoType): boolean {
  return !shortName.includes(".");
}

function messageOf(message: ProtoMessage, file: ProtoFile): DescriptorProtoInput {
  const isInner = (type: ProtoType): boolean => type.shortName === `${message.shortName}.${type.name}`;
  const optional = message.fields.filter((field) => isOptional(field, file));
  const oneofOf = (field: ProtoField): number | undefined => {
    if (isOptional(field, file)) return message.oneofs.length + optional.indexOf(field);
    const index = message.oneofs.findIndex(({ fields }) => fields.includes(field));
    return index < 0 ? undefined : index;
  };
  return {
    name: message.name,
    field: message.fields.map((field) => ({
      ...(field.mapKey === undefined
        ? fieldOf(field, file)
        : {
            ...{ name: field.name, jsonName: field.jsonName, number: field.id, label: Label.LABEL_REPEATED },
            ...{ type: Type.TYPE_MESSAGE, typeName: `.${message.fullName}.${entryName(field)}` },
          }),
      oneofIndex: oneofOf(field),
    })),
    nestedType: [
      ...file.messages.filter(isInner).map((inner) => messageOf(inner, file)),
      ...message.fields.filter(({ mapKey }) => mapKey !== undefined).map((field) => entryOf(field)),
    ],
    enumType: file.enums.filter(isInner).map(enumOf),
    oneofDecl: [...message.oneofs, ...optional.map(({ name }) => ({ name: `_${name}` }))].map(({ name }) => ({
      name,
    })),
  };
}

function isOptional({ presence }: ProtoField, file: ProtoFile): boolean {
  return presence === "explicit" && file.syntax === "proto3";
}

/** Of the message that protoc makes for a map: `by_name` has `ByNameEntry`. */
function entryName({ name }: ProtoField): string {
  const camel = name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
  return `${camel.slice(0, 1).toUpperCase()}${camel.slice(1)}Entry`;
}

function entryOf(field: ProtoField): DescriptorProtoInput {
  const half = (name: string, number: number, type: ProtoField["type"]): FieldDescriptorProtoInput => ({
    ...{ name, jsonName: name, number, label: Label.LABEL_OPTIONAL },
    ...typeOf(type),
  });
  return {
    name: entryName(field),
    field: [half("key", 1, field.mapKey as ScalarType), half("value", 2, field.type)],
    options: { mapEntry: true },
  };
}

function fieldOf(field: ProtoField, file: ProtoFile): FieldDescriptorProtoInput {
  const { presence, packed } = field;
  return {
    name: field.name,
    jsonName: field.jsonName,
    number: field.id,
    label:
      presence === "repeated"
        ? Label.LABEL_REPEATED
        : presence === "required"
          ? Label.LABEL_REQUIRED
          : Label.LABEL_OPTIONAL,
    ...typeOf(field.type),
    defaultValue: field.defaultText,
    proto3Optional: isOptional(field, file) || undefined,
    options: presence === "repeated" && packed !== (file.syntax === "proto3") ? { packed } : undefined,
  };
}

function typeOf(type: ProtoField["type"]): Pick<FieldDescriptorProtoInput, "type" | "typeName"> {
  if (typeof type === "string") {
    return { type: Type[`TYPE_${type.toUpperCase()}` as keyof typeof Type] };
  }
  return { type: isMessage(type) ? Type.TYPE_MESSAGE : Type.TYPE_ENUM, typeName: `.${type.fullName}` };
}

function enumOf({ name, values }: ProtoEnum): EnumDescriptorProtoInput {
  const alias = new Set(values.map(({ number }) => number)).size < values.length;
  return {
    name,
    value: values.map((value) => ({ name: value.name, number: value.number })),
    options: alias ? { allowAlias: true } : undefined,
  };
}
