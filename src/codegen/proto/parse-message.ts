import {
  DescriptorProto,
  type FieldDescriptorProto,
  OneofDescriptorProto,
  type SymbolVisibility,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { enumDefinition } from "./parse-enum.js";
import { fieldWithLabel, fieldWithoutLabel, newField } from "./parse-field.js";
import { optionStatement } from "./parse-options.js";
import { extensionRanges, reservedStatement, setMaxima } from "./parse-ranges.js";
import { userTypeName } from "./parse-types.js";
import type { Location, MessageHome, ParserBase } from "./parser-base.js";
import { visibilityAhead } from "./visibility.js";

/** Field numbers of DescriptorProto, OneofDescriptorProto and FieldDescriptorProto. */
const inMessage = {
  name: 1,
  field: 2,
  nestedType: 3,
  enumType: 4,
  extensionRange: 5,
  extension: 6,
  options: 7,
  oneofDecl: 8,
};
const inOneof = { name: 1, options: 2 };
const extendeeField = 2;

/** As many messages within each other as protoc takes. */
const nestingMax = 31;

export function messageDefinition(
  p: ParserBase,
  list: DescriptorProto[],
  location: Location,
  depth: number,
  visibility: SymbolVisibility | undefined,
): void {
  const message = DescriptorProto.create({ visibility });
  list.push(message);
  p.placesOf(message).self = p.token;
  p.take("message");
  const name = p.open(location, inMessage.name);
  p.placesOf(message).name = p.token;
  message.name = p.identifier("the message's name");
  p.close(name);
  messageBlock(p, message, location, depth);
}

/** What stands in the braces of a message or a group. */
export function messageBlock(
  p: ParserBase,
  message: DescriptorProto,
  location: Location,
  depth: number,
): void {
  if (depth > nestingMax) p.fail(`messages are nested more than ${nestingMax} deep`);
  p.takeEnd("{", location);
  p.block(`message ${message.name}`, () => messageStatement(p, message, location, depth));
  setMaxima(p, message);
  if (p.syntax === "proto3") addSyntheticOneofs(message);
}

function messageStatement(p: ParserBase, message: DescriptorProto, location: Location, depth: number): void {
  if (p.tryTakeEnd(";")) return;
  const visibility = visibilityAhead(p);
  const home: MessageHome = {
    list: message.nestedType,
    parent: location,
    field: inMessage.nestedType,
    depth: depth + 1,
    block: messageBlock,
  };
  if (p.at("message")) {
    const inner = p.open(location, inMessage.nestedType, message.nestedType.length);
    messageDefinition(p, message.nestedType, inner, depth + 1, visibility);
    p.close(inner);
  } else if (p.at("enum")) {
    const inner = p.open(location, inMessage.enumType, message.enumType.length);
    enumDefinition(p, message.enumType, inner, visibility);
    p.close(inner);
  } else if (p.at("extensions")) {
    const inner = p.open(location, inMessage.extensionRange);
    extensionRanges(p, message, inner);
    p.close(inner);
  } else if (p.at("reserved")) reservedStatement(p, message, location);
  else if (p.at("extend")) {
    const inner = p.open(location, inMessage.extension);
    extendDefinition(p, message.extension, inner, home);
    p.close(inner);
  } else if (p.at("option")) {
    const inner = p.open(location, inMessage.options);
    optionStatement(p, message, inner);
    p.close(inner);
  } else if (p.at("oneof")) oneofDefinition(p, message, location, home);
  else {
    const inner = p.open(location, inMessage.field, message.field.length);
    const field = newField(p);
    message.field.push(field);
    fieldWithLabel(p, field, inner, home);
    p.close(inner);
  }
}

function oneofDefinition(p: ParserBase, message: DescriptorProto, parent: Location, home: MessageHome): void {
  const index = message.oneofDecl.length;
  const location = p.open(parent, inMessage.oneofDecl, index);
  const oneof = OneofDescriptorProto.create({});
  message.oneofDecl.push(oneof);
  p.take("oneof");
  const name = p.open(location, inOneof.name);
  p.placesOf(oneof).name = p.token;
  oneof.name = p.identifier("the oneof's name");
  p.close(name);
  p.takeEnd("{", location);
  do {
    if (p.atEnd) p.fail(`oneof ${oneof.name} has no end: "}" is missing`);
    if (p.at("option")) {
      const options = p.open(location, inOneof.options);
      optionStatement(p, oneof, options);
      p.close(options);
      continue;
    }
    if (p.at("required") || p.at("optional") || p.at("repeated")) {
      p.error(`a field of a oneof has no label: leave ${p.shown} out`);
      p.next();
    }
    const inner = p.open(parent, inMessage.field, message.field.length);
    const field = newField(p);
    field.label = 1;
    field.oneofIndex = index;
    message.field.push(field);
    p.recovering(() => fieldWithoutLabel(p, field, inner, home));
    p.close(inner);
  } while (!p.tryTakeEnd("}"));
  p.close(location);
}

/** `extend Type { fields }` */
export function extendDefinition(
  p: ParserBase,
  list: FieldDescriptorProto[],
  location: Location,
  home: MessageHome,
): void {
  p.take("extend");
  const start = p.token;
  const extendee = userTypeName(p);
  const end = p.previous;
  p.takeEnd("{", location);
  do {
    if (p.atEnd) p.fail('extend has no end: "}" is missing');
    const inner = p.open(location, list.length);
    const field = newField(p);
    field.extendee = extendee;
    list.push(field);
    p.placesOf(field).extendee = start;
    const extendeeAt = p.open(inner, extendeeField);
    p.startAt(extendeeAt, start);
    p.endAt(extendeeAt, end);
    p.recovering(() => fieldWithLabel(p, field, inner, home));
    p.close(inner);
  } while (!p.tryTakeEnd("}"));
}

/** In proto3 an optional field is the only one of a oneof that nobody wrote. */
function addSyntheticOneofs(message: DescriptorProto): void {
  const optional = message.field.filter(({ proto3Optional }) => proto3Optional === true);
  if (optional.length === 0) return;
  const names = new Set([...message.field, ...message.oneofDecl].map(({ name }) => name));
  for (const field of optional) {
    let name = field.name ?? "";
    if (!name.startsWith("_")) name = `_${name}`;
    while (names.has(name)) name = `X${name}`;
    names.add(name);
    field.oneofIndex = message.oneofDecl.length;
    message.oneofDecl.push(OneofDescriptorProto.create({ name }));
  }
}
