import { localAddress, withoutScheme } from "../base/address.js";
import { boolean, checkOptions, describeValue, type OptionRule, type OptionRules } from "../base/options.js";
import { brokerForms, isBrokerUrl } from "../broker/open.js";
import { classicDialects } from "../protocol/classic/classic-wire.js";
import { isRegistryScheme, isRegistryUrl, registryForms } from "../registry/open.js";
import type { ClassicChoice, ClassicUse } from "../runtime/runtime.js";
import { isPeerName, peerNameForms } from "../transport/tls/peer-name.js";
import { formatDuration, parseDurationMs } from "../values/duration.js";
import { type AdvertisedAddress, isHost, isWildcard, parseHostAndPort } from "../values/hosts.js";
import { formatSize, parseSizeBytes } from "../values/size.js";

/** What a value is measured in; it ends the name of the value: `calltimeout` is read as `calltimeoutMs`. */
export type Unit = "" | "Ms" | "Bytes";

/** A type of values: how it is written in a conf file, read and shown. */
export interface Kind<T, U extends Unit = Unit> {
  readonly unit: U;
  /** Stands for the value in a usage text: `--calltimeout=DURATION`. */
  readonly placeholder: string;
  /** Ends the sentence "expected ...", limits included. */
  readonly expected: string;
  /** `undefined`: the text is no such value. The text is trimmed and holds no control characters. */
  parse(text: string): { readonly value: T } | undefined;
  /** The shortest text that reads as `value`. */
  format(value: T): string;
}

/** The name a program knows a kind's maker by, and how it is called, for the error about a wrong call. */
interface Maker {
  readonly name: string;
  readonly example: string;
}

const limit: OptionRule = {
  expected: "a number",
  accepts: (value) => typeof value === "number" && !Number.isNaN(value),
};

/** A program without types may leave the limits out, or misspell one, which would be no limit at all. */
function checkLimits<T extends object>(
  { name, example }: Maker,
  given: T,
  rules: OptionRules<T>,
  ...needed: ReadonlyArray<keyof T & string>
): void {
  if (given === undefined) throw new TypeError(`${name}: expected limits, such as ${example}`);
  checkOptions<T>(name, given, given, rules);
  const missing = needed.find((one) => given[one] === undefined);
  if (missing !== undefined)
    throw new TypeError(`${name}: ${JSON.stringify(missing)} is missing, write ${example}`);
}

function isKind(value: unknown): value is Kind<unknown> {
  return typeof value === "object" && value !== null && "parse" in value && typeof value.parse === "function";
}

/** Throws `TypeError` unless `value` is a kind. */
export function checkKind(owner: string, value: unknown): void {
  if (isKind(value)) return;
  throw new TypeError(
    `${owner}: expected a kind, such as conf.duration({ minMs: 1000 }) or conf.yesNo, got ${describeValue(value)}`,
  );
}

/** Whether `value` is what `conf.key` makes. */
export function isKey(value: unknown): boolean {
  return typeof value === "object" && value !== null && "kind" in value && isKind(value.kind);
}

/** Beyond it Node's timers do not reach: 2^31 - 1 ms, nearly 25 days. Times that no timer waits for may be longer. */
const durationMaxMs = 2_147_483_647;

export interface DurationLimits {
  minMs: number;
  /** Default: what a timer can wait, 24 days. */
  maxMs?: number | undefined;
  /** Allow `none`, which is `Infinity`. Default false. */
  none?: boolean | undefined;
}

/** `5000` (ms), `500ms`, `5s`, `1.5s`, `2m`, `1h`, `7d`; whole milliseconds. */
export function duration(limits: DurationLimits): Kind<number, "Ms"> {
  const maker = { name: "conf.duration", example: "conf.duration({ minMs: 1000 })" };
  checkLimits(maker, limits, { minMs: limit, maxMs: limit, none: boolean }, "minMs");
  const { minMs, maxMs = durationMaxMs, none = false } = limits;
  const most = maxMs === durationMaxMs ? "24 days" : formatDuration(maxMs);
  const within = `from ${formatDuration(minMs)} to ${most}`;
  return {
    unit: "Ms",
    placeholder: "DURATION",
    expected: `a duration ${within} such as 5000, 500ms, 5s or 2m${none ? ", or none" : ""}`,
    parse(text) {
      if (none && text.toLowerCase() === "none") return { value: Number.POSITIVE_INFINITY };
      return whole(parseDurationMs(text), minMs, maxMs);
    },
    format: formatDuration,
  };
}

/** Both included. */
interface NumberLimits {
  min: number;
  max: number;
}

