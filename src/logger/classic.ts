import { printable, unsafeSet } from "../base/printable.js";

/**
 * The classic line, `14:03:07 => [info] text key=value key2="two words"`: one line whatever it holds, so that a value from
 * outside can neither forge a line nor steer a terminal.
 */

const bare = new RegExp(`^[^\\s"=${unsafeSet}]+$`, "u");

export function classicKey(key: string): string {
  return bare.test(key) ? key : printable(JSON.stringify(key));
}

/** A value that is not an object: text bare where that is unambiguous, the rest as JSON; undefined for what JSON omits. */
export function classicValue(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
      return bare.test(value) ? value : printable(JSON.stringify(value));
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "boolean":
    case "bigint":
      return String(value);
    default:
      return undefined;
  }
}

/** `HH:MM:SS` in local time; made once per second. */
export class TimeOfDay {
  #second = Number.NaN;
  #text = "";

  /** `wallMs`: milliseconds since the Unix epoch. */
  textOf(wallMs: number): string {
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const date = new Date(wallMs);
      const parts = [date.getHours(), date.getMinutes(), date.getSeconds()];
      this.#text = parts.map((part) => String(part).padStart(2, "0")).join(":");
    }
    return this.#text;
  }
}
