import { floatOf, integerOf } from "./literals.js";
import type { OptionNamePart, RawOption, RawValue } from "./parsed.js";
import type { Location, ParserBase } from "./parser-base.js";

const uint64Max = (1n << 64n) - 1n;
const uninterpretedOption = 999;

/** `option name = value;` within a block; `owner` is what it is an option of. */
export function optionStatement(p: ParserBase, owner: object, options: Location): void {
  const location = openOption(p, owner, options);
  p.take("option");
  option(p, owner, location);
  p.takeEnd(";", location);
  p.close(location);
}

/** `[name = value, ...]` behind a declaration; `special` takes those that are no options, like `default`. */
export function bracketedOptions(
  p: ParserBase,
  owner: object,
  options: Location,
  special: () => boolean = () => false,
): void {
  p.take("[");
  do {
    if (special()) continue;
    const location = openOption(p, owner, options);
    option(p, owner, location);
    p.close(location);
  } while (p.tryTake(","));
  p.take("]", '"," or "]"');
}

function openOption(p: ParserBase, owner: object, options: Location): Location {
  return p.open(options, uninterpretedOption, p.options.get(owner)?.length ?? 0);
}

function option(p: ParserBase, owner: object, location: Location): void {
  const nameAt = p.token;
  const name: OptionNamePart[] = [namePart(p)];
  while (p.tryTake(".")) name.push(namePart(p));
  p.take("=");
  const valueAt = p.token;
  const value = optionValue(p);
  const found: RawOption = { name, value, nameAt, valueAt, location };
  const before = p.options.get(owner);
  if (before === undefined) p.options.set(owner, [found]);
  else before.push(found);
}

function namePart(p: ParserBase): OptionNamePart {
  if (!p.tryTake("(")) return { part: p.identifier("the name of an option"), extension: false };
  let part = "";
  if (p.atType("identifier")) part = p.identifier("a name");
  while (p.tryTake(".")) part += `.${p.identifier("a name")}`;
  if (part === "") p.fail(`expected the name of an option, not ${p.shown}`);
  p.take(")");
  return { part, extension: true };
}

function optionValue(p: ParserBase): RawValue {
  const negative = p.tryTake("-");
  switch (p.token.type) {
    case "identifier": {
      const { text } = p.token;
      // The text format's words for numbers that are none may have a sign, other names may not.
      if (negative && text !== "inf" && text !== "nan") p.fail(`"-" cannot stand in front of ${p.shown}`);
      p.next();
      if (!negative) return { kind: "identifier", text };
      return { kind: "double", value: text === "inf" ? Number.NEGATIVE_INFINITY : Number.NaN };
    }
    case "integer":
      return integerValue(p, negative);
    case "float": {
      const value = floatOf(p.token.text);
      p.next();
      return { kind: "double", value: negative ? -value : value };
    }
    case "string":
      if (negative) p.fail('"-" cannot stand in front of a string');
      return { kind: "string", bytes: p.bytes("a string") };
    default:
      if (negative || !p.at("{")) p.fail(`expected the option's value, not ${p.shown}`);
      return { kind: "aggregate", text: aggregate(p) };
  }
}

function integerValue(p: ParserBase, negative: boolean): RawValue {
  const { text } = p.token;
  const value = integerOf(text);
  const max = negative ? 1n << 63n : uint64Max;
  if (value !== undefined && value > max && !text.startsWith("0")) {
    // Decimal digits that are too many for an integer still make a float.
    p.next();
    return { kind: "double", value: negative ? -Number(text) : Number(text) };
  }
  const whole = p.integer("an integer", max);
  return negative ? { kind: "negative", value: -whole } : { kind: "positive", value: whole };
}

/** What stands between braces, for the text format's parser: the tokens with a space between them. */
function aggregate(p: ParserBase): string {
  const begin = p.token;
  p.take("{");
  const parts: string[] = [];
  for (let depth = 1; !p.atEnd; p.next()) {
    if (p.at("{")) depth++;
    else if (p.at("}")) {
      depth--;
      if (depth === 0) {
        p.next();
        return parts.join(" ");
      }
    }
    parts.push(p.token.text);
  }
  return p.fail('the option\'s value has no end: "}" is missing', begin);
}
