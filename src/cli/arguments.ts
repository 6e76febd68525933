import { parseArgs } from "node:util";
import { didYouMean } from "../base/nearest.js";
import { UsageError } from "./command.js";

/** A command's own options. `many`: may be given several times; `optional`: with `=value` or without. */
export interface OptionSpec {
  readonly kind: "flag" | "value" | "many" | "optional";
  readonly short?: string;
}

export interface ParsedArguments {
  readonly positionals: readonly string[];
  readonly help: boolean;
  has(name: string): boolean;
  value(name: string): string | undefined;
  values(name: string): readonly string[];
  /** `-i FILE` and `--key=value`, for `loadConfig`; empty unless `takesConfig`. */
  readonly config: readonly string[];
}

interface Shorthand extends OptionSpec {
  readonly flag: string;
  /** What stands before the value. */
  readonly prefix?: string;
}

/** Keys of the configuration that are typed so often that they have a name of their own. */
const callerOptions: Readonly<Record<string, Shorthand>> = {
  "token-file": { kind: "value", flag: "--auth.token", prefix: "file:" },
  tls: { kind: "flag", flag: "--tls.mode=required" },
  ca: { kind: "value", flag: "--tls.ca" },
  cert: { kind: "value", flag: "--tls.cert" },
  key: { kind: "value", flag: "--tls.key" },
  peername: { kind: "value", flag: "--tls.peername" },
  secrets: { kind: "value", flag: "--auth.secrets" },
  secret: { kind: "value", flag: "--auth.secret" },
};

/** The part of a usage text that tells of them. */
export const callerUsage = `  --token-file FILE       sent as authorization: Bearer TOKEN (auth.token); only on connections that nobody else can read,
                          unless the configuration says auth.allowplain=yes
  --ca FILE               speak TLS, to providers with a certificate of these authorities (tls.ca)
  --peername NAME         whom to take for the provider (tls.peername); default: the host connected to
  --cert FILE, --key FILE our own certificate (tls.cert, tls.key)
  --secrets FILE, --secret NAME
                          speak TLS with a shared secret instead (auth.secrets, auth.secret)
  --tls                   speak TLS, to providers with a certificate of an authority that Node.js knows
`;

const helpOption: OptionSpec = { kind: "flag", short: "h" };

/**
 * Reads a command's arguments. With `takesConfig`, `-i FILE` and every `--name=value` that is no option of the command
 * are kept for the configuration, which judges them. Throws `UsageError`.
 */
export function readArguments(
  args: readonly string[],
  options: Readonly<Record<string, OptionSpec>>,
  { takesConfig = false } = {},
): ParsedArguments {
  const shorthands = takesConfig ? callerOptions : {};
  const specs: Readonly<Record<string, OptionSpec>> = { ...shorthands, ...options, help: helpOption };
  const own = Object.entries(specs).map(([name, { kind, short }]) => {
    const type = kind === "flag" || kind === "optional" ? ("boolean" as const) : ("string" as const);
    return [name, short === undefined ? { type } : { type, short }] as const;
  });
  const conf = takesConfig ? { i: { type: "string", short: "i" } as const } : {};
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...Object.fromEntries(own), ...conf },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const found = new Map<string, string[]>();
  const positionals: string[] = [];
  const config: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    const shorthand = Object.hasOwn(shorthands, name) ? shorthands[name] : undefined;
    if (spec !== undefined && shorthand !== undefined) {
      const { kind, flag, prefix = "" } = shorthand;
      const text = readValue(rawName, spec, value);
      config.push(kind === "flag" ? flag : `${flag}=${prefix}${text}`);
    } else if (spec !== undefined)
      found.set(name, [...(found.get(name) ?? []), readValue(rawName, spec, value)]);
    else if (takesConfig && rawName === "-i") config.push("-i", readValue(rawName, { kind: "value" }, value));
    else if (takesConfig && rawName.startsWith("--") && value !== undefined)
      config.push(`${rawName}=${value}`);
    else throw unknownOption(rawName, specs, takesConfig);
  }
  const single = ["value", "optional"];
  for (const [name, values] of found) {
    if (single.includes(specs[name]?.kind ?? "") && values.length > 1)
      throw new UsageError(`--${name} is given twice`);
  }
  return {
    positionals,
    config,
    help: found.has("help"),
    has: (name) => found.has(name),
    value: (name) => found.get(name)?.[0],
    values: (name) => found.get(name) ?? [],
  };
}

function readValue(rawName: string, { kind }: OptionSpec, value: string | undefined): string {
  if (kind === "flag") {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return "";
  }
  if (kind === "optional" && value === undefined) return "";
  if (value === undefined || value === "") throw new UsageError(`${rawName} needs a value`);
  return value;
}

function unknownOption(
  rawName: string,
  specs: Readonly<Record<string, OptionSpec>>,
  takesConfig: boolean,
): UsageError {
  const names = Object.keys(specs).map((name) => `--${name}`);
  const hint = rawName.startsWith("--") ? didYouMean(rawName, names) : "";
  const keys = takesConfig && hint === "" ? "; a key of the configuration is given as --key=value" : "";
  return new UsageError(`unknown option ${rawName}${hint}${keys}`);
}

/** Throws `UsageError` unless there are `min` to `max` positional arguments, called `names` in the message. */
export function checkCount(positionals: readonly string[], names: string, min: number, max = min): void {
  const got = positionals.length;
  if (got >= min && got <= max) return;
  if (got > max) throw new UsageError(`unexpected argument ${JSON.stringify(positionals[max])}`);
  throw new UsageError(`expected ${names}`);
}
