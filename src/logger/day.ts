/** A local calendar day as one number that fits 32 bits: 20250131. */
export type Day = number;

/** Answers which local day a time belongs to; a `Date` is made only when the day changes. */
export class DayFinder {
  #day: Day = 0;
  #startMs = 0;
  #endMs = 0;

  /** `wallMs`: milliseconds since the Unix epoch. */
  dayOf(wallMs: number): Day {
    if (wallMs < this.#startMs || wallMs >= this.#endMs) {
      const date = new Date(wallMs);
      const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
      this.#day = year * 10_000 + (month + 1) * 100 + day;
      this.#startMs = new Date(year, month, day).getTime();
      this.#endMs = new Date(year, month, day + 1).getTime();
    }
    return this.#day;
  }
}

/** The file of a day: see `LoggerOptions.file` for the pattern. */
export function fileNameOf(pattern: string, day: Day): string {
  const year = String(Math.floor(day / 10_000)).padStart(4, "0");
  const month = Math.floor(day / 100) % 100;
  const values: Record<string, string> = {
    YYYY: year,
    MM: String(month).padStart(2, "0"),
    M: String(month),
    DD: String(day % 100).padStart(2, "0"),
    D: String(day % 100),
  };
  return pattern.replace(/\p{L}+/gu, (letters) =>
    /^(?:YYYY|MM?|DD?)+$/.test(letters)
      ? letters.replace(/YYYY|MM?|DD?/g, (token) => values[token] ?? token)
      : letters,
  );
}
