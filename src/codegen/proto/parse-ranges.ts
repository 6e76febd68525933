import {
  type DescriptorProto,
  DescriptorProto_ExtensionRange,
  DescriptorProto_ReservedRange,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import { bracketedOptions } from "./parse-options.js";
import type { Location, ParserBase } from "./parser-base.js";
import type { Token } from "./tokenizer.js";

/** Field numbers of DescriptorProto and its ranges. */
const inMessage = { extensionRange: 5, reservedRange: 9, reservedName: 10 };
const inRange = { start: 1, end: 2, options: 3 };

/** Stands for `max` until the message's options are known. */
const toMax = -1;
const fieldNumberEnd = 536_870_912;
const int32Max = 2_147_483_647;

/** `extensions 4, 100 to max [options];` */
export function extensionRanges(p: ParserBase, message: DescriptorProto, all: Location): void {
  p.take("extensions");
  const from = message.extensionRange.length;
  do {
    const range = DescriptorProto_ExtensionRange.create({});
    const location = p.open(all, message.extensionRange.length);
    message.extensionRange.push(range);
    p.placesOf(range).number = p.token;
    numberRange(p, range, location, "a field number");
    p.close(location);
  } while (p.tryTake(","));
  const ranges = message.extensionRange.slice(from);
  if (p.at("[")) rangeOptions(p, ranges, from, all);
  p.takeEnd(";", all);
}

/** The options count for every range of the statement, their locations too. */
function rangeOptions(
  p: ParserBase,
  ranges: readonly DescriptorProto_ExtensionRange[],
  from: number,
  all: Location,
): void {
  const [first] = ranges;
  if (first === undefined) return;
  const before = p.locations;
  p.locations = [];
  const options = p.open(all, from, inRange.options);
  bracketedOptions(p, first, options);
  p.close(options);
  const taken = p.locations;
  p.locations = before;
  const indexAt = all.path.length;
  const found = p.options.get(first) ?? [];
  for (const [i, range] of ranges.entries()) {
    const moved = new Map(
      taken.map((one) => {
        const path = [...one.path];
        path[indexAt] = from + i;
        return [one, { ...one, path, leadingDetachedComments: [...one.leadingDetachedComments] }];
      }),
    );
    p.locations.push(...moved.values());
    p.options.set(
      range,
      found.map((one) => ({ ...one, location: one.location && moved.get(one.location) })),
    );
  }
}

/** `reserved` of a message: field numbers, or names. */
export function reservedStatement(p: ParserBase, message: DescriptorProto, parent: Location): void {
  const begin = p.token;
  p.take("reserved");
  if (p.atType("string") || p.atType("identifier")) {
    reservedNames(p, message.reservedName, parent, inMessage.reservedName, begin);
    return;
  }
  const all = p.open(parent, inMessage.reservedRange);
  p.startAt(all, begin);
  do {
    const range = DescriptorProto_ReservedRange.create({});
    const location = p.open(all, message.reservedRange.length);
    message.reservedRange.push(range);
    p.placesOf(range).number = p.token;
    numberRange(p, range, location, "a reserved field number or name");
    p.close(location);
  } while (p.tryTake(","));
  p.takeEnd(";", all);
  p.close(all);
}

/** Names in quotes; in editions names without. */
export function reservedNames(
  p: ParserBase,
  names: string[],
  parent: Location,
  field: number,
  begin: Token,
): void {
  const all = p.open(parent, field);
  p.startAt(all, begin);
  const inQuotes = p.syntax !== "editions";
  if (inQuotes !== p.atType("string")) {
    p.fail(
      inQuotes
        ? `reserved names stand in quotes outside of editions: "${p.shown}"`
        : "reserved names stand without quotes in editions",
    );
  }
  do {
    const location = p.open(all, names.length);
    names.push(inQuotes ? p.string("a reserved name") : p.identifier("a reserved name"));
    p.close(location);
  } while (p.tryTake(","));
  p.takeEnd(";", all);
  p.close(all);
}

/** `4`, `4 to 9` or `4 to max`: the end is exclusive. */
function numberRange(
  p: ParserBase,
  range: { start: number | undefined; end: number | undefined },
  location: Location,
  wanted: string,
): void {
  const first = p.token;
  const startAt = p.open(location, inRange.start);
  range.start = Number(p.integer(wanted));
  p.close(startAt);
  if (p.tryTake("to")) {
    const endAt = p.open(location, inRange.end);
    range.end = p.tryTake("max") ? toMax : Number(p.integer('a number or "max"')) + 1;
    p.close(endAt);
  } else {
    const endAt = p.open(location, inRange.end);
    p.startAt(endAt, first);
    p.endAt(endAt, first);
    range.end = range.start + 1;
  }
}

/** Puts the number in that `max` stands for, which is larger in a message set. */
export function setMaxima(p: ParserBase, message: DescriptorProto): void {
  const messageSet = p.options
    .get(message)
    ?.some(
      ({ name, value }) =>
        name.length === 1 &&
        name[0]?.part === "message_set_wire_format" &&
        value.kind === "identifier" &&
        value.text === "true",
    );
  const end = messageSet ? int32Max : fieldNumberEnd;
  for (const range of message.extensionRange) if (range.end === toMax) range.end = end;
  for (const range of message.reservedRange) if (range.end === toMax) range.end = end;
}
