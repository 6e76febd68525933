import {
  Edition,
  FeatureSet_EnumType as EnumType,
  FieldOptions_JSType as JsType,
  FieldDescriptorProto_Label as Label,
  FeatureSet_FieldPresence as Presence,
  FeatureSet_RepeatedFieldEncoding as RepeatedEncoding,
  FieldDescriptorProto_Type as Type,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Reporter } from "./report.js";
import { type FieldSymbol, isLite, type MessageSymbol } from "./symbols.js";

const integers64: ReadonlySet<Type> = new Set([
  Type.TYPE_INT64,
  Type.TYPE_UINT64,
  Type.TYPE_SINT64,
  Type.TYPE_FIXED64,
  Type.TYPE_SFIXED64,
]);
const notPackable: ReadonlySet<Type> = new Set([
  Type.TYPE_STRING,
  Type.TYPE_BYTES,
  Type.TYPE_MESSAGE,
  Type.TYPE_GROUP,
]);
const optionsMessage =
  /^google\.protobuf\.(File|Message|Field|Enum|EnumValue|Service|Method|Oneof|ExtensionRange)Options$/;

export function checkField(field: FieldSymbol, report: Reporter): void {
  const { node, file } = field;
  checkOptionsOfField(field, report);
  if (field.extension) checkExtension(field, report);
  if (isMapField(field)) checkMap(field, field.message as MessageSymbol, report);
  if (file.edition === Edition.EDITION_PROTO3) checkProto3(field, report);
  else if (file.edition >= Edition.EDITION_2023) checkFeatures(field, report);
  if (field.enum !== undefined && !field.extension && field.features.fieldPresence === Presence.IMPLICIT) {
    const single = node.label !== Label.LABEL_REPEATED && field.oneof === undefined;
    if (single && isClosed(field) && !inMapEntry(field)) {
      report.error(
        node,
        "type",
        `${field.name}: ${field.enum.fullName} is closed, and only open enums have implicit presence`,
      );
    }
  }
}

function isClosed({ enum: type }: FieldSymbol): boolean {
  return type?.features.enumType === EnumType.CLOSED;
}

function inMapEntry({ parent, file }: FieldSymbol): boolean {
  return parent !== undefined && file.parsed.mapEntries.has(parent.node);
}

function isMapField({ message, node, file }: FieldSymbol): boolean {
  return (
    node.label === Label.LABEL_REPEATED && message?.file === file && file.parsed.mapEntries.has(message.node)
  );
}

function checkOptionsOfField({ node, name, file }: FieldSymbol, report: Reporter): void {
  const { options, type = Type.TYPE_INT32 } = node;
  if (options === undefined) return;
  const repeated = node.label === Label.LABEL_REPEATED;
  if ((options.lazy || options.unverifiedLazy) && type !== Type.TYPE_MESSAGE) {
    report.error(node, "type", `${name}: lazy is for fields of messages`);
  }
  if (options.packed === true && (!repeated || notPackable.has(type))) {
    report.error(node, "type", `${name}: packed is for repeated numbers, bools and enums`);
  }
  if ((options.jstype ?? JsType.JS_NORMAL) !== JsType.JS_NORMAL && !integers64.has(type)) {
    report.error(node, "type", `${name}: jstype is for 64-bit integers`);
  }
  const { edition } = file;
  if (edition < Edition.EDITION_2023) return;
  if (report.hasOption(node, 2)) {
    report.error(
      node,
      "name",
      `${name}: editions have no option packed; set features.repeated_field_encoding`,
    );
  }
  if (edition >= Edition.EDITION_2024 && report.hasOption(node, 1)) {
    report.error(
      node,
      "name",
      `${name}: edition 2024 and newer have no ctype; set features.(pb.cpp).string_type`,
    );
  }
}

function checkExtension(field: FieldSymbol, report: Reporter): void {
  const { node, container, name, file } = field;
  if (container === undefined) return;
  if (node.label === Label.LABEL_REQUIRED)
    report.error(node, "type", `${name}: an extension cannot be required`);
  if (container.node.options?.messageSetWireFormat === true) {
    if (node.label !== Label.LABEL_OPTIONAL || node.type !== Type.TYPE_MESSAGE) {
      report.error(node, "type", `${name}: an extension of a message set is an optional message`);
    }
  }
  if (isLite(file) && !isLite(container.file)) {
    report.error(
      node,
      "extendee",
      `${name}: a file with optimize_for = LITE_RUNTIME extends only messages of such files`,
    );
  }
  if (file.edition === Edition.EDITION_PROTO3 && !optionsMessage.test(container.fullName)) {
    report.error(
      node,
      "extendee",
      `${name}: proto3 extends only the messages of options, like google.protobuf.FieldOptions`,
    );
  }
}

