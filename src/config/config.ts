import path from "node:path";
import type { PolicyLine } from "../auth/policy.js";
import { formatAddress } from "../base/address.js";
import { didYouMean } from "../base/nearest.js";
import { isRegistryScheme, isRegistryUrl, registryForms, registryUrlOf } from "../registry/open.js";
import { type AdvertisedAddress, zookeeperDefaultPort } from "../values/hosts.js";
import { type Flag, parseArguments } from "./arguments.js";
import { checkAuth, readPolicyLines } from "./auth-section.js";
import { type ConfDocument, decodeConf, describeReadError, parseConf, readConfBytes } from "./conf-file.js";
import { hideCredentials, quoteFound } from "./config-error.js";
import { Findings } from "./findings.js";
import { NodeList, nameInFork } from "./forks.js";
import { expectedOfEmpty } from "./never-empty.js";
import { warnOfOpenConf } from "./open-conf.js";
import { adviseSection, isProgramSection, type OwnValues, ownRows } from "./own-sections.js";
import { policySection } from "./rule-mistakes.js";
import {
  type ConfigValues,
  type KeyName,
  type KeyRow,
  keyRows,
  type Sections,
  sectionNames,
} from "./schema.js";
import {
  isServiceSection,
  type ServiceValues,
  serviceFlagRow,
  serviceOf,
  serviceRow,
} from "./service-sections.js";
import { checkTls } from "./tls-section.js";

/** A program without sections of its own. */
export type NoSections = Readonly<Record<never, never>>;

/** Everything outside that a configuration depends on. */
export interface ConfigInput<S extends Sections = NoSections> {
  /** The arguments after the script's name: `process.argv.slice(2)`. */
  readonly argv: readonly string[];
  /** `process.env`. A variable that is set but empty counts as not set, unless to do without it would be unsafe. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where `./mprpc.conf` and a relative `-i` are looked for. */
  readonly cwd: string;
  /** Sections of the program itself, with their keys. Default none. */
  readonly sections?: S | undefined;
  /** Replaces the file system in tests; throws as `readFileSync` does. */
  readonly readFile?: ((path: string) => Uint8Array) | undefined;
}

/** Where a value comes from, the strongest last. */
export type Source = "default" | "file" | "env" | "flag";

export interface Origin {
  readonly source: Source;
  /** `mprpc.conf:12`, `MPRPC_LOG_LEVEL`, `--log.level`; empty for a default. */
  readonly where: string;
}

export interface LoadedConfig<S extends Sections = NoSections> {
  /** Deeply frozen. */
  readonly values: ConfigValues;
  /** Of ours and of the program's own keys. */
  readonly origins: Readonly<Record<KeyName | OwnName<S>, Origin>>;
  /** The values of the program's own sections (`sections`). Deeply frozen. */
  readonly own: OwnValues<S>;
  /** What `[service.NAME]` sections say, by NAME. Deeply frozen. */
  readonly services: ServiceValues;
  /** One sentence each, beginning with its place; to be logged or printed by whoever loads. */
  readonly warnings: readonly string[];
  /** The arguments after `--`. */
  readonly rest: readonly string[];
  /** The rules of `[authz]`, in the order of the file. */
  readonly authz: readonly PolicyLine[];
  /** The conf file used, as it was named; absent when there was none. */
  readonly file?: string;
}

type OwnName<S extends Sections> = { [N in keyof S & string]: `${N}.${keyof S[N] & string}` }[keyof S &
  string];

/** Used without `-i` when the working directory has one. */
const defaultFile = "mprpc.conf";

/** A text somebody gave for a key. */
interface Given extends Origin {
  readonly text: string;
  readonly file?: string;
  readonly line?: number;
}

/** The strongest usable value of a key so far. */
interface Setting extends Origin {
  readonly value: unknown;
}

type Settings = Map<string, Setting>;

/** Every key there is: ours, then the program's own. */
class KeyTable {
  readonly rows: readonly KeyRow[];
  readonly byName: ReadonlyMap<string, KeyRow>;
  /** Those of `[service.NAME]` sections, as they are met. */
  readonly serviceRows = new Map<string, KeyRow>();
  readonly byVariable: ReadonlyMap<string, KeyRow>;
  readonly sections: readonly string[];

