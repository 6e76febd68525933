import type { FastifyRequest } from "fastify";
import { Code, Refusal } from "./codes.js";

/** The parameters of a route of the course projects: JSON or form, and the query for what is not in the body. */
export class Parameters {
  readonly #sources: readonly object[];

  constructor(request: Pick<FastifyRequest, "body" | "query">) {
    this.#sources = [request.body, request.query].filter(
      (from): from is object => typeof from === "object" && from !== null && !Array.isArray(from),
    );
  }

  /** Throws Refusal (10001) when it is not one text, or missing without a fallback. */
  text(name: string, fallback?: string): string {
    const value = this.#find(name) ?? fallback;
    if (value === undefined) throw new Refusal(Code.PARAMETER, `${name} is missing`);
    if (typeof value !== "string") throw new Refusal(Code.PARAMETER, `${name} must be one text`);
    return value;
  }

  /** `fallback` NaN: it must be given. */
  integer(name: string, range: { min: number; max: number; fallback: number }): number {
    const value = this.#find(name) ?? range.fallback;
    if (Number.isNaN(value)) throw new Refusal(Code.PARAMETER, `${name} is missing`);
    const number = typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
    if (!Number.isInteger(number) || Number(number) < range.min || Number(number) > range.max) {
      throw new Refusal(Code.PARAMETER, `${name} must be a whole number from ${range.min} to ${range.max}`);
    }
    return Number(number);
  }

  /** The first of these spellings that is given, or else the first. */
  spelling(...names: [string, ...string[]]): string {
    return names.find((name) => this.#find(name) !== undefined) ?? names[0];
  }

  #find(name: string): unknown {
    for (const source of this.#sources) {
      if (Object.hasOwn(source, name)) {
        const value: unknown = Reflect.get(source, name);
        if (value !== null && value !== undefined && value !== "") return value;
      }
    }
    return undefined;
  }
}
