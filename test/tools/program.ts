import { type ParseArgsConfig, parseArgs } from "node:util";

/** Ends the program: its command line is wrong. */
export function wrongUsage(text: string): never {
  console.error(`${text}; --help tells the options`);
  process.exit(2);
}

/**
 * The options a developer's program was started with. Ends the program with 0 after `--help`, which prints `usage`, and
 * with 2 and one line for an option it does not have.
 */
export function readOptions<T extends NonNullable<ParseArgsConfig["options"]>>(usage: string, options: T) {
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage.trim());
    process.exit(0);
  }
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    // Node goes on with advice about arguments that begin with "-", which none of these programs takes.
    const [problem = ""] = (error as Error).message.split(/\.\s/, 1);
    return wrongUsage(problem);
  }
}

/** The whole number that stands behind `--name`. */
export function wholeNumber(name: string, text: string, least = 0): number {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= least) return value;
  return wrongUsage(`--${name} takes a whole number of at least ${least}, not "${text}"`);
}

/** The number above 0, fractions included, that stands behind `--name`. */
export function positiveNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  return wrongUsage(`--${name} takes a number above 0, not "${text}"`);
}

/** `text` as one of `known`. */
export function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  return found ?? wrongUsage(`--${name} takes ${known.join(", ")}, not "${text}"`);
}