  constructor(own: Sections) {
    this.rows = [...keyRows, ...ownRows(own)];
    this.byName = new Map(this.rows.map((row) => [row.name, row]));
    this.byVariable = new Map(this.rows.map((row) => [row.environment, row]));
    this.sections = [...sectionNames, ...Object.keys(own)];
  }

  hasSection(name: string): boolean {
    return this.sections.includes(name) || isServiceSection(name);
  }

  /** Of the key in a `[service.NAME]` section, or of the flag that says the same. */
  ofService(row: KeyRow | undefined): KeyRow | undefined {
    if (row !== undefined) this.serviceRows.set(row.name, row);
    return row;
  }
}

/**
 * The effective configuration: embedded defaults, then the conf file, then `MPRPC_...` variables, then flags, each
 * stronger than the one before. The file is `-i`'s, or else `./mprpc.conf` if there is one.
 *
 * `sections` of the program go the same way: `[clouddisk] root=`, `MPRPC_CLOUDDISK_ROOT`, `--clouddisk.root=`.
 *
 * Throws `ConfigError` naming every unusable value with its place, an unknown flag, and a file that cannot be read.
 * Unknown keys and variables, duplicates and the like are warnings. Reads nothing but `input`; prints nothing.
 * Throws `TypeError` for `sections` that cannot be.
 */
export function loadConfig<S extends Sections = NoSections>(input: ConfigInput<S>): LoadedConfig<S> {
  const findings = new Findings();
  const args = parseArguments(input.argv);
  for (const problem of args.problems) findings.fail(problem);

  const sections: Sections = input.sections ?? {};
  const table = new KeyTable(sections);
  const settings: Settings = new Map();
  const reading: Reading = { table, settings, findings, nodes: new NodeList(), authz: [] };
  const file = readFile(input, args.files, reading);
  readEnvironment(input.env, reading);
  readFlags(args.flags, reading);
  deriveFromNodes(reading);
  deriveFromScheme(settings, findings);
  deriveRegistry(settings, findings);
  checkAuth(settings, reading.authz, findings);
  checkTls(settings, findings);
  findings.throwIfAny();
  if (file !== undefined && input.readFile === undefined)
    warnOfOpenConf(path.resolve(input.cwd, file), table.rows, settings, reading.authz.length > 0, findings);

  const values: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const name of sectionNames) values[name] = {};
  for (const name of Object.keys(sections)) own[name] = {};
  for (const row of table.rows) {
    const setting = settings.get(row.name);
    const home = values[row.section] ?? own[row.section];
    const target = row.section === "" ? values : (home as Record<string, unknown>);
    target[row.valueName] = setting === undefined ? row.kind.parse(row.fallback)?.value : setting.value;
    origins[row.name] = Object.freeze({ source: setting?.source ?? "default", where: setting?.where ?? "" });
  }
  const services: Record<string, Record<string, unknown>> = {};
  for (const row of table.serviceRows.values()) {
    const setting = settings.get(row.name);
    if (setting === undefined) continue;
    const service = serviceOf(row.section);
    services[service] = { ...services[service], [row.valueName]: setting.value };
    origins[row.name] = Object.freeze({ source: setting.source, where: setting.where });
  }
  for (const one of Object.values(services)) Object.freeze(one);
  for (const name of sectionNames) Object.freeze(values[name]);
  for (const section of Object.values(own)) Object.freeze(section);
  // The casts: the loop above has filled in each key of the table, from which the types are derived.
  return Object.freeze({
    values: Object.freeze(values) as unknown as ConfigValues,
    origins: Object.freeze(origins) as unknown as LoadedConfig<S>["origins"],
    own: Object.freeze(own) as unknown as OwnValues<S>,
    services: Object.freeze(services) as ServiceValues,
    warnings: findings.allWarnings(),
    rest: Object.freeze([...args.rest]),
    authz: Object.freeze(reading.authz),
    ...(file === undefined ? {} : { file }),
  });
}

/** Where everything that is read goes. */
interface Reading {
  readonly table: KeyTable;
  readonly settings: Settings;
  readonly findings: Findings;
  readonly nodes: NodeList;
  readonly authz: PolicyLine[];
}

