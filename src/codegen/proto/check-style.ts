import { mergeFeatures } from "../../descriptor/features.js";
import { FeatureSet_EnforceNamingStyle as Style } from "../../descriptor/gen/google/protobuf/descriptor.js";
import type { LinkedFile } from "./option-tree.js";
import type { Reporter } from "./report.js";
import { enumsOf, extensionsOf, type FieldSymbol, messagesOf, type OneofSymbol } from "./symbols.js";

interface Rule {
  readonly pattern: RegExp;
  readonly text: string;
}

const titleCase: Rule = { pattern: /^[A-Z][A-Za-z0-9]*$/, text: "is written in TitleCase" };
const lowerSnake: Rule = {
  pattern: /^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$/,
  text: "is written in lower_snake_case",
};
const upperSnake: Rule = {
  pattern: /^[A-Z][A-Z0-9]*(_[A-Z][A-Z0-9]*)*$/,
  text: "is written in UPPER_SNAKE_CASE",
};

/** The style that edition 2024 asks of names, where it is not turned off. */
export function checkNamingStyle(file: LinkedFile, report: Reporter): void {
  const check = (node: object, style: Style, what: string, name: string, rule: Rule): void => {
    if (style === Style.STYLE_LEGACY || rule.pattern.test(name)) return;
    report.error(
      node,
      "name",
      `${name}: the name of ${what} ${rule.text}; features.enforce_naming_style = STYLE_LEGACY allows others`,
    );
  };
  const ofField = ({ node, features, name }: FieldSymbol): void =>
    check(node, features.enforceNamingStyle, "a field", name, lowerSnake);
  const style = file.features.enforceNamingStyle;
  if (file.package !== "") {
    for (const part of file.package.split(".")) check(file.node, style, "a package", part, lowerSnake);
  }
  for (const { node, name, features, fields, oneofs } of messagesOf(file)) {
    if (file.parsed.mapEntries.has(node)) continue;
    check(node, features.enforceNamingStyle, "a message", name, titleCase);
    const names = new Set([...fields, ...oneofs].map((one) => one.name));
    for (const one of [...fields, ...oneofs]) {
      if (one.features.enforceNamingStyle === Style.STYLE2026) checkCollisions(one, names, report);
    }
    for (const field of fields) ofField(field);
    for (const oneof of oneofs)
      check(oneof.node, oneof.features.enforceNamingStyle, "a oneof", oneof.name, lowerSnake);
  }
  for (const field of extensionsOf(file)) {
    if (field.features.enforceNamingStyle === Style.STYLE2026) checkCollisions(field, new Set(), report);
    ofField(field);
  }
  for (const { node, name, features, values } of enumsOf(file)) {
    check(node, features.enforceNamingStyle, "an enum", name, titleCase);
    for (const value of values) {
      const own = mergeFeatures(features, value.node.options?.features).enforceNamingStyle;
      check(value.node, own, "an enum value", value.name, upperSnake);
    }
  }
  for (const { node, name, methods } of file.services) {
    const features = mergeFeatures(file.features, node.options?.features);
    check(node, features.enforceNamingStyle, "a service", name, titleCase);
    for (const method of methods) {
      const own = mergeFeatures(features, method.node.options?.features).enforceNamingStyle;
      check(method.node, own, "a method", method.name, titleCase);
    }
  }
}

/** Names that generated code of some language has for something else, which edition 2026 refuses. */
function checkCollisions(
  { node, name }: FieldSymbol | OneofSymbol,
  names: ReadonlySet<string>,
  report: Reporter,
): void {
  const inner = /^(?:get|has|set|clear)_(.+)$/.exec(name)?.[1] ?? /^(.+)_value$/.exec(name)?.[1];
  const collides = name === "descriptor" || (inner !== undefined && names.has(inner));
  if (!collides) return;
  const other = name === "descriptor" ? "generated code has" : `generated code has for ${inner}`;
  report.error(
    node,
    "name",
    `${name} is a name that ${other}; features.enforce_naming_style = STYLE2024 allows it`,
  );
}
