import {
  EnumDescriptorProto,
  EnumDescriptorProto_EnumReservedRange,
  EnumValueDescriptorProto,
  type SymbolVisibility,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { bracketedOptions, optionStatement } from "./parse-options.js";
import { reservedNames } from "./parse-ranges.js";
import type { Location, ParserBase } from "./parser-base.js";

const int32Max = 2_147_483_647;

/** Field numbers of EnumDescriptorProto and EnumValueDescriptorProto. */
const inEnum = { name: 1, value: 2, options: 3, reservedRange: 4, reservedName: 5 };
const inValue = { name: 1, number: 2, options: 3 };
const inRange = { start: 1, end: 2 };

export function enumDefinition(
  p: ParserBase,
  list: EnumDescriptorProto[],
  location: Location,
  visibility: SymbolVisibility | undefined,
): void {
  const type = EnumDescriptorProto.create({ visibility });
  list.push(type);
  p.placesOf(type).self = p.token;
  p.take("enum");
  const name = p.open(location, inEnum.name);
  p.placesOf(type).name = p.token;
  type.name = p.identifier("the enum's name");
  p.close(name);
  p.takeEnd("{", location);
  p.block(`enum ${type.name}`, () => enumStatement(p, type, location));
  checkAliases(p, type);
}

function enumStatement(p: ParserBase, type: EnumDescriptorProto, location: Location): void {
  if (p.tryTakeEnd(";")) return;
  if (p.at("option")) {
    const options = p.open(location, inEnum.options);
    optionStatement(p, type, options);
    p.close(options);
  } else if (p.at("reserved")) {
    const begin = p.token;
    p.next();
    if (p.atType("string") || p.atType("identifier")) {
      reservedNames(p, type.reservedName, location, inEnum.reservedName, begin);
    } else reservedNumbers(p, type, location, begin);
  } else {
    const inner = p.open(location, inEnum.value, type.value.length);
    enumValue(p, type, inner);
    p.close(inner);
  }
}

function enumValue(p: ParserBase, type: EnumDescriptorProto, location: Location): void {
  const value = EnumValueDescriptorProto.create({});
  type.value.push(value);
  const places = p.placesOf(value);
  places.name = p.token;
  const name = p.open(location, inValue.name);
  value.name = p.identifier("the name of an enum value");
  p.close(name);
  p.take("=", '"=" and the number of the enum value');
  places.number = p.token;
  const number = p.open(location, inValue.number);
  value.number = p.signedInteger("the number of the enum value");
  p.close(number);
  if (p.at("[")) {
    const options = p.open(location, inValue.options);
    bracketedOptions(p, value, options);
    p.close(options);
  }
  p.takeEnd(";", location);
}

function reservedNumbers(
  p: ParserBase,
  type: EnumDescriptorProto,
  parent: Location,
  begin: ParserBase["token"],
): void {
  const all = p.open(parent, inEnum.reservedRange);
  p.startAt(all, begin);
  do {
    const location = p.open(all, type.reservedRange.length);
    const first = p.token;
    const range = EnumDescriptorProto_EnumReservedRange.create({});
    type.reservedRange.push(range);
    p.placesOf(range).self = first;
    const startAt = p.open(location, inRange.start);
    range.start = p.signedInteger("a reserved number or name");
    p.close(startAt);
    if (p.tryTake("to")) {
      const endAt = p.open(location, inRange.end);
      range.end = p.tryTake("max") ? int32Max : p.signedInteger('a number or "max"');
      p.close(endAt);
    } else {
      const endAt = p.open(location, inRange.end);
      p.startAt(endAt, first);
      p.endAt(endAt, first);
      range.end = range.start;
    }
    p.close(location);
  } while (p.tryTake(","));
  p.takeEnd(";", all);
  p.close(all);
}

function checkAliases(p: ParserBase, type: EnumDescriptorProto): void {
  const aliases = p.options
    .get(type)
    ?.find(({ name }) => name.length === 1 && name[0]?.part === "allow_alias");
  if (aliases === undefined || aliases.name[0]?.extension) return;
  const allowed = aliases.value.kind === "identifier" && aliases.value.text === "true";
  if (!allowed) {
    p.error(`${type.name}: allow_alias = false is what every enum has; leave it out`, aliases.nameAt);
    return;
  }
  const numbers = new Set(type.value.map(({ number }) => number));
  if (numbers.size === type.value.length) {
    p.error(`${type.name}: allow_alias is set, but no two values have the same number`, aliases.nameAt);
  }
}
