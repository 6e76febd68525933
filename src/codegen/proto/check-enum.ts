import {
  FeatureSet_EnumType as EnumType,
  FeatureSet_JsonFormat as JsonFormat,
} from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { Reporter } from "./report.js";
import type { EnumSymbol, ValueSymbol } from "./symbols.js";

export function checkEnum(type: EnumSymbol, report: Reporter): void {
  const { values, features, node, name } = type;
  const [first] = values;
  if (features.enumType === EnumType.OPEN && first !== undefined && first.node.number !== 0) {
    report.error(
      first.node,
      "number",
      `${first.name}: the first value of the open enum ${name} has number 0`,
    );
  }
  if (node.options?.allowAlias !== true) {
    const seen = new Map<number, ValueSymbol>();
    for (const value of values) {
      const number = value.node.number ?? 0;
      const before = seen.get(number);
      if (before === undefined) seen.set(number, value);
      else {
        report.error(
          value.node,
          "number",
          `${value.name} and ${before.name} have the number ${number} both; option allow_alias = true; allows that`,
        );
      }
    }
  }
  checkShortNames(type, report);
}

/** Languages that leave the enum's name out of its values' names must not get one name twice. */
function checkShortNames(type: EnumSymbol, report: Reporter): void {
  const { values, features, node } = type;
  const lenient =
    features.jsonFormat === JsonFormat.LEGACY_BEST_EFFORT &&
    node.options?.deprecatedLegacyJsonFieldConflicts === true;
  const prefix = type.name.replaceAll("_", "").toLowerCase();
  const seen = new Map<string, ValueSymbol>();
  for (const value of values) {
    const short = pascalCase(withoutPrefix(value.name, prefix));
    const before = seen.get(short);
    if (before === undefined) seen.set(short, value);
    else if (before.name !== value.name && before.node.number !== value.node.number) {
      const text = `${value.name} and ${before.name} are both ${short} without the enum's name, case and underscores`;
      if (lenient) report.warn(value.node, "name", text);
      else report.error(value.node, "name", text);
    }
  }
}

function withoutPrefix(name: string, prefix: string): string {
  let at = 0;
  let matched = 0;
  for (; at < name.length && matched < prefix.length; at++) {
    if (name[at] === "_") continue;
    if (name[at]?.toLowerCase() !== prefix[matched]) return name;
    matched++;
  }
  if (matched < prefix.length) return name;
  while (name[at] === "_") at++;
  return at === name.length ? name : name.slice(at);
}

function pascalCase(name: string): string {
  let text = "";
  let upper = true;
  for (const one of name) {
    if (one === "_") {
      upper = true;
      continue;
    }
    text += upper ? one.toUpperCase() : one.toLowerCase();
    upper = false;
  }
  return text;
}