function isReadable(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through.
  return !/[\u0000-\u001f\u007f]/.test(text) && !text.includes("\ufffd");
}

const readable = "in UTF-8 and without control characters";

/** The text as the key's value, kept unless it is none; a bad text is told even where a stronger source follows. */
function give(row: KeyRow, given: Given, settings: Settings, findings: Findings): void {
  const { text, source, where, file, line } = given;
  const place = { where, ...(file === undefined ? {} : { file }), ...(line === undefined ? {} : { line }) };
  const missing = text.trim() === "" ? expectedOfEmpty(row.name, source === "env") : undefined;
  if (missing !== undefined) {
    findings.fail({ ...place, key: row.name, expected: missing, found: "nothing" });
    return;
  }
  const unreadable = !isReadable(text);
  const parsed = unreadable ? undefined : row.kind.parse(text);
  if (parsed !== undefined) {
    settings.set(row.name, { source, where, value: parsed.value });
    return;
  }
  findings.fail({
    ...place,
    key: row.name,
    expected: unreadable ? `${row.kind.expected}, ${readable}` : row.kind.expected,
    found: row.secret || row.hidesWrong ? "a value that is not shown because it is secret" : quoteFound(text),
  });
}

/** Fills `settings` from the conf file. Returns the file's name, or nothing when there is none to read. */
function readFile(
  input: Pick<ConfigInput, "cwd" | "readFile">,
  named: readonly string[],
  reading: Reading,
): string | undefined {
  const { findings } = reading;
  if (named.length > 1) {
    findings.fail({ where: "-i", expected: "one conf file", found: named.map(quoteFound).join(" and ") });
    return undefined;
  }
  const file = named[0] ?? defaultFile;
  const absolute = path.resolve(input.cwd, file);
  let bytes: Uint8Array;
  try {
    bytes = (input.readFile ?? readConfBytes)(absolute);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && named.length === 0) return undefined;
    const where = named.length === 0 ? absolute : `-i ${file}`;
    const looked = path.isAbsolute(file) ? "" : ` at ${absolute}`;
    findings.fail({
      where,
      file,
      expected: "a readable conf file",
      found: describeReadError(error) + looked,
    });
    return undefined;
  }
  const decoded = decodeConf(bytes);
  if ("text" in decoded) readDocument(file, parseConf(decoded.text), reading);
  else findings.fail({ where: file, file, ...decoded });
  return file;
}

function readDocument(file: string, document: ConfDocument, reading: Reading): void {
  const { table, settings, findings } = reading;
  for (const problem of document.problems) {
    findings.fail({ where: `${file}:${problem.line}`, file, ...problem });
  }
  readSkipped(file, document, findings);
  reading.authz.push(...readPolicyLines(file, document, table.sections, findings));
  const present = new Set(document.sections.map(({ name }) => name));
  const absent = table.sections.filter((name) => isProgramSection(name) && !present.has(name));
  for (const { name, line } of document.sections) {
    if (table.hasSection(name) || name === policySection) continue;
    // Another program's, unless it is nearly the name of one of ours that the file does not have.
    const shared = isProgramSection(name);
    const nearest = didYouMean(name, shared ? absent : [...table.sections, policySection]);
    if (shared && nearest === "") continue;
    const known = `${file}:${line}: unknown section ${quoteFound(`[${name}]`)}, all of it ignored`;
    findings.warn(() => known + (nearest || adviseSection(name)));
  }
  for (const cut of document.cuts) {
    // Comments of rules have a blank before them.
    if (cut.section === policySection) continue;
    findings.warn(
      () =>
        `${file}:${cut.line}: ${keyIn(cut.section, cut.key)}: the value ends before the "${cut.mark}"; if that belongs to it, quote the value or write \\${cut.mark}`,
    );
  }
  for (const { section, key, text, line } of document.entries) {
    const where = `${file}:${line}`;
    if (section !== "" && !table.hasSection(section)) continue;
    const row = findRow(table, section, key) ?? findInFork(reading, section, key, where);
    if (row === undefined) {
      const taken = section === "" && reading.nodes.take({ key, text, line, where, file });
      if (typeof taken === "object")
        findings.warn(
          () => `${where}: ${key} is given twice: this line wins over ${taken.replaces}, which is ignored`,
        );
      if (taken !== false) continue;
      findings.warn(
        () => `${where}: unknown key ${quoteFound(key)}, ignored${adviseKey(table, section, key)}`,
      );
      continue;
    }
    const before = settings.get(row.name);
    if (before !== undefined) {
      findings.warn(
        () => `${where}: ${row.name} is given twice: this line wins over ${before.where}, which is ignored`,
      );
    }
    give(row, { source: "file", where, text, file, line }, settings, findings);
  }
}

