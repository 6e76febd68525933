import { ownKinds } from "../auth/identity.js";
import { isRulePattern } from "../auth/policy.js";
import type { ConfDocument, LineProblem } from "./conf-file.js";
import { quoteFound } from "./config-error.js";
import { isServiceSection } from "./service-sections.js";

/** The section of the rules. Its keys are patterns, and so in no table. */
export const policySection = "authz";

/** What the section is called elsewhere. Other programs have such sections too, for other things than rules. */
const otherNames = ["policy", "acl", "authorization"];

/** How the value of a rule begins, in most rules. */
const identityValue = new RegExp(`^(?:${ownKinds.join("|")}):\\S+(?:\\s+[|+]\\s|$)`);
const wordValue = /^(?:any|none|classic)(?:\s+[|+]\s|$)/;
/** The pattern of a method or a service in a package: hardly anything else is written like it. */
const inPackage = /^\w+(?:\.\w+)+\//;

function looksLikeRule({ key, text }: { readonly key: string; readonly text: string }): boolean {
  if (!isRulePattern(key)) return false;
  return identityValue.test(text) || (inPackage.test(key) && wordValue.test(text));
}

/**
 * What was meant as a rule and would be passed over: a line of the section that is none, a rule that stands beneath another section, and a
 * section that has nearly its name. Without that rule a method may be open to everybody. `sections`: those that have keys.
 */
export function ruleMistakes(document: ConfDocument, sections: readonly string[]): LineProblem[] {
  const isKnown = (name: string): boolean => sections.includes(name) || isServiceSection(name);
  const problems: LineProblem[] = [];
  for (const { name, line } of document.sections) {
    if (name === policySection || isKnown(name)) continue;
    const low = name.toLowerCase();
    const hasRules = document.entries.some(({ section, key }) => section === name && isRulePattern(key));
    if (low !== policySection && !(otherNames.includes(low) && hasRules)) continue;
    const expected = `[${policySection}] above the rules of who may call what`;
    problems.push({ line, expected, found: quoteFound(`[${name}]`) });
  }
  for (const { section, line, found } of document.skipped) {
    if (section === policySection) problems.push({ line, expected: "pattern = value", found });
  }
  for (const { section, key, text, line } of document.entries) {
    if (section === policySection || !isRulePattern(key)) continue;
    // The keys of other programs' sections may be anything; no key of ours is written like a pattern.
    if (section !== "" && !isKnown(section) && !looksLikeRule({ key, text })) continue;
    const found = section === "" ? "it above the first section" : `it beneath [${section}]`;
    problems.push({ line, expected: `the rule for ${quoteFound(key)} beneath [${policySection}]`, found });
  }
  return problems.sort((a, b) => a.line - b.line);
}
