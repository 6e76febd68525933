import { FeatureSet_JsonFormat as JsonFormat } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { jsonNameOf } from "./json-name.js";
import type { Reporter } from "./report.js";
import type { FieldSymbol, MessageSymbol } from "./symbols.js";

/**
 * Two fields of a message have different names in JSON: those that come of their own names, and those that json_name
 * sets. Where JSON is only a best effort (proto2), names that nobody has set may be the same.
 */
export function checkJsonNames(message: MessageSymbol, report: Reporter): void {
  const { fields, features, node } = message;
  for (const field of fields) {
    const name = field.node.jsonName ?? "";
    if (isCustom(field) && name.startsWith("[") && name.endsWith("]")) {
      report.error(field.node, "jsonName", `${field.name}: json_name cannot be in brackets: ${name}`);
    }
  }
  if (node.options?.deprecatedLegacyJsonFieldConflicts === true) return;
  const strict = features.jsonFormat === JsonFormat.ALLOW;
  for (const custom of [false, true]) {
    const seen = new Map<string, FieldSymbol>();
    for (const field of fields) {
      const name = custom ? (field.node.jsonName ?? "") : jsonNameOf(field.name);
      const before = seen.get(name);
      if (before === undefined) {
        seen.set(name, field);
        continue;
      }
      // The pass over the names that come of themselves has said so.
      if (custom && !isCustom(field) && !isCustom(before)) continue;
      const involvesDefault = !custom || !isCustom(field) || !isCustom(before);
      const text = `${field.name} and ${before.name} are both ${name} in JSON`;
      if (involvesDefault && !strict) report.warn(field.node, "name", text);
      else report.error(field.node, "name", text);
    }
  }
}

function isCustom({ node, name }: FieldSymbol): boolean {
  return node.jsonName !== undefined && node.jsonName !== jsonNameOf(name);
}
