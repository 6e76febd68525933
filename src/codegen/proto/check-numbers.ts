import { FieldDescriptorProto_Label as Label } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { jsonNameOf } from "./json-name.js";
import type { Reporter } from "./report.js";
import type { EnumSymbol, FieldSymbol, MessageSymbol } from "./symbols.js";

const fieldNumberMax = 536_870_911;
const int32Max = 2_147_483_647;

/** What a field's declaration says of itself. */
export function checkFieldShape({ node, name, extension }: FieldSymbol, report: Reporter): void {
  const number = node.number ?? 0;
  if (number < 1) report.error(node, "number", `${name}: field numbers begin with 1, not ${number}`);
  // Only a message set has larger numbers for its extensions, which is known when it is found.
  else if (!extension && number > fieldNumberMax) {
    report.error(node, "number", `${name}: field numbers end at ${fieldNumberMax}, before ${number}`);
  } else if (number >= 19_000 && number <= 19_999) {
    report.error(node, "number", `${name}: field numbers 19000 to 19999 are kept for protobuf itself`);
  }
  if (extension && node.jsonName !== undefined && node.jsonName !== jsonNameOf(name)) {
    report.error(node, "jsonName", `${name}: an extension cannot have a json_name`);
  }
  if (node.label === Label.LABEL_REPEATED && node.defaultValue !== undefined) {
    report.error(node, "defaultValue", `${name}: a repeated field has no default value`);
  }
  if (node.jsonName?.includes("\0"))
    report.error(node, "jsonName", `${name}: json_name holds a NUL character`);
}

interface Span {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly node: object;
}

function spanText({ start, end }: Span): string {
  return end - start === 1 ? String(start) : `${start} to ${end - 1}`;
}

/** Two spans that overlap, for every one that begins within an earlier one. */
function* overlaps(spans: readonly Span[]): Generator<[before: Span, later: Span]> {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  let widest: Span | undefined;
  for (const span of sorted) {
    if (widest !== undefined && span.start < widest.end) yield [widest, span];
    if (widest === undefined || span.end > widest.end) widest = span;
  }
}

/** The span that holds a number, by bisection among spans that do not overlap. */
function holderOf(sorted: readonly Span[], number: number): Span | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.end ?? 0) > number) high = middle;
    else low = middle + 1;
  }
  const found = sorted[low];
  return found !== undefined && found.start <= number ? found : undefined;
}

function spansOf(ranges: ReadonlyArray<{ start?: number | undefined; end?: number | undefined }>): Span[] {
  return ranges.map((node) => ({ start: node.start ?? 0, end: node.end ?? 0, node }));
}

/** Ranges and reserved names of a message, against each other and its fields. */
export function checkMessageNumbers(message: MessageSymbol, report: Reporter): void {
  const { node } = message;
  const reserved = spansOf(node.reservedRange);
  const extensions = spansOf(node.extensionRange);
  const messageSet = isMessageSet(message);
  for (const [spans, what, last] of [
    [reserved, "reserved", int32Max - 1],
    [extensions, "extensions", messageSet ? int32Max - 1 : fieldNumberMax],
  ] as const) {
    for (const span of spans) {
      if (span.start < 1)
        report.error(span.node, "number", `${what}: field numbers begin with 1, not ${span.start}`);
      else if (span.end <= span.start) {
        report.error(span.node, "number", `${what}: a range ends behind its start, not with ${span.end - 1}`);
      } else if (span.end - 1 > last) {
        report.error(span.node, "number", `${what}: numbers end at ${last}, before ${span.end - 1}`);
      }
    }
    for (const [before, later] of overlaps(spans)) {
      report.error(later.node, "number", `${what} ${spanText(later)} overlaps ${what} ${spanText(before)}`);
    }
  }
  for (const [before, later] of crossOverlaps(extensions, reserved)) {
    report.error(later.node, "number", `extensions ${spanText(later)} overlaps reserved ${spanText(before)}`);
  }
  checkReservedNames(message, node.reservedName, message.fields, report);
  const byStart = (spans: Span[]) => [...spans].sort((a, b) => a.start - b.start);
  const sortedReserved = byStart(reserved);
  const sortedExtensions = byStart(extensions);
  const numbers = new Map<number, FieldSymbol>();
  for (const field of message.fields) {
    const number = field.node.number ?? 0;
    const before = numbers.get(number);
    if (before !== undefined) {
      report.error(field.node, "number", `${field.name}: ${before.name} has number ${number} already`);
    } else numbers.set(number, field);
    if (holderOf(sortedReserved, number) !== undefined) {
      report.error(field.node, "number", `${field.name}: number ${number} is reserved`);
    }
    const range = holderOf(sortedExtensions, number);
    if (range !== undefined) {
      report.error(
        field.node,
        "number",
        `${field.name}: number ${number} is for extensions (${spanText(range)})`,
      );
    }
  }
}

/** Only what the text says: options are interpreted later. */
function isMessageSet({ file, node }: MessageSymbol): boolean {
  return (
    file.parsed.options.get(node)?.some(({ name: [first], value }) => {
      return (
        first?.part === "message_set_wire_format" && value.kind === "identifier" && value.text === "true"
      );
    }) ?? false
  );
}

function* crossOverlaps(extensions: readonly Span[], reserved: readonly Span[]): Generator<[Span, Span]> {
  const sorted = [...reserved].sort((a, b) => a.start - b.start);
  for (const span of extensions) {
    // The first that ends behind the start of this one is the only one that may hold its start, or begins within it.
    let low = 0;
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.end ?? 0) > span.start) high = middle;
      else low = middle + 1;
    }
    const inside = sorted[low];
    if (inside !== undefined && inside.start < span.end) yield [inside, span];
  }
}

function checkReservedNames(
  owner: { readonly node: object },
  names: readonly string[],
  used: ReadonlyArray<{ readonly name: string; readonly node: object }>,
  report: Reporter,
): void {
  const reserved = new Set<string>();
  for (const name of names) {
    if (reserved.has(name)) report.error(owner.node, "name", `the name ${name} is reserved more than once`);
    reserved.add(name);
  }
  for (const { name, node } of used) {
    if (reserved.has(name)) report.error(node, "name", `the name ${name} is reserved`);
  }
}

/** Numbers and reserved names of an enum. */
export function checkEnumNumbers(type: EnumSymbol, report: Reporter): void {
  const { node, values, name } = type;
  if (values.length === 0) report.error(node, "name", `enum ${name} has no values`);
  const reserved = node.reservedRange.map((range) => ({
    start: range.start ?? 0,
    end: (range.end ?? 0) + 1,
    node: range,
  }));
  for (const span of reserved) {
    if (span.end <= span.start) {
      report.error(span.node, "self", `reserved: a range ends behind its start, not with ${span.end - 1}`);
    }
  }
  for (const [before, later] of overlaps(reserved)) {
    report.error(later.node, "self", `reserved ${spanText(later)} overlaps reserved ${spanText(before)}`);
  }
  checkReservedNames(type, node.reservedName, values, report);
  const sorted = [...reserved].sort((a, b) => a.start - b.start);
  for (const value of values) {
    const number = value.node.number ?? 0;
    if (holderOf(sorted, number) !== undefined) {
      report.error(value.node, "number", `${value.name}: number ${number} is reserved`);
    }
  }
}
