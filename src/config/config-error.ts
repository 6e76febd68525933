/** One thing that is wrong with the configuration, and where. */
export interface ConfigProblem {
  /** `mprpc.conf:12`, `MPRPC_LOG_LEVEL` or `--log.level`. */
  readonly where: string;
  /** The conf file, as it was named, when the problem stands in it. */
  readonly file?: string;
  /** Counted from 1. */
  readonly line?: number;
  /** `log.level`, when a key of the schema is meant. */
  readonly key?: string;
  readonly expected: string;
  /** What stood there instead; a secret is never repeated. */
  readonly found: string;
}

/** The configuration cannot be used. The message has one line a problem: all of them (up to 20), not just the first. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** At least one. */
  readonly problems: readonly ConfigProblem[];

  /** `unlisted`: how many more there are. */
  constructor(problems: readonly ConfigProblem[], unlisted = 0) {
    const more = unlisted === 0 ? [] : [`... and ${unlisted} more`];
    super([...problems.map(describeProblem), ...more].join("\n"));
    this.problems = problems;
    // The message has said it all: printed as a property it would be said again, as code.
    Object.defineProperty(this, "problems", { enumerable: false });
  }
}

function describeProblem({ where, key, expected, found }: ConfigProblem): string {
  // A flag is the key.
  const what = key === undefined || where === `--${key}` ? "" : `${shownKey(key)}: `;
  return `${where}: ${what}expected ${expected}, found ${found}`;
}

/** A key of ours as it is; one that a file made up as any other text of it. */
function shownKey(key: string): string {
  return /^[\w.-]{1,80}$/.test(key) ? key : quoteFound(key);
}

/** Text as a message shows it: quoted, short, control characters escaped, credentials in a URL hidden. */
export function quoteFound(text: string): string {
  const hidden = hideCredentials(text);
  const quoted = JSON.stringify(hidden.length > 80 ? `${hidden.slice(0, 80)}...` : hidden);
  // JSON leaves these as they are, and a terminal obeys some of them.
  return quoted.replace(/[\u007f-\u009f\u2028\u2029]/g, (one) => {
    return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** `zookeeper://user:password@host` without what stands before the `@`; so of each URL in it. */
export function hideCredentials(text: string): string {
  return text.replace(/\/\/[^/?]*@/g, "//***@");
}
