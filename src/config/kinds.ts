import { type AdvertisedAddress, isHost, isRegistryUrl, isWildcard, parseHostAndPort } from "./address.js";

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

/** Beyond it Node's timers do not reach: 2^31 - 1 ms, nearly 25 days. Times that no timer waits for may be longer. */
const durationMaxMs = 2_147_483_647;

const durationUnits: ReadonlyArray<readonly [unit: string, ms: number]> = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

const sizeUnits: ReadonlyArray<readonly [unit: string, bytes: number]> = [
  ["TiB", 1024 ** 4],
  ["GiB", 1024 ** 3],
  ["MiB", 1024 ** 2],
  ["KiB", 1024],
];

export interface DurationLimits {
  minMs: number;
  /** Default: what a timer can wait, 24 days. */
  maxMs?: number;
  /** Allow `none`, which is `Infinity`. Default false. */
  none?: boolean;
}

/** `5000` (ms), `500ms`, `5s`, `1.5s`, `2m`, `1h`, `7d`; whole milliseconds. */
export function duration({ minMs, maxMs = durationMaxMs, none = false }: DurationLimits): Kind<number, "Ms"> {
  const most = maxMs === durationMaxMs ? "24 days" : formatDuration(maxMs);
  const limits = `from ${formatDuration(minMs)} to ${most}`;
  return {
    unit: "Ms",
    placeholder: "DURATION",
    expected: `a duration ${limits} such as 5000, 500ms, 5s or 2m${none ? ", or none" : ""}`,
    parse(text) {
      if (none && text.toLowerCase() === "none") return { value: Number.POSITIVE_INFINITY };
      const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?$/.exec(text);
      if (match === null) return undefined;
      const perUnit = durationUnits.find(([unit]) => unit === match[2])?.[1] ?? 1;
      return whole(Number(match[1]) * perUnit, minMs, maxMs);
    },
    format: formatDuration,
  };
}

function formatDuration(ms: number): string {
  if (ms === 0) return "0";
  if (ms === Number.POSITIVE_INFINITY) return "none";
  const found = durationUnits.find(([, perUnit]) => ms % perUnit === 0);
  return found === undefined ? `${ms}ms` : `${ms / found[1]}${found[0]}`;
}

/** `65536`, `64KiB`, `4MiB`, `1GiB`, `1TiB`: 1024, not 1000, hence no `KB`. */
export function size({ min, max }: { min: number; max: number }): Kind<number, "Bytes"> {
  return {
    unit: "Bytes",
    placeholder: "SIZE",
    expected: `a size from ${formatSize(min)} to ${formatSize(max)} such as 65536, 64KiB or 4MiB`,
    parse(text) {
      const match = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB)?$/i.exec(text);
      if (match === null) return undefined;
      const unit = match[2]?.toLowerCase();
      const perUnit = sizeUnits.find(([name]) => name.toLowerCase() === unit)?.[1] ?? 1;
      return whole(Number(match[1]) * perUnit, min, max);
    },
    format: formatSize,
  };
}

function formatSize(bytes: number): string {
  const found = sizeUnits.find(([, perUnit]) => bytes > 0 && bytes % perUnit === 0);
  return found === undefined ? `${bytes}` : `${bytes / found[1]}${found[0]}`;
}

export function integer({ min, max }: { min: number; max: number }): Kind<number, ""> {
  return {
    unit: "",
    placeholder: "N",
    expected: `an integer from ${min} to ${max}`,
    parse: (text) => (/^\d{1,16}$/.test(text) ? whole(Number(text), min, max) : undefined),
    format: String,
  };
}

function whole(value: number, min: number, max: number): { value: number } | undefined {
  // 1.1s is 1100.0000000000002 in floating point, and means 1100.
  const rounded = Math.round(value);
  const near = Math.abs(value - rounded) <= 1e-9 * Math.max(1, rounded);
  return near && rounded >= min && rounded <= max ? { value: rounded } : undefined;
}

export function port(min: 0 | 1): Kind<number, ""> {
  const suffix = min === 0 ? ", 0 for any free one" : "";
  return {
    ...integer({ min, max: 65_535 }),
    placeholder: "PORT",
    expected: `a port from ${min} to 65535${suffix}`,
  };
}

export function choice<const T extends string>(...allowed: readonly T[]): Kind<T, ""> {
  return {
    unit: "",
    placeholder: allowed.join("|"),
    expected: `one of ${allowed.join(", ")}`,
    parse(text) {
      const value = allowed.find((one) => one === text.toLowerCase());
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
export const host = text("HOST", "a host name, an IPv4 or an IPv6 address, without a port", isHost);

export const registryUrl = text(
  "URL",
  "file:[/directory], zookeeper://host:port[,host:port...][/chroot] or static://host:port[,host:port...]",
  isRegistryUrl,
);

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
  return {
    ...kind,
    parse: (text) => (text === "" ? { value: undefined } : kind.parse(text)),
    format: (value) => (value === undefined ? "" : kind.format(value)),
  };
}
