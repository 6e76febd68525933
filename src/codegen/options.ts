import { importExtensions } from "./emit/context.js";
import type { OutputOptions } from "./generate.js";

/** The options that say what the code looks like: flags of `mprpc generate`, and words of protoc's `--mprpc_opt`. */
const rules: Readonly<
  Record<string, { key: keyof OutputOptions; values: Readonly<Record<string, unknown>> }>
> = {
  fields: { key: "fieldNames", values: { camel: "camel", keep: "keep" } },
  int64: { key: "int64", values: { bigint: "bigint", number: "number", string: "string" } },
  "import-extension": {
    key: "importExtension",
    values: Object.fromEntries(importExtensions.map((one) => [one, one])),
  },
  imports: { key: "imports", values: { all: true, none: false } },
};

export const outputOptionNames: readonly string[] = Object.keys(rules);

/** Sets one option. Gives what is wrong with it, in words, or undefined. */
export function setOutputOption(options: OutputOptions, name: string, value: string): string | undefined {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (rule === undefined) return `there is no option ${name}; there are ${outputOptionNames.join(", ")}`;
  if (!Object.hasOwn(rule.values, value)) {
    return `${name} is ${Object.keys(rule.values).join(" or ")}, not ${value === "" ? "empty" : value}`;
  }
  Object.assign(options, { [rule.key]: rule.values[value] });
  return undefined;
}
