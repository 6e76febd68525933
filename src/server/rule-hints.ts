import { isIdentity, kindOf } from "../auth/identity.js";
import type { Policy, PolicyLine, StrayRules } from "../auth/policy.js";
import { nearestName } from "../base/nearest.js";
import { messages } from "../error/messages.js";
import type { Logger } from "../log/logger.js";
import type { ServiceDefinition } from "../protobuf/types.js";

/** Which kinds of identities callers can have here. */
export interface KnownKinds {
  /** Those that this provider's transports and files can prove. */
  readonly proved: ReadonlySet<string>;
  /** Those of the program may give any kind but those of the transport. */
  readonly hasOwnAuthenticators: boolean;
  /** Not known what callers can prove by their connection. */
  readonly anyTransport: boolean;
}

const certificateCure = "tls.clientauth asks callers for a certificate";
/** What makes a kind of identity possible. */
const cures: Readonly<Record<string, string>> = {
  dns: certificateCure,
  spiffe: certificateCure,
  secret: "auth.secrets names them",
  token: "auth.tokens names them",
  jwt: "auth.jwks, auth.jwtissuer and auth.jwtaudience accept them",
};
const byTransport = new Set(["dns", "spiffe", "secret"]);

function isPossible(identity: string, { proved, hasOwnAuthenticators, anyTransport }: KnownKinds): boolean {
  const kind = kindOf(identity);
  return proved.has(kind) || (byTransport.has(kind) ? anyTransport : hasOwnAuthenticators);
}

/** The identities for want of which nobody can match the rule; empty: somebody can, or it says `none`. */
function missingOf({ value }: PolicyLine, kinds: KnownKinds): string[] {
  const missing: string[] = [];
  for (const alternative of value.split(/\s\|\s/)) {
    const impossible = alternative
      .split(/\s+/)
      .filter((word) => word === "none" || (isIdentity(word) && !isPossible(word, kinds)));
    if (impossible.length === 0) return [];
    missing.push(...impossible.filter((word) => word !== "none"));
  }
  return missing;
}

/** So many patterns are listed. */
const listedMax = 10;

/** Tells what other rules than before are in force; one that is gone is a warning, since its methods may be open now. */
export function tellOfChange(before: Policy, after: Policy, log: Logger): void {
  const valuesOf = ({ lines }: Policy): Map<string, string> =>
    new Map(lines.map(({ pattern, value }) => [pattern, value]));
  const [old, now] = [valuesOf(before), valuesOf(after)];
  const removed = [...old.keys()].filter((pattern) => !now.has(pattern));
  const changed = [...old].filter(([pattern, value]) => (now.get(pattern) ?? value) !== value);
  const added = [...now.keys()].filter((pattern) => !old.has(pattern));
  const lists = { removed, changed: changed.map(([pattern]) => pattern), added };
  const text = Object.entries(lists)
    .filter(([, patterns]) => patterns.length > 0)
    .map(([what, patterns]) => `${what} ${listOf(patterns)}`);
  if (text.length === 0) return;
  const told = messages.rulesChanged(after.lines.length, text.join("; "));
  if (removed.length > 0) log.warn(told);
  else log.info(told);
}

function listOf(patterns: readonly string[]): string {
  const more = patterns.length - listedMax;
  return patterns.slice(0, listedMax).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** So many letters of a service's name are mistyped at most. */
const mistypedMax = 2;

/** The service that `name` was meant to be. Versions of a service differ in digits, and are no mistakes. */
function meantService(name: string, served: readonly string[]): string | undefined {
  const withoutDigits = (text: string): string => text.replace(/\d/g, "");
  const others = served.filter((one) => withoutDigits(one) !== withoutDigits(name));
  return served.find((one) => one.endsWith(`.${name}`)) ?? nearestName(name, others, mistypedMax);
}

function tellOfStrayRules(
  { methods, packages, services }: StrayRules,
  served: readonly ServiceDefinition[],
  log: Logger,
): void {
  for (const { where, pattern } of methods) log.warn(messages.ruleOfNoMethod(where, pattern));
  for (const { where, pattern } of packages) {
    log.warn(messages.ruleOfServiceAsPackage(where, pattern, `${pattern.slice(0, -".*".length)}/*`));
  }
  const names = served.map(({ typeName }) => typeName);
  const unserved: string[] = [];
  for (const [service, { where, pattern }] of services) {
    const meant = meantService(service, names);
    if (meant === undefined) unserved.push(service);
    else log.warn(messages.ruleOfMistypedService(where, pattern, service, meant));
  }
  if (unserved.length > 0)
    log.info(`the policy has rules for services that are not served here: ${unserved.join(", ")}`);
}

/**
 * Tells of rules that decide nothing, or that nobody can match. With a typo in its pattern a rule that denies would leave the
 * method open; one that allows only identities which nobody can prove here closes it.
 */
export function tellOfRules(
  policy: Policy,
  served: readonly ServiceDefinition[],
  kinds: KnownKinds,
  log: Logger,
): void {
  tellOfStrayRules(policy.strayRules(served), served, log);
  for (const line of policy.linesFor(served)) {
    const missing = missingOf(line, kinds);
    if (missing.length === 0) continue;
    const needed = [
      ...new Set(missing.map((one) => cures[kindOf(one)] ?? "an authenticator gives such identities")),
    ];
    log.warn(messages.ruleForNobody(line.where, missing.join(" or "), line.pattern, needed.join(" or ")));
  }
}
