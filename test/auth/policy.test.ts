import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesGlob } from "../../src/auth/identity.js";
import { Policy, PolicyError, parsePolicyFile } from "../../src/auth/policy.js";
import type { Peer } from "../../src/call/peer.js";
import { load, loadError } from "../config/load.js";

type Who = Pick<Peer, "protocol" | "identities">;

/** The same written again in the plainest way: every rule is looked at, and globs are regular expressions. */
function naive(rules: ReadonlyArray<readonly [string, string]>, service: string, method: string, who: Who) {
  if (rules.length === 0) return true;
  const matching = rules
    .map(([pattern, value]) => ({ value, rank: rankOf(pattern, service, method), all: pattern === "*" }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => b.rank - a.rank);
  const [best] = matching;
  if (service === "grpc.health.v1.Health" && (best === undefined || best.all))
    return who.protocol !== "classic";
  if (best === undefined) return false;
  return best.value.split(" | ").some((alternative) => {
    const terms = alternative.split(" + ");
    if (who.protocol === "classic" && !terms.includes("classic")) return false;
    return terms.every((term) => {
      if (term === "any") return true;
      if (term === "none") return false;
      if (term === "classic") return who.protocol === "classic";
      const pattern = term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\*", ".*");
      const { transport, token } = who.identities;
      return [transport, token].some((one) => one !== undefined && new RegExp(`^${pattern}$`, "s").test(one));
    });
  });
}

function rankOf(pattern: string, service: string, method: string): number {
  if (pattern === `${service}/${method}`) return 1e6;
  if (pattern === `${service}/*`) return 1e5;
  if (pattern === "*") return 0;
  return pattern.endsWith(".*") && service.startsWith(pattern.slice(0, -1)) ? pattern.length : -1;
}

const services = ["a.b.S", "a.b.T", "a.S", "S", "a.b.c.S", "grpc.health.v1.Health"];
const methods = ["Get", "Put"];
const pattern = fc.oneof(
  fc.constant("*"),
  fc.constantFrom("a.*", "a.b.*", "a.b.c.*", "grpc.*", "b.*"),
  fc.constantFrom(...services).map((service) => `${service}/*`),
  fc.tuple(fc.constantFrom(...services), fc.constantFrom(...methods)).map((parts) => parts.join("/")),
);
const identity = fc.constantFrom(
  "secret:web",
  "secret:api",
  "jwt:i#al",
  "jwt:i#bob|x",
  "dns:a.b",
  "token:web",
);
const term = fc
  .oneof(fc.constantFrom("any", "none", "classic", "jwt:*", "secret:*", "jwt:i#*b*", "*b:*"), identity)
  .filter((one) => !one.startsWith("*"));
const value = fc
  .array(fc.array(term, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 })
  .map((alternatives) => alternatives.map((terms) => terms.join(" + ")).join(" | "));
const who = fc.record({
  protocol: fc.constantFrom("mprpc", "classic"),
  identities: fc.record({ transport: identity, token: identity }, { requiredKeys: [] }),
});

describe("a policy", () => {
  test("decides as a naive reading of its rules does", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(pattern, value), { selector: ([name]) => name, maxLength: 8 }),
        fc.constantFrom(...services),
        fc.constantFrom(...methods),
        who,
        (rules, service, method, caller) => {
          const policy = new Policy(rules.map(([name, text]) => ({ pattern: name, value: text, where: "" })));
          expect(policy.allows(service, method, caller)).toBe(naive(rules, service, method, caller));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("an object without rules is refused, as it would let everybody call everything", () => {
    expect(() => Policy.of({})).toThrow(
      /^policy: expected a rule; to let everybody call everything write \* = any, found none$/,
    );
  });

  test("globs match as regular expressions do", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "."), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (glob, subject) => {
        const plain = glob.replaceAll(".", "\\.").replaceAll("*", ".*");
        expect(matchesGlob(glob, subject)).toBe(new RegExp(`^${plain}$`, "s").test(subject));
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    [{ "a.S/Get": "secret:a|secret:b" }, /blanks around/],
    [{ "a.S/Get": "secret:a secret:b" }, /\| or \+/],
    [{ "a.S/Get": "secret:a |" }, /behind the last/],
    [{ "a.S/Get": "| secret:a" }, /an identity/],
    [{ "a.S/Get": "" }, /found nothing/],
    [{ "a.S/Get": "everybody" }, /any, none, classic/],
    [{ "a.S.Get": "any" }, /pkg\.Service\/Method/],
    [{ "a.*/Get": "any" }, /pkg\.Service\/Method/],
    [{ "": "any" }, /pkg\.Service\/Method/],
  ])("refuses %j", (rules, text) => {
    expect(() => Policy.of(rules as Record<string, string>)).toThrow(PolicyError);
    expect(() => Policy.of(rules as Record<string, string>)).toThrow(text);
  });

  const asWritten = [
    ["secret:web # the gateway", "secret:web"],
    ["any ; public", "any"],
    ["any\t# public", "any"],
    ["jwt:https://idp.example.com#alice | secret:web", "jwt:https://idp.example.com#alice | secret:web"],
    ["token:a;b # both", "token:a;b"],
    ["token:a\\#b", "token:a#b"],
    ['"jwt:https://idp.example.com#alice" # quoted', "jwt:https://idp.example.com#alice"],
    ["'token:a#b' ; quoted", "token:a#b"],
    ['"token:a\\u0062"', "token:ab"],
  ] as const;

  test.each(asWritten)("%j is %j in a policy file and in a conf", (raw, value) => {
    const rule = `fixbug.X/Login = ${raw}`;
    expect(parsePolicyFile(rule, "rules").lines.map((one) => one.value)).toEqual([value]);
    const { authz, warnings } = load({ conf: `[authz]\n${rule}` });
    expect(authz.map((one) => one.value)).toEqual([value]);
    expect(warnings).toEqual([]);
  });

  test.each([
    ["any#public", 'expected any, none, classic, or identities .*, found "any#public"'],
    ["any;", 'found "any;"'],
    ["# any", "found nothing"],
    ["secret:web | # secret:ops", "expected an identity behind the last |, found nothing"],
    ['"secret:web" | "secret:ops"', 'expected a closing " at the end of the value, found none'],
  ])("%j loses nothing silently: it is told in a policy file and in a conf", (raw, text) => {
    const expected = new RegExp(`:2: .*${text.replaceAll("|", "\\|")}$`);
    expect(() => parsePolicyFile(`\na.S/Get = ${raw}`, "rules")).toThrow(expected);
    const { message } = loadError({ conf: `[authz]\na.S/Get = ${raw}\nb.S/Get = any` });
    expect(message).toMatch(expected);
  });

  test("a line of [authz] that is no rule is no warning, since its rule would be lost", () => {
    const error = loadError({ conf: "[authz]\n* = any\na.S/Get : none\n* = none" });
    expect(error.message.split("\n")).toEqual([
      'mprpc.conf:3: expected pattern = value, found "a.S/Get" and no "="',
      "mprpc.conf:4: expected one rule for *, found a second one; the first is mprpc.conf:2",
    ]);
    expect(error.problems.map(({ line }) => line)).toEqual([3, 4]);
  });

  test("tells every unusable line of a file, with its number", () => {
    const text = "# who may\n[authz]\na.S/* = any\nnonsense\na.S/* = any\nb.S/Get = bob\n[other]";
    expect(() => parsePolicyFile(text, "rules")).toThrow(
      'rules:4: expected pattern = value, found "nonsense" and no "="\nrules:7: expected [authz], found [other]',
    );
    const twice = "a.S/* = any\na.S/* = any\nb.S/Get = bob";
    expect(() => parsePolicyFile(twice, "rules")).toThrow(
      /rules:2: expected one rule for a\.S\/\*, found a second one; the first is rules:1\nrules:3: /,
    );
    expect(parsePolicyFile("a.S/* = jwt:https://idp#a+b | any", "rules").lines).toHaveLength(1);
  });
});