/** A line without a `=` does no harm, but for one among the rules; a file of nothing else is no conf. */
function readSkipped(file: string, document: ConfDocument, findings: Findings): void {
  const isConf = document.entries.length + document.sections.length > 0;
  for (const { section, ...problem } of document.skipped) {
    if (section === policySection) continue;
    const { line, expected, found } = problem;
    const where = `${file}:${line}`;
    if (isConf) findings.warn(() => `${where}: expected ${expected}, found ${found}; the line is ignored`);
    else findings.fail({ where, file, ...problem });
  }
}

function findRow(table: KeyTable, section: string, key: string): KeyRow | undefined {
  if (isServiceSection(section)) return table.ofService(serviceRow(section, key));
  const row = table.byName.get(section === "" ? key : `${section}.${key}`);
  return row?.section === section ? row : undefined;
}

/** A key of the classic framework as a fork spells it. */
function findInFork(
  { table, findings }: Reading,
  section: string,
  key: string,
  where: string,
): KeyRow | undefined {
  const name = section === "" ? nameInFork(key) : undefined;
  if (name === undefined) return undefined;
  findings.warn(() => `${where}: ${quoteFound(key)} is read as ${name}, which is its name here`);
  return table.byName.get(name);
}

/** `node0ip` and `node0port` are another way to say `registry=static://...`; what says so itself wins. */
function deriveFromNodes({ settings, findings, nodes }: Reading): void {
  const { first } = nodes;
  if (first === undefined) return;
  const { key, where } = first;
  const winner = ["registry", "zookeeperip"].find((name) => settings.get(name)?.value !== undefined);
  if (winner !== undefined) {
    const { where: other = "" } = settings.get(winner) ?? {};
    findings.warn(() => `${where}: ${key} and the like are ignored, because ${winner} is set (${other})`);
    return;
  }
  const { url, problems } = nodes.toRegistry();
  for (const problem of problems) findings.fail(problem);
  if (problems.length > 0) return;
  findings.warn(
    () => `${where}: ${key} and the like are read as registry=${url}, which is how to say it here`,
  );
  settings.set("registry", { source: "file", where: `${where}, ${key}`, value: url });
}

function keyIn(section: string, key: string): string {
  return section === "" ? key : `${section}.${key}`;
}

/** The end of a warning about an unknown key: where it belongs, or the nearest name of its section. */
function adviseKey({ rows, byName }: KeyTable, section: string, key: string): string {
  const dotted = section === "" ? byName.get(key) : undefined;
  const [only, ...more] = rows.filter((row) => row.key === key);
  const elsewhere = dotted ?? (more.length === 0 ? only : undefined);
  if (elsewhere?.section === "") return "; it belongs above the first [section]";
  if (elsewhere !== undefined) return `; write ${elsewhere.key}= beneath [${elsewhere.section}]`;
  const inFork = nameInFork(key);
  if (inFork !== undefined) return `; ${inFork} belongs above the first [section]`;
  const keys = rows.filter((row) => row.section === section).map((row) => row.key);
  return didYouMean(key, keys);
}

function readEnvironment(env: ConfigInput["env"], reading: Reading): void {
  const { table, settings, findings } = reading;
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith("MPRPC_") || text === undefined) continue;
    const row = table.byVariable.get(name);
    // Where a weaker source has set the key, that stays in force.
    const isSet = row !== undefined && settings.get(row.name)?.value !== undefined;
    if (text.trim() === "" && (isSet || expectedOfEmpty(row?.name) === undefined)) continue;
    if (row === undefined) {
      const shared = name.startsWith("MPRPC_APP_");
      const known = [...table.byVariable.keys()];
      const nearest = didYouMean(name, shared ? known.filter((one) => env[one] === undefined) : known);
      if (shared && nearest === "") continue;
      findings.warn(() => `${name}: unknown variable, ignored${nearest}`);
    } else {
      give(row, { source: "env", where: name, text: text.trim() }, settings, findings);
    }
  }
}

