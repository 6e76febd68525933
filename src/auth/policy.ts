import { inOneSpelling } from "../base/address.js";
import type { Peer } from "../call/peer.js";
import type { ServiceDefinition } from "../protobuf/types.js";
import { isIdentity, matchesGlob } from "./identity.js";
import { readRuleValue } from "./rule-value.js";

/** One rule as written: `value` says who may call the methods of `pattern`, or use its topics. */
export interface PolicyLine {
  readonly pattern: string;
  readonly value: string;
  /** Its place, for messages: `authz.conf:3`. */
  readonly where: string;
}

/** Rules by their patterns: `{ "pkg.Service/*": "secret:apigw + jwt:*", "topic:orders.created/publish": "secret:orders" }`. */
export type PolicyRules = Readonly<Record<string, string>>;

/** Of whom a policy knows enough to judge. */
export type Judged = Pick<Peer, "protocol" | "identities">;

/** What is done with a topic. */
export type TopicAction = "publish" | "subscribe";

/** One word of a rule's value. */
type Term = (who: Judged) => boolean;

/** Terms that must all match. `classic`: the rule allows classic callers. */
interface Alternative {
  readonly terms: readonly Term[];
  readonly classic: boolean;
}

export interface Rule {
  readonly line: PolicyLine;
  readonly alternatives: readonly Alternative[];
}

/** Open unless a rule names it, since most of its callers are probes without an identity. */
export const healthService = "grpc.health.v1.Health";

const exactPattern = /^[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;
const servicePattern = /^([A-Za-z_][\w.]*)\/\*$/;
const packagePattern = /^([A-Za-z_][\w.]*)\.\*$/;
const topicPrefix = "topic:";
/** Of a topic, of those below a name, or of all; for both actions, or for one. */
const topicPattern = /^(?:[\w-]+(?:\.[\w-]+)*(?:\.\*)?|\*)(?:\/(?:publish|subscribe))?$/;
const patternForms =
  "pkg.Service/Method, pkg.Service/*, pkg.*, *, or topic:NAME, topic:NAME.* or topic:*, perhaps with /publish or /subscribe";
const valueForms =
  "any, none, classic, or identities such as secret:web and jwt:*, with blanks around | and +";

/** One thing that is wrong with a policy, and where. */
export interface PolicyProblem {
  /** `authz.conf:3` */
  readonly where: string;
  readonly expected: string;
  readonly found: string;
}

/** Invalid rules. The message has a line for each. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  /** At least one. */
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    super(
      problems
        .map(({ where, expected, found }) => `${where}: expected ${expected}, found ${found}`)
        .join("\n"),
    );
    this.problems = problems;
    // The message has said it all: printed as a property it would be said again, as code.
    Object.defineProperty(this, "problems", { enumerable: false });
  }
}

/** What is wrong with one rule; whoever knows its place says that. */
class RuleError extends Error {
  readonly problem: Omit<PolicyProblem, "where">;

  constructor(expected: string, found: string) {
    super();
    this.problem = { expected, found };
  }
}

/** Who may call what. Immutable: changed rules make a new policy. */
export class Policy {
  /** Without rules everybody may call everything. */
  readonly isEmpty: boolean;
  /** Without rules for topics everybody may use all of them. */
  readonly coversTopics: boolean;
  readonly lines: readonly PolicyLine[];
  readonly #exact = new Map<string, Rule>();
  readonly #services = new Map<string, Rule>();
  /** Rules by package, with the final dot. */
  readonly #packages = new Map<string, Rule>();
  #rest: Rule | undefined;
  /** By their patterns, without `topic:`. */
  readonly #topics = new Map<string, Rule>();

  /** Throws `PolicyError` that names every invalid line. */
  constructor(lines: readonly PolicyLine[]) {
    const problems: PolicyProblem[] = [];
    for (const line of lines) {
      try {
        this.#add({ line, alternatives: parseValue(line.value) });
      } catch (error) {
        if (!(error instanceof RuleError)) throw error;
        problems.push({ where: line.where, ...error.problem });
      }
    }
    if (problems.length > 0) throw new PolicyError(problems);
    this.lines = lines;
    this.isEmpty = lines.length === 0;
    this.coversTopics = this.#topics.size > 0;
  }