const numberLimitRules: OptionRules<NumberLimits> = { min: limit, max: limit };

/** `65536`, `64KiB`, `4MiB`, `1GiB`, `1TiB`: 1024, not 1000, hence no `KB`. */
export function size(limits: NumberLimits): Kind<number, "Bytes"> {
  const maker = { name: "conf.size", example: "conf.size({ min: 0, max: 64 * 1024 ** 2 })" };
  checkLimits(maker, limits, numberLimitRules, "min", "max");
  const { min, max } = limits;
  return {
    unit: "Bytes",
    placeholder: "SIZE",
    expected: `a size from ${formatSize(min)} to ${formatSize(max)} such as 65536, 64KiB or 4MiB`,
    parse: (text) => whole(parseSizeBytes(text), min, max),
    format: formatSize,
  };
}

export function integer(limits: NumberLimits): Kind<number, ""> {
  const maker = { name: "conf.integer", example: "conf.integer({ min: 1, max: 100 })" };
  checkLimits(maker, limits, numberLimitRules, "min", "max");
  const { min, max } = limits;
  return {
    unit: "",
    placeholder: "N",
    expected: `an integer from ${min} to ${max}`,
    parse: (text) => (/^\d{1,16}$/.test(text) ? whole(Number(text), min, max) : undefined),
    format: String,
  };
}

function whole(value: number | undefined, min: number, max: number): { value: number } | undefined {
  if (value === undefined) return undefined;
  // 1.1s is 1100.0000000000002 in floating point, and means 1100.
  const rounded = Math.round(value);
  const near = Math.abs(value - rounded) <= 1e-9 * Math.max(1, rounded);
  return near && rounded >= min && rounded <= max ? { value: rounded } : undefined;
}

export function port(min: 0 | 1): Kind<number, ""> {
  if (min !== 0 && min !== 1) {
    throw new TypeError(
      `conf.port: expected 0 (any free one may be asked for) or 1, got ${describeValue(min)}`,
    );
  }
  const suffix = min === 0 ? ", 0 for any free one" : "";
  return {
    ...integer({ min, max: 65_535 }),
    placeholder: "PORT",
    expected: `a port from ${min} to 65535${suffix}`,
  };
}

/** One of `allowed`. Capitals do not count, unless two of the words differ in nothing else. */
export function choice<const T extends string>(...allowed: readonly T[]): Kind<T, ""> {
  if (allowed.length === 0) {
    throw new TypeError(
      'conf.choice: expected the words to choose from, such as conf.choice("fast", "safe")',
    );
  }
  return {
    unit: "",
    placeholder: allowed.join("|"),
    expected: `one of ${allowed.join(", ")}`,
    parse(text) {
      const alike = allowed.filter((one) => one.toLowerCase() === text.toLowerCase());
      const value = alike.length === 1 ? alike[0] : alike.find((one) => one === text);
      return value === undefined ? undefined : { value };
    },
    format: (value) => value,
  };
}

const booleanWords: ReadonlyMap<string, boolean> = new Map([
  ["yes", true],
  ["true", true],
  ["on", true],
  ["1", true],
  ["no", false],
  ["false", false],
  ["off", false],
  ["0", false],
]);

export const yesNo: Kind<boolean, ""> = {
  unit: "",
  placeholder: "yes|no",
  expected: "yes or no (also true/false, on/off, 1/0)",
  parse(text) {
    const value = booleanWords.get(text.toLowerCase());
    return value === undefined ? undefined : { value };
  },
  format: (value) => (value ? "yes" : "no"),
};

const classicItem = /^(?:([A-Za-z_][\w.]*|\*)\s*=\s*)?(\S+)$/;

const useOf = (word: string): ClassicUse | undefined =>
  booleanWords.get(word) ?? classicDialects.find((dialect) => dialect === word);
const formatUse = (use: ClassicUse): string => (typeof use === "boolean" ? yesNo.format(use) : use);

/** `yes`, `no`, `auto` or a dialect, or by service: `no,fixbug.UserServiceRpc=varint`; `auto` is no choice. */
export const classicChoice: Kind<ClassicChoice | undefined, ""> = {
  unit: "",
  placeholder: "yes|no|auto|DIALECT|SERVICE=yes,...",
  expected: `yes, no, auto or a dialect (${classicDialects.join(", ")}), and SERVICE=yes, SERVICE=no or SERVICE=DIALECT for single services, between commas`,
  parse(text) {
    let rest: ClassicUse | undefined;
    const services: Record<string, ClassicUse> = {};
    for (const item of text.split(",")) {
      const [, service = "*", word = ""] = classicItem.exec(item.trim()) ?? [];
      const value = useOf(word.toLowerCase());
      if (value === undefined && !(service === "*" && word.toLowerCase() === "auto")) return undefined;
      if (service === "*") rest = value;
      else if (value !== undefined) services[service] = value;
    }
    if (Object.keys(services).length === 0) return { value: rest };
    return { value: Object.freeze(rest === undefined ? services : { "*": rest, ...services }) };
  },
  format(value) {
    if (value === undefined) return "auto";
    if (typeof value !== "object") return formatUse(value);
    return Object.entries(value)
      .map(([service, use]) => `${service === "*" ? "" : `${service}=`}${formatUse(use)}`)
      .join(",");
  },
};

