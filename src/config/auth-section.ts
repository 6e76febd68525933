import path from "node:path";
import { Policy, PolicyError, type PolicyLine, parsePolicyFile } from "../auth/policy.js";
import type { AuthSettings, PolicySource, TokenSource } from "../auth/settings.js";
import { type ConfDocument, decodeConf, parseConf } from "./conf-file.js";
import type { Findings } from "./findings.js";
import { policySection, ruleMistakes } from "./rule-mistakes.js";
import { type ConfigValues, sectionNames } from "./schema.js";

/** The rules of a conf, as they stand there. */
function policyLines(file: string, document: ConfDocument): PolicyLine[] {
  return document.entries
    .filter(({ section }) => section === policySection)
    .map(({ key, text, line }) => ({ pattern: key, value: text, where: `${file}:${line}` }));
}

/**
 * The same; what was meant as a rule and is none is a mistake, and a section without rules, as it would let everybody call everything.
 * `sections`: those that have keys.
 */
export function readPolicyLines(
  file: string,
  document: ConfDocument,
  sections: readonly string[],
  findings: Findings,
): PolicyLine[] {
  const lines = policyLines(file, document);
  const mistakes = ruleMistakes(document, sections);
  for (const { line, expected, found } of mistakes) {
    findings.fail({ where: `${file}:${line}`, file, line, expected, found });
  }
  const section = document.sections.find(({ name }) => name === policySection);
  if (section !== undefined && lines.length === 0 && mistakes.length === 0) {
    const expected = "rules; to let everybody call everything write * = any";
    findings.fail({ where: `${file}:${section.line}`, expected, found: `[${policySection}] without any` });
  }
  return lines;
}

/** The rules of a conf. Throws `Error` that tells each that is unusable: half of the rules are none. */
function policyOf(file: string, text: string, sections: readonly string[]): Policy {
  const document = parseConf(text);
  const broken = [...document.problems, ...ruleMistakes(document, sections)].map(
    ({ line, expected, found }) => `${file}:${line}: expected ${expected}, found ${found}`,
  );
  const cut = document.cuts
    .filter(({ section }) => section === policySection)
    .map(({ line, mark }) => `${file}:${line}: the value ends before the "${mark}": quote it`);
  if (broken.length + cut.length > 0) throw new PolicyError([...broken, ...cut].join("\n"));
  return new Policy(policyLines(file, document));
}

/** A value with the place it came from. */
interface Placed {
  readonly source: string;
  readonly where: string;
  readonly value: unknown;
}

type Settings = ReadonlyMap<string, Placed>;

/** What a loaded configuration says of all this. */
export interface AuthConfig {
  readonly values: ConfigValues;
  readonly authz: readonly PolicyLine[];
  /** By the program's own sections. */
  readonly own?: Readonly<Record<string, unknown>>;
  readonly file?: string;
}

/** Values that are well formed each and cannot go together. */
export function checkAuth(settings: Settings, authz: readonly PolicyLine[], findings: Findings): void {
  const token = settings.get("auth.token");
  if (token !== undefined && token.source !== "env" && !String(token.value ?? "file:").startsWith("file:")) {
    findings.fail({
      ...{ where: token.where, key: "auth.token" },
      expected: "file:FILE: a token itself may only be in MPRPC_AUTH_TOKEN, where no other user can read it",
      found: "a value that is not shown because it is secret",
    });
  }
  const [first] = authz;
  const policy = settings.get("auth.policy");
  if (first !== undefined && policy?.value !== undefined) {
    const found = `auth.policy as well (${policy.where})`;
    findings.fail({ where: first.where, expected: "rules in one place", found });
  }
  try {
    new Policy(authz);
  } catch (error) {
    for (const line of (error as PolicyError).message.split("\n")) {
      const [, place = "[authz]", expected = line] = /^(.*?:\d+): (.*)$/s.exec(line) ?? [];
      findings.fail({
        where: place,
        expected: expected.replace(/^expected /, ""),
        found: "a rule that is none",
      });
    }
  }
}

/** What a configuration says of who calls. Its files are relative to `cwd`. */
export function toAuthSettings(config: AuthConfig, cwd: string): AuthSettings {
  const { auth } = config.values;
  const inCwd = (file: string): string => path.resolve(cwd, file);
  const { jwks, jwksrefreshMs: refreshMs, jwtissuer, jwtaudience, jwtalgorithms } = auth;
  const wanted = [jwks, jwtissuer, jwtaudience].some((one) => one !== undefined) || jwtalgorithms.length > 0;
  // What is missing is told when a provider starts: one that forgot a key must not do without it.
  const jwt = {
    ...{ issuer: jwtissuer ?? "", audience: jwtaudience ?? "", algorithms: jwtalgorithms },
    jwks: jwks === undefined || /^https?:/.test(jwks) ? (jwks ?? "") : inCwd(jwks),
    refreshMs,
  };
  return {
    token: auth.token === undefined ? undefined : tokenSource(auth.token, inCwd),
    allowPlain: auth.allowplain,
    policy: policySource(config, inCwd),
    tokensFile: auth.tokens === undefined ? undefined : inCwd(auth.tokens),
    jwt: wanted ? jwt : undefined,
    checkTimeoutMs: auth.checktimeoutMs,
  };
}

function tokenSource(text: string, inCwd: (file: string) => string): TokenSource {
  return text.startsWith("file:") ? { file: inCwd(text.slice("file:".length)) } : { value: text };
}

function policySource(
  { values, authz, own = {}, file }: AuthConfig,
  inCwd: (file: string) => string,
): PolicySource | undefined {
  const { policy } = values.auth;
  if (policy !== undefined) {
    return { file: inCwd(policy), parse: (text) => parsePolicyFile(text, policy).notEmpty(policy) };
  }
  // One that had no rule at the start gets none by a reload: whether callers are judged is decided when a provider starts.
  if (authz.length === 0 || file === undefined) return undefined;
  const sections = [...sectionNames, ...Object.keys(own)];
  return {
    file: inCwd(file),
    setting: `[${policySection}]`,
    parse(text) {
      const decoded = decodeConf(Buffer.from(text, "utf8"));
      if (!("text" in decoded)) throw new PolicyError(`${file}: expected ${decoded.expected}`);
      return policyOf(file, decoded.text, sections).notEmpty(file);
    },
  };
}