  /** Throws `PolicyError` as the constructor does, and for no rules at all, which would let everybody call everything. */
  static of(rules: PolicyRules, where = "policy"): Policy {
    return new Policy(Object.entries(rules).map(([pattern, value]) => ({ pattern, value, where }))).notEmpty(
      where,
    );
  }

  /** The policy itself. Throws `PolicyError` if it has no rules: rules that were emptied, or cut short, must not open everything. */
  notEmpty(where: string): this {
    if (!this.isEmpty) return this;
    throw new PolicyError([
      { where, expected: "a rule; to let everybody call everything write * = any", found: "none" },
    ]);
  }

  #add(rule: Rule): void {
    const { pattern } = rule.line;
    const onlyOne = (before: Rule | undefined): void => {
      if (before === undefined) return;
      throw new RuleError(`one rule for ${pattern}`, `a second one; the first is ${before.line.where}`);
    };
    const put = (table: Map<string, Rule>, key: string): void => {
      onlyOne(table.get(key));
      table.set(key, rule);
    };
    const service = servicePattern.exec(pattern)?.[1];
    const name = packagePattern.exec(pattern)?.[1];
    const topic = pattern.startsWith(topicPrefix) ? pattern.slice(topicPrefix.length) : undefined;
    if (topic !== undefined && topicPattern.test(topic)) put(this.#topics, topic);
    else if (pattern === "*") {
      onlyOne(this.#rest);
      this.#rest = rule;
    } else if (service !== undefined) put(this.#services, service);
    else if (name !== undefined) put(this.#packages, `${name}.`);
    else if (exactPattern.test(pattern)) put(this.#exact, pattern);
    else throw new RuleError(patternForms, JSON.stringify(pattern));
  }

  /**
   * Rules that no method of `served` can match: those that name a method which its service does not have, and the services in
   * patterns which are not among them. A policy may be shared with other providers, so the latter need be no mistake.
   */
  strayRules(served: readonly ServiceDefinition[]): { methods: PolicyLine[]; services: string[] } {
    const methodsOf = new Map(
      served.map(({ typeName, methods }) => [
        typeName,
        new Set(Object.values(methods).map(({ name }) => name)),
      ]),
    );
    const services = new Set([...this.#services.keys()].filter((name) => !methodsOf.has(name)));
    const methods: PolicyLine[] = [];
    for (const [pattern, { line }] of this.#exact) {
      const [service = "", method = ""] = pattern.split("/");
      const known = methodsOf.get(service);
      if (known === undefined) services.add(service);
      else if (!known.has(method)) methods.push(line);
    }
    return { methods, services: [...services] };
  }

  /** The rules that decide over the methods of `served`. */
  linesFor(served: readonly ServiceDefinition[]): PolicyLine[] {
    const lines = new Set<PolicyLine>();
    for (const { typeName, methods } of served) {
      for (const { name } of Object.values(methods)) {
        const rule = this.ruleFor(typeName, name);
        if (rule !== undefined) lines.add(rule.line);
      }
    }
    return [...lines];
  }

  /** The most specific rule for a method; only that one decides. */
  ruleFor(service: string, method: string): Rule | undefined {
    return this.#exact.get(`${service}/${method}`) ?? this.#services.get(service) ?? this.#ruleAbove(service);
  }

  #ruleAbove(service: string): Rule | undefined {
    for (let dot = service.lastIndexOf("."); dot > 0; dot = service.lastIndexOf(".", dot - 1)) {
      const rule = this.#packages.get(service.slice(0, dot + 1));
      if (rule !== undefined) return rule;
    }
    return this.#rest;
  }

  /** Whether this caller may call this method. */
  allows(service: string, method: string, who: Judged): boolean {
    if (this.isEmpty) return true;
    const rule = this.ruleFor(service, method);
    // "*" applies to everything without a rule of its own; Health has a built-in rule.
    if (service === healthService && (rule === undefined || rule === this.#rest)) {
      return who.protocol !== "classic";
    }
    return rule !== undefined && admits(rule, who);
  }

  /** The most specific rule for a topic: by its name first, and of two for one name that of the action. Only that one decides. */
  topicRule(name: string, action: TopicAction): Rule | undefined {
    const of = (names: string): Rule | undefined =>
      this.#topics.get(`${names}/${action}`) ?? this.#topics.get(names);
    const own = of(name);
    if (own !== undefined) return own;
    for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) {
      const rule = of(`${name.slice(0, dot)}.*`);
      if (rule !== undefined) return rule;
    }
    return of("*");
  }

  /** Whether this one may publish, or subscribe, to this topic. */
  allowsTopic(name: string, action: TopicAction, who: Judged): boolean {
    if (!this.coversTopics) return true;
    const rule = this.topicRule(name, action);
    return rule !== undefined && admits(rule, who);
  }
}

function admits({ alternatives }: Rule, who: Judged): boolean {
  const classic = who.protocol === "classic";
  return alternatives.some((one) => (!classic || one.classic) && one.terms.every((matches) => matches(who)));
}

/** Throws `RuleError` for an invalid value of a rule. */
function parseValue(value: string): Alternative[] {
  const words = value.split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) throw new RuleError(valueForms, "nothing");
  const alternatives: Alternative[] = [];
  let terms: Term[] = [];
  let classic = false;
  const end = (): void => {
    alternatives.push({ terms, classic });
    terms = [];
    classic = false;
  };
  words.forEach((word, at) => {
    const operator = word === "|" || word === "+";
    if (operator !== (at % 2 === 1)) {
      throw new RuleError(
        operator ? "an identity" : `| or + behind ${JSON.stringify(words[at - 1])}`,
        JSON.stringify(word),
      );
    }
    if (word === "|") end();
    else if (!operator) {
      terms.push(parseTerm(word));
      classic ||= word === "classic";
    }
  });
  if (words.length % 2 === 0) throw new RuleError(`an identity behind the last ${words.at(-1)}`, "nothing");
  end();
  return alternatives;
}

function parseTerm(word: string): Term {
  if (word === "any") return () => true;
  if (word === "none") return () => false;
  if (word === "classic") return ({ protocol }) => protocol === "classic";
  // An identity may contain both characters; if a second identity follows one, blanks were forgotten.
  if (!isIdentity(word) || /[|+](?:[a-z][a-z0-9.-]*:|any$|none$|classic$)/.test(word)) {
    throw new RuleError(valueForms, JSON.stringify(word));
  }
  const pattern = inOneSpelling(word);
  return ({ identities: { transport, token } }) =>
    (transport !== undefined && matchesGlob(pattern, transport)) ||
    (token !== undefined && matchesGlob(pattern, token));
}

const sectionLine = /^\[([^\]]*)\]\s*(?:[#;].*)?$/;

/**
 * The rules of a policy file: `pattern = value` a line, `[authz]` above them or not, values and comments as in `[authz]` of a
 * conf. Throws `PolicyError` that names every invalid line.
 */
export function parsePolicyFile(text: string, file: string): Policy {
  const lines: PolicyLine[] = [];
  const problems: PolicyProblem[] = [];
  text.split(/\r\n|\n|\r/).forEach((raw, index) => {
    const line = raw.replace(/^\uFEFF/, "").trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) return;
    const where = `${file}:${index + 1}`;
    const section = sectionLine.exec(line)?.[1]?.trim();
    const equals = line.indexOf("=");
    if (section !== undefined) {
      if (section !== "authz") problems.push({ where, expected: "[authz]", found: `[${section}]` });
      return;
    }
    if (equals < 1) {
      // A misplaced secret is not repeated: its first word tells enough.
      const [word = ""] = line.split(/\s+/);
      const found = equals === 0 ? "a value without a pattern" : `${JSON.stringify(word)} and no "="`;
      problems.push({ where, expected: "pattern = value", found });
      return;
    }
    const value = readRuleValue(line.slice(equals + 1).trim());
    if (typeof value !== "string") problems.push({ where, ...value });
    else lines.push({ pattern: line.slice(0, equals).trim(), value, where });
  });
  if (problems.length > 0) throw new PolicyError(problems);
  return new Policy(lines);
}