function readFlags(flags: readonly Flag[], reading: Reading): void {
  const { table, settings, findings } = reading;
  for (const { name, text, next } of flags) {
    const where = `--${name}`;
    const row = table.byName.get(name) ?? table.ofService(serviceFlagRow(name));
    const noValue = next === undefined ? "no value" : 'a space in the place of "="';
    if (row === undefined) {
      const hint = didYouMean(
        where,
        Array.from(table.byName.keys(), (one) => `--${one}`),
      );
      findings.fail({
        where: "command line",
        expected: 'a known key (flags of the program\'s own come after "--")',
        found: quoteFound(where) + hint,
      });
    } else if (text === undefined) {
      findings.fail({
        where,
        key: row.name,
        expected: `${where}=${next === undefined ? row.kind.placeholder : suggestValue(row, next)}`,
        found: noValue,
      });
    } else {
      if (settings.get(row.name)?.source === "flag") {
        findings.warn(() => `${where} is given twice: the last one wins`);
      }
      give(row, { source: "flag", where, text: text.trim() }, settings, findings);
    }
  }
}

/** As it should have been written, unless that should not be shown. */
function suggestValue({ kind, secret, hidesWrong }: KeyRow, text: string): string {
  return secret || hidesWrong || !/^[!-~]{1,80}$/.test(text) ? kind.placeholder : hideCredentials(text);
}

/** `registry=consul` and `registry_address=h:8500` are another way to say `registry=consul://h:8500`. */
function deriveFromScheme(settings: Settings, findings: Findings): void {
  const registry = settings.get("registry");
  const given = settings.get("registry_address");
  const address = given?.value === undefined ? undefined : given;
  const scheme = String(registry?.value ?? "");
  if (registry === undefined || !isRegistryScheme(scheme)) {
    if (address === undefined) return;
    const why =
      registry === undefined
        ? "without registry=KIND, such as registry=consul"
        : `beside the URL of registry (${registry.where})`;
    findings.warn(() => `${address.where}: registry_address has no effect ${why}`);
    return;
  }
  const url = registryUrlOf(scheme, address === undefined ? undefined : String(address.value));
  const where = address?.where ?? registry.where;
  if (url === undefined) {
    const expected = `registry_address=... beside registry=${scheme}, or the whole URL`;
    findings.fail({ where, key: "registry", expected, found: "no address" });
  } else if (!isRegistryUrl(url)) {
    const found = quoteFound(url);
    findings.fail({ where, key: "registry_address", expected: registryForms, found });
  } else settings.set("registry", { ...registry, value: url });
}

/** `zookeeperip` and `zookeeperport` are another way to say `registry`; said both ways, `registry` wins. */
function deriveRegistry(settings: Settings, findings: Findings): void {
  const registry = settings.get("registry");
  const port = settings.get("zookeeperport");
  const given = settings.get("zookeeperip");
  const ip = given?.value === undefined ? undefined : given;
  if (registry !== undefined) {
    const ignored = ip ?? port;
    if (ignored === undefined) return;
    const name = ignored === ip ? "zookeeperip" : "zookeeperport";
    findings.warn(() => `${ignored.where}: ${name} is ignored, because registry is set (${registry.where})`);
  } else if (ip !== undefined) {
    const address = { host: String(ip.value), port: Number(port?.value ?? zookeeperDefaultPort) };
    settings.set("registry", {
      source: ip.source,
      where: ip.source === "file" ? `${ip.where}, zookeeperip` : ip.where,
      value: `zookeeper://${formatAddress(address)}`,
    });
  } else if (port !== undefined) {
    findings.warn(() => `${port.where}: zookeeperport has no effect without zookeeperip`);
  }
}

export type { AdvertisedAddress, ConfigValues, KeyName, Sections };
