/** The comments between two tokens: those behind the first, those in front of the second, those of neither. */
export interface Comments {
  readonly trailing: string;
  readonly detached: readonly string[];
  readonly leading: string;
}

export const noComments: Comments = { trailing: "", detached: [], leading: "" };

/** Decides which of the comments between two tokens belongs to which of them. */
export class CommentCollector {
  #trailing = "";
  #hasTrailing = false;
  #detached: string[] = [];
  #buffer: string | undefined;
  #bufferIsLine = false;
  #canAttachToPrevious = true;
  #flushed = 0;

  /** The text behind `//`, with its line break: lines that follow each other are one comment. */
  line(text: string): void {
    if (this.#buffer !== undefined && !this.#bufferIsLine) this.flush();
    this.#buffer = (this.#buffer ?? "") + text;
    this.#bufferIsLine = true;
  }

  /** The text within one block comment. */
  block(text: string): void {
    this.flush();
    this.#buffer = withoutAsterisks(text);
    this.#bufferIsLine = false;
  }

  /** The comment read last is complete and does not touch the token ahead. */
  flush(): void {
    if (this.#buffer === undefined) return;
    if (this.#canAttachToPrevious) {
      this.#trailing += this.#buffer;
      this.#hasTrailing = true;
      this.#canAttachToPrevious = false;
    } else this.#detached.push(this.#buffer);
    this.#buffer = undefined;
    this.#flushed++;
  }

  detachFromPrevious(): void {
    this.#canAttachToPrevious = false;
  }

  /** A single comment between two tokens of one line could belong to either, so it belongs to neither. */
  detachTheOnlyOne(): void {
    if (this.#flushed + (this.#buffer === undefined ? 0 : 1) !== 1) return;
    if (this.#hasTrailing) {
      this.#detached.unshift(this.#trailing);
      this.#trailing = "";
    }
    this.flush();
  }

  result(): Comments {
    return { trailing: this.#trailing, detached: this.#detached, leading: this.#buffer ?? "" };
  }
}

/** What is in front of the first asterisk of a line, and that asterisk, is decoration. */
function withoutAsterisks(text: string): string {
  if (!text.includes("\n")) return text;
  const [first = "", ...rest] = text.split("\n");
  return [first, ...rest.map((line) => line.replace(/^[ \t\r\v\f]*\*?/, ""))].join("\n");
}
