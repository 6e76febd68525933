import path from "node:path";
import { Policy, PolicyError, type PolicyLine, type PolicyProblem, parsePolicyFile } from "../auth/policy.js";
import { readRuleValue } from "../auth/rule-value.js";
import type { AuthSettings, PolicySource, TokenSource } from "../auth/settings.js";
import { type ConfDocument, decodeConf, parseConf } from "./conf-file.js";
import type { Findings } from "./findings.js";
import type { ConfigValues } from "./schema.js";

/** Its keys are patterns, and so in no table. */
export const policySection = "authz";

/** The rules of a conf as they stand there, and its lines that are none: whoever lost a rule would not know who may call what. */
function policyLines(
  file: string,
  document: ConfDocument,
): { lines: PolicyLine[]; problems: Array<PolicyProblem & { line: number }> } {
  const lines: PolicyLine[] = [];
  const problems = document.skipped
    .filter(({ section }) => section === policySection)
    .map(({ line, found }) => ({ line, where: `${file}:${line}`, expected: "pattern = value", found }));
  for (const { section, key, raw, line } of document.entries) {
    if (section !== policySection) continue;
    const where = `${file}:${line}`;
    const value = readRuleValue(raw);
    if (typeof value === "string") lines.push({ pattern: key, value, where });
    else problems.push({ line, where, ...value });
  }
  return { lines, problems };
}

/** The same; a section without rules is a mistake, as it would let everybody call everything. */
export function readPolicyLines(file: string, document: ConfDocument, findings: Findings): PolicyLine[] {
  const { lines, problems } = policyLines(file, document);
  for (const problem of problems) findings.fail({ file, ...problem });
  const section = document.sections.find(({ name }) => name === policySection);
  if (section !== undefined && lines.length + problems.length === 0) {
    const expected = "rules; to let everybody call everything write * = any";
    findings.fail({ where: `${file}:${section.line}`, expected, found: `[${policySection}] without any` });
  }
  return lines;
}

/** The rules of a conf. Throws `Error` that tells each that is unusable: half of the rules are none. */
function policyOf(file: string, text: string): Policy {
  const document = parseConf(text);
  const { lines, problems } = policyLines(file, document);
  const broken = document.problems.map((one) => ({ ...one, where: `${file}:${one.line}` }));
  if (broken.length + problems.length > 0) throw new PolicyError([...broken, ...problems]);
  return new Policy(lines);
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
    for (const problem of (error as PolicyError).problems) {
      const [, file, line] = /^(.*):(\d+)$/s.exec(problem.where) ?? [];
      findings.fail({ ...problem, ...(file === undefined ? {} : { file, line: Number(line) }) });
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
  { values, authz, file }: AuthConfig,
  inCwd: (file: string) => string,
): PolicySource | undefined {
  const { policy } = values.auth;
  if (policy !== undefined) {
    return { file: inCwd(policy), parse: (text) => parsePolicyFile(text, policy).notEmpty(policy) };
  }
  // One that had no rule at the start gets none by a reload: whether callers are judged is decided when a provider starts.
  if (authz.length === 0 || file === undefined) return undefined;
  return {
    file: inCwd(file),
    parse(text) {
      const decoded = decodeConf(Buffer.from(text, "utf8"));
      if (!("text" in decoded)) throw new PolicyError([{ where: file, ...decoded }]);
      return policyOf(file, decoded.text).notEmpty(file);
    },
  };
}