function checkMap(field: FieldSymbol, entry: MessageSymbol, report: Reporter): void {
  const [key, value] = entry.fields;
  const { node, name } = field;
  const refused = keyProblem(key);
  if (refused !== undefined)
    report.error(node, "type", `${name}: a map's key is an integer, bool or string, not ${refused}`);
  if (value?.node.type === Type.TYPE_ENUM && value.enum?.values[0]?.node.number !== 0) {
    report.error(node, "type", `${name}: the first value of ${value.enum?.fullName} has to be 0 in a map`);
  }
}

function keyProblem(key: FieldSymbol | undefined): string | undefined {
  switch (key?.node.type) {
    case Type.TYPE_ENUM:
      return "an enum";
    case Type.TYPE_FLOAT:
    case Type.TYPE_DOUBLE:
      return "a floating number";
    case Type.TYPE_BYTES:
      return "bytes";
    case Type.TYPE_MESSAGE:
    case Type.TYPE_GROUP:
      return "a message";
    default:
      return undefined;
  }
}

function checkProto3(field: FieldSymbol, report: Reporter): void {
  const { node, name } = field;
  if (node.label === Label.LABEL_REQUIRED)
    report.error(node, "type", `${name}: proto3 has no required fields`);
  if (node.defaultValue !== undefined) {
    report.error(node, "defaultValue", `${name}: proto3 has no default values but zero and empty`);
  }
  if (node.type === Type.TYPE_GROUP) report.error(node, "type", `${name}: proto3 has no groups`);
  if (field.enum !== undefined && isClosed(field)) {
    report.error(node, "type", `${name}: a proto3 message cannot use the closed enum ${field.enum.fullName}`);
  }
}

/** What a field's own features may say of it. */
function checkFeatures(field: FieldSymbol, report: Reporter): void {
  const { node, name, oneof, extension, features } = field;
  const own = node.options?.features;
  const repeated = node.label === Label.LABEL_REPEATED;
  const type = node.type ?? Type.TYPE_INT32;
  const isMessage = type === Type.TYPE_MESSAGE || type === Type.TYPE_GROUP;
  const complain = (text: string): void => report.error(node, "name", `${name}: ${text}`);
  // A map's features are copied to its keys and values, to which not all of them apply.
  const inMap = inMapEntry(field);
  if (own?.fieldPresence !== undefined) {
    if (oneof !== undefined)
      complain("a field of a oneof has presence, which features.field_presence cannot change");
    else if (repeated) complain("features.field_presence is not for repeated fields");
    else if (extension && own.fieldPresence === Presence.LEGACY_REQUIRED)
      complain("an extension cannot be required");
    else if (extension) complain("features.field_presence is not for extensions");
    else if (isMessage && own.fieldPresence === Presence.IMPLICIT)
      complain("a message cannot have implicit presence");
  }
  const implicit = features.fieldPresence === Presence.IMPLICIT && oneof === undefined && !extension;
  if (implicit && !repeated && node.defaultValue !== undefined) {
    complain("a field with implicit presence cannot have a default value");
  }
  if (inMap) return;
  if (own?.repeatedFieldEncoding !== undefined) {
    if (!repeated) complain("features.repeated_field_encoding is for repeated fields");
    else if (own.repeatedFieldEncoding === RepeatedEncoding.PACKED && notPackable.has(type)) {
      complain("features.repeated_field_encoding = PACKED is for repeated numbers, bools and enums");
    }
  }
  if (own?.utf8Validation !== undefined && !isString(field))
    complain("features.utf8_validation is for strings");
  if (own?.messageEncoding !== undefined && (!isMessage || isMapField(field))) {
    complain("features.message_encoding is for fields of messages");
  }
}

/** Strings, and maps whose keys or values are. */
function isString(field: FieldSymbol): boolean {
  if (field.node.type === Type.TYPE_STRING) return true;
  return (
    isMapField(field) && (field.message?.fields.some(({ node }) => node.type === Type.TYPE_STRING) ?? false)
  );
}
