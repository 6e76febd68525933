/** Wrong usage: told with the usage text, exit code 2. */
export class UsageError extends Error {}

export function positive(name: string, text: string | undefined, standard: number): number {
  const value = text === undefined ? standard : Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError(`--${name} takes a positive whole number, not "${text}"`);
}

/** Names from a list between commas, in its order; all that are known when none is given. */
export function chosen<T extends string>(
  option: string,
  list: string | undefined,
  known: readonly T[],
): readonly T[] {
  if (list === undefined) return known;
  return list.split(",").map((text) => {
    const name = known.find((one) => one === text);
    if (name === undefined) throw new UsageError(`--${option}: "${text}" is none of ${known.join(", ")}`);
    return name;
  });
}

export const log = (text: string): void => console.error(`bench: ${text}`);