/** Names between commas; blanks around them do not count, and an empty text is an empty list. */
export const list: Kind<readonly string[], ""> = {
  unit: "",
  placeholder: "A,B,...",
  expected: "names between commas",
  parse(text) {
    const items = text.split(",").map((item) => item.trim());
    return { value: Object.freeze(items.filter((item) => item !== "")) };
  },
  format: (value) => value.join(","),
};

/** Some of these, between commas, each once. */
export function choices<const T extends string>(...allowed: readonly T[]): Kind<readonly T[], ""> {
  return {
    unit: "",
    placeholder: allowed.join(","),
    expected: `one or more of ${allowed.join(", ")}, between commas`,
    parse(text) {
      const words = [...new Set(text.split(",").map((word) => word.trim().toLowerCase()))];
      const known = words.filter((word): word is T => allowed.some((one) => one === word));
      return known.length === words.length ? { value: Object.freeze(known) } : undefined;
    },
    format: (value) => value.join(","),
  };
}

/** Text that `accepts` says yes to. */
export function text(
  placeholder: string,
  expected: string,
  accepts: (text: string) => boolean = (text) => text !== "",
): Kind<string, ""> {
  return {
    unit: "",
    placeholder,
    expected,
    parse: (value) => (accepts(value) ? { value } : undefined),
    format: (value) => value,
  };
}

export const directory = text("DIR", "a directory");
export const file = text("FILE", "a file name");
export const peerName = text("NAME", peerNameForms, isPeerName);
/** Never the text itself: a conf file and a command line are read by many. */
export const secretFile = text("file:NAME", "file: and the name of the file that holds it", (value) =>
  /^file:./.test(value),
);
export const host = text("HOST", "a host name, an IPv4 or an IPv6 address, without a port", isHost);

/** Where a provider may listen. */
export const listenHost: Kind<string, ""> = {
  ...text("HOST", "a host name, an IPv4 or an IPv6 address, without a port; unix:/path or inproc:"),
  parse(given) {
    const value = isHost(given) ? given : localAddress(given);
    return value === undefined ? undefined : { value };
  },
};

export const socketPath: Kind<string, ""> = {
  ...text("PATH", "the absolute path of a socket, without spaces or any of ? , | * = #"),
  parse(given) {
    const address = localAddress(`unix:${given}`);
    return address === undefined ? undefined : { value: withoutScheme({ host: address, port: 0 }) };
  },
};

/** The driver reads the whole of it, and says exactly what is wrong; this makes a plain mistake fail early, with its line. */
export const registryUrl = text("URL", registryForms, (url) => isRegistryUrl(url) || isRegistryScheme(url));

/** What follows `//` in a registry's URL. */
export const registryAddress = text("HOST:PORT,...", "host:port[,host:port...]", (address) =>
  /^[^\s/?#][^\s]*$/.test(address),
);

export const brokerUrl = text("URL", brokerForms, isBrokerUrl);

/** What other machines can connect to: a wildcard is refused. */
export const advertisedAddress: Kind<AdvertisedAddress, ""> = {
  unit: "",
  placeholder: "HOST[:PORT]",
  expected:
    "an address callers can connect to, host or host:port ([v6]:port), not a wildcard such as 0.0.0.0",
  parse(text) {
    const value = parseHostAndPort(text);
    return value === undefined || isWildcard(value.host) ? undefined : { value: Object.freeze(value) };
  },
  format({ host, port }) {
    const bracketed = host.includes(":") ? `[${host}]` : host;
    return port === undefined ? bracketed : `${bracketed}:${port}`;
  },
};

/** Also accepts an empty text, which means "not set". */
export function optional<T, U extends Unit>(kind: Kind<T, U>): Kind<T | undefined, U> {
  checkKind("conf.optional", kind);
  return {
    ...kind,
    parse: (text) => (text === "" ? { value: undefined } : kind.parse(text)),
    format: (value) => (value === undefined ? "" : kind.format(value)),
  };
}
