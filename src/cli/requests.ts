import { JsonMappingError } from "../descriptor/json-error.js";
import { type ExactJson, parseExactJson } from "../descriptor/json-text.js";
import { UsageError } from "./command.js";

/** `what` is named in the error. Throws `UsageError`. */
export function parseRequest(text: string, what: string): ExactJson {
  try {
    return parseExactJson(text);
  } catch (error) {
    if (error instanceof JsonMappingError)
      throw new UsageError(`${what === "the request" ? "" : `${what}: `}${error.message}`);
    throw new UsageError(`${what} is not JSON: ${(error as Error).message}`);
  }
}

/** Requests of a stream, one a line. */
export class RequestLines implements AsyncIterable<ExactJson> {
  /** Of the request that was taken last, from 1. */
  line = 0;
  readonly #lines: AsyncIterable<string>;

  constructor(lines: AsyncIterable<string>) {
    this.#lines = lines;
  }

  /** Throws `UsageError` for a line that is no JSON. Blank lines are passed over. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ExactJson, void> {
    for await (const text of this.#lines) {
      this.line++;
      if (text.trim() !== "") yield parseRequest(text, this.place);
    }
  }

  get place(): string {
    return `line ${this.line} of stdin`;
  }
}
