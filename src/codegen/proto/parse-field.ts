import {
  DescriptorProto,
  FieldDescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { doubleText, escapeBytes, floatOf, integerOf, textOf } from "./literals.js";
import { bracketedOptions } from "./parse-options.js";
import { type TypeReference, typeReference } from "./parse-types.js";
import type { Location, MessageHome, ParserBase } from "./parser-base.js";

/** Field numbers of FieldDescriptorProto. */
const inField = {
  name: 1,
  number: 3,
  label: 4,
  type: 5,
  typeName: 6,
  defaultValue: 7,
  options: 8,
  jsonName: 10,
};
const messageName = 1;

const labels = new Map([
  ["optional", Label.LABEL_OPTIONAL],
  ["required", Label.LABEL_REQUIRED],
  ["repeated", Label.LABEL_REPEATED],
]);

export function newField(p: ParserBase): FieldDescriptorProto {
  const field = FieldDescriptorProto.create({});
  p.placesOf(field).self = p.token;
  return field;
}

export function fieldWithLabel(
  p: ParserBase,
  field: FieldDescriptorProto,
  location: Location,
  home: MessageHome,
): void {
  const label = labels.get(p.token.text);
  if (label !== undefined) {
    const labelAt = p.open(location, inField.label);
    refuseLabel(p, label);
    p.next();
    p.close(labelAt);
    field.label = label;
    if (label === Label.LABEL_OPTIONAL && p.syntax === "proto3") field.proto3Optional = true;
  }
  fieldWithoutLabel(p, field, location, home);
}

function refuseLabel(p: ParserBase, label: Label): void {
  if (p.syntax !== "editions" || label === Label.LABEL_REPEATED) return;
  p.error(
    label === Label.LABEL_OPTIONAL
      ? "editions have no label optional: leave it out, or set features.field_presence"
      : "editions have no label required: set features.field_presence = LEGACY_REQUIRED",
  );
}

export function fieldWithoutLabel(
  p: ParserBase,
  field: FieldDescriptorProto,
  location: Location,
  home: MessageHome,
): void {
  const places = p.placesOf(field);
  places.type = p.token;
  const typeAt = p.open(location);
  const map = fieldType(p, field, typeAt);
  p.close(typeAt);

  const nameToken = p.token;
  places.name = nameToken;
  const name = p.open(location, inField.name);
  field.name = p.identifier("the field's name");
  p.close(name);
  p.take("=", '"=" and the field\'s number');
  places.number = p.token;
  const number = p.open(location, inField.number);
  field.number = Number(p.integer("the field's number"));
  p.close(number);
  if (p.at("[")) fieldOptions(p, field, location);
  if (field.type === Type.TYPE_GROUP) {
    group(p, field, location, home, nameToken);
    return;
  }
  p.takeEnd(";", location);
  if (map !== undefined) addMapEntry(p, field, map, home.list);
}

interface MapTypes {
  readonly key: TypeReference;
  readonly value: TypeReference;
}

/** Reads the type; for a map those of its keys and values. */
function fieldType(p: ParserBase, field: FieldDescriptorProto, location: Location): MapTypes | undefined {
  let found: TypeReference | undefined;
  if (p.tryTake("map")) {
    if (p.at("<")) return mapTypes(p, field, location);
    found = { typeName: "map" };
  }
  if (field.label === undefined) {
    if (p.syntax === "proto2") {
      p.error(
        `expected optional, required or repeated in front of the field's type ${noSyntaxHint(p)}`.trim(),
      );
    }
    field.label = Label.LABEL_OPTIONAL;
  }
  found ??= typeReference(p);
  if (found.typeName === undefined) {
    location.path.push(inField.type);
    field.type = found.type;
    if (found.type === Type.TYPE_GROUP && p.syntax === "editions") {
      p.error("editions have no groups: set features.message_encoding = DELIMITED on a field of a message");
    }
  } else {
    location.path.push(inField.typeName);
    field.typeName = found.typeName;
  }
  return undefined;
}

/** Who has only ever written proto3 does not see what is missing. */
function noSyntaxHint(p: ParserBase): string {
  return p.edition === 0 ? `(the file has no syntax = "proto3";)` : "";
}

function mapTypes(p: ParserBase, field: FieldDescriptorProto, location: Location): MapTypes {
  if (field.oneofIndex !== undefined) p.fail("a oneof cannot have map fields");
  if (field.label !== undefined) p.fail("a map field has no label: leave optional, required or repeated out");
  if (field.extendee !== undefined) p.fail("an extension cannot be a map field");
  field.label = Label.LABEL_REPEATED;
  const begin = p.token;
  p.take("<");
  const key = typeReference(p);
  p.take(",");
  const value = typeReference(p);
  p.take(">");
  if (key.type === Type.TYPE_GROUP || value.type === Type.TYPE_GROUP)
    p.fail("a map cannot have groups", begin);
  location.path.push(inField.typeName);
  return { key, value };
}

function fieldOptions(p: ParserBase, field: FieldDescriptorProto, location: Location): void {
  const options = p.open(location, inField.options);
  bracketedOptions(p, field, options, () => {
    if (p.at("default")) defaultValue(p, field, location);
    else if (p.at("json_name")) jsonName(p, field, location);
    else return false;
    return true;
  });
  p.close(options);
}

function jsonName(p: ParserBase, field: FieldDescriptorProto, parent: Location): void {
  if (field.jsonName !== undefined) p.error("json_name is already set");
  const location = p.open(parent, inField.jsonName);
  p.placesOf(field).jsonName = p.token;
  p.next();
  p.take("=");
  const value = p.open(location);
  field.jsonName = p.string("the name in JSON, in quotes");
  p.close(value);
  p.close(location);
}

function defaultValue(p: ParserBase, field: FieldDescriptorProto, parent: Location): void {
  if (field.defaultValue !== undefined) p.error("default is already set");
  p.next();
  p.take("=");
  const location = p.open(parent, inField.defaultValue);
  p.placesOf(field).defaultValue = p.token;
  field.defaultValue = defaultText(p, field.type);
  p.close(location);
}

const narrow: ReadonlySet<Type> = new Set([
  Type.TYPE_INT32,
  Type.TYPE_SINT32,
  Type.TYPE_SFIXED32,
  Type.TYPE_UINT32,
  Type.TYPE_FIXED32,
]);

function defaultText(p: ParserBase, type: Type | undefined): string {
  switch (type) {
    case undefined: {
      // Whether it names a value of the enum is checked when the type is known.
      const { text } = p.token;
      p.next();
      return textOf(text);
    }
    case Type.TYPE_BOOL:
      if (p.tryTake("true")) return "true";
      p.take("false", "true or false");
      return "false";
    case Type.TYPE_STRING:
      return p.string("the default value, a string");
    case Type.TYPE_BYTES:
      return escapeBytes(p.bytes("the default value, a string"));
    case Type.TYPE_FLOAT:
    case Type.TYPE_DOUBLE: {
      const sign = p.tryTake("-") ? "-" : "";
      const text = doubleText(floatingNumber(p));
      return text === "nan" ? text : sign + text;
    }
    case Type.TYPE_GROUP:
    case Type.TYPE_MESSAGE:
      return p.fail("messages have no default value");
    case Type.TYPE_UINT32:
    case Type.TYPE_FIXED32:
    case Type.TYPE_UINT64:
    case Type.TYPE_FIXED64:
      if (p.tryTake("-")) p.error("the default value of an unsigned field cannot be negative");
      return String(
        p.integer("the default value, an integer", narrow.has(type) ? 2n ** 32n - 1n : 2n ** 64n - 1n),
      );
    default: {
      const sign = p.tryTake("-") ? "-" : "";
      const max = (narrow.has(type) ? 2n ** 31n : 2n ** 63n) - (sign === "" ? 1n : 0n);
      const value = p.integer("the default value, an integer", max);
      return value === 0n ? "0" : sign + String(value);
    }
  }
}

function floatingNumber(p: ParserBase): number {
  const { type, text } = p.token;
  if (type === "float") {
    p.next();
    return floatOf(text);
  }
  if (type === "integer") {
    p.next();
    const value = integerOf(text);
    if (value !== undefined && value >= 2n ** 64n && text.startsWith("0"))
      p.error(`${text} is too large`, p.previous);
    return Number(value ?? 0n);
  }
  if (p.tryTake("inf")) return Number.POSITIVE_INFINITY;
  if (p.tryTake("nan")) return Number.NaN;
  return p.fail(`expected the default value, a number, not ${p.shown}`);
}

/** A group declares a message and a field at once, so both have locations in the same place. */
function group(
  p: ParserBase,
  field: FieldDescriptorProto,
  fieldAt: Location,
  home: MessageHome,
  nameToken: ParserBase["token"],
): void {
  const location = p.open(home.parent, home.field, home.list.length);
  p.startAt(location, { line: fieldAt.span[0] ?? 0, column: fieldAt.span[1] ?? 0 });
  const message = DescriptorProto.create({ name: field.name });
  home.list.push(message);
  const places = p.placesOf(message);
  places.name = nameToken;
  places.self = nameToken;
  for (const at of [p.open(location, messageName), p.open(fieldAt, inField.typeName)]) {
    p.startAt(at, nameToken);
    p.endAt(at, nameToken);
  }
  const name = field.name ?? "";
  if (!/^[A-Z]/.test(name)) p.error(`the name of a group begins with a capital letter: ${name}`, nameToken);
  field.typeName = name;
  field.name = name.toLowerCase();
  if (!p.at("{")) p.fail(`expected the group's fields in braces, not ${p.shown}`);
  home.block(p, message, location, home.depth);
  p.close(location);
}

function addMapEntry(
  p: ParserBase,
  field: FieldDescriptorProto,
  types: MapTypes,
  list: DescriptorProto[],
): void {
  const entry = DescriptorProto.create({ name: mapEntryName(field.name ?? "") });
  list.push(entry);
  p.mapEntries.add(entry);
  const places = p.placesOf(field);
  p.places.set(entry, { ...places });
  field.typeName = entry.name;
  const features = p.options
    .get(field)
    ?.filter(({ name: [first] }) => first?.part === "features" && !first.extension);
  for (const [i, name] of (["key", "value"] as const).entries()) {
    const inner = newField(p);
    p.places.set(inner, { ...places });
    inner.name = name;
    inner.number = i + 1;
    inner.label = Label.LABEL_OPTIONAL;
    inner.type = types[name].type;
    inner.typeName = types[name].typeName;
    entry.field.push(inner);
    if (features !== undefined && features.length > 0) {
      p.options.set(
        inner,
        features.map((one) => ({ ...one, location: undefined })),
      );
    }
  }
}

/** `foo_bar` gives `FooBarEntry`. */
function mapEntryName(fieldName: string): string {
  const words = fieldName.replace(/_+(.?)/g, (_all, first: string) => first.toUpperCase());
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}Entry`;
}
