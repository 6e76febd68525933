import { isRulePattern } from "../auth/policy.js";
import type { ConfDocument, LineProblem } from "./conf-file.js";
import { quoteFound } from "./config-error.js";
import { isServiceSection } from "./service-sections.js";

/** The section of the rules. Its keys are patterns, and so in no table. */
export const policySection = "authz";

/** What the section is called elsewhere. */
const otherNames = ["authz", "policy", "acl", "authorization"];

/** How the value of a rule begins, in most rules. */
const ruleValue = /^(?:any|none|classic|(?:secret|token|jwt|dns|spiffe|unix|inproc):\S+)(?:\s+[|+]\s|$)/;

/**
 * What was meant as a rule and would be passed over: a line of the section that is none, a rule that stands beneath another section, and a
 * section that has nearly its name. Without that rule a method may be open to everybody. `sections`: those that have keys.
 */
export function ruleMistakes(document: ConfDocument, sections: readonly string[]): LineProblem[] {
  const isKnown = (name: string): boolean => sections.includes(name) || isServiceSection(name);
  const problems: LineProblem[] = [];
  for (const { name, line } of document.sections) {
    if (name === policySection || isKnown(name) || !otherNames.includes(name.toLowerCase())) continue;
    const expected = `[${policySection}] above the rules of who may call what`;
    problems.push({ line, expected, found: quoteFound(`[${name}]`) });
  }
  for (const { section, line, found } of document.skipped) {
    if (section === policySection) problems.push({ line, expected: "pattern = value", found });
  }
  for (const { section, key, text, line } of document.entries) {
    if (section === policySection || !isRulePattern(key)) continue;
    // The keys of other programs' sections may be anything; no key of ours is written like a pattern.
    if (section !== "" && !isKnown(section) && !ruleValue.test(text)) continue;
    const found = section === "" ? "it above the first section" : `it beneath [${section}]`;
    problems.push({ line, expected: `the rule for ${quoteFound(key)} beneath [${policySection}]`, found });
  }
  return problems.sort((a, b) => a.line - b.line);
}
