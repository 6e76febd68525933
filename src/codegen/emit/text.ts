/** Width generated lines keep to, as biome is set to. */
const lineWidth = 110;

/** A statement, or one or two that stand behind `if (...)` or `while (...)`. */
export type Statement = string | Guarded;

interface Guarded {
  readonly guard: string;
  readonly body: string;
  /** Behind `else`. */
  readonly otherwise?: string;
}

/** Gathers indented lines. */
export class Text {
  readonly #lines: string[] = [];
  #indent = "";

  line(text = ""): void {
    this.#lines.push(text === "" ? "" : this.#indent + text);
  }

  lines(texts: readonly string[]): void {
    for (const text of texts) this.line(text);
  }

  /** `head`, then what `body` writes one step further in, then `tail`. */
  block(head: string, tail: string, body: () => void): void {
    this.line(head);
    this.indented(body);
    this.line(tail);
  }

  indented(body: () => void): void {
    const before = this.#indent;
    this.#indent += "  ";
    body();
    this.#indent = before;
  }

  /** `open` items `close` on one line, or one item a line where that would be too long. */
  list(open: string, items: readonly string[], close: string, spaced = false): void {
    const space = spaced ? " " : "";
    const whole = `${open}${space}${items.join(", ")}${space}${close}`;
    if (this.fits(whole)) this.line(whole);
    else this.block(open, close, () => this.lines(items.map((item) => `${item},`)));
  }

  /** As `list`, for items that no comma may end. */
  openList(open: string, items: readonly string[], close: string): void {
    const whole = `${open}${items.join(", ")}${close}`;
    if (this.fits(whole)) this.line(whole);
    else
      this.block(open, close, () =>
        this.lines(items.map((item, i) => (i < items.length - 1 ? `${item},` : item))),
      );
  }

  statements(all: readonly Statement[]): void {
    for (const one of all) {
      if (typeof one === "string") this.#statement(one);
      else this.#guarded(one);
    }
  }

  #guarded({ guard, body, otherwise }: Guarded): void {
    // Two statements in one text need braces.
    if (this.fits(`${guard} ${body}`) && !/; \S/.test(body)) {
      this.line(`${guard} ${body}`);
      if (otherwise !== undefined) this.line(`else ${otherwise}`);
      return;
    }
    this.line(`${guard} {`);
    this.indented(() => {
      for (const part of body.split(/(?<=;) /)) this.#statement(part);
    });
    if (otherwise !== undefined) {
      this.line("} else {");
      this.indented(() => this.#statement(otherwise));
    }
    this.line("}");
  }

  /** Where a call would be too long, its arguments go one a line. */
  #statement(whole: string): void {
    const open = whole.indexOf("(");
    if (this.fits(whole) || open < 0 || !whole.endsWith(");")) this.line(whole);
    else this.list(whole.slice(0, open + 1), topLevelParts(whole.slice(open + 1, -2)), ");");
  }

  /** `if (a && b) {` with its body. */
  when(conditions: readonly string[], body: () => void): void {
    const whole = `if (${conditions.join(" && ")}) {`;
    if (this.fits(whole)) this.line(whole);
    else {
      const last = conditions.length - 1;
      this.line("if (");
      this.indented(() => this.lines(conditions.map((one, i) => (i < last ? `${one} &&` : one))));
      this.line(") {");
    }
    this.indented(body);
    this.line("}");
  }

  /** `head` and `value`, on a line of its own further in when both do not fit. */
  assign(head: string, value: string, tail: string): void {
    const whole = `${head} ${value}${tail}`;
    if (this.fits(whole)) this.line(whole);
    else {
      this.line(head);
      this.indented(() => this.line(value + tail));
    }
  }

  /** `name: A | B | C;`, one alternative a line where that would be too long. */
  union(head: string, alternatives: readonly string[], tail: string): void {
    const whole = `${head} ${alternatives.join(" | ")}${tail}`;
    if (this.fits(whole)) this.line(whole);
    else {
      const last = alternatives.length - 1;
      this.line(head);
      this.indented(() => this.lines(alternatives.map((one, i) => `| ${one}${i === last ? tail : ""}`)));
    }
  }

  /** A doc comment; nothing without text. */
  comment(parts: ReadonlyArray<string | undefined>): void {
    const lines = parts
      .filter((part) => part !== undefined && part.trim() !== "")
      .flatMap((part) => (part as string).replaceAll("*/", "*\\/").split("\n"))
      .map((line) => line.trimEnd());
    if (lines.length === 0) return;
    if (lines.length === 1) this.line(`/** ${lines[0]} */`);
    else {
      this.line("/**");
      for (const line of lines) this.line(line === "" ? " *" : ` * ${line}`);
      this.line(" */");
    }
  }

  fits(text: string): boolean {
    return this.#indent.length + text.length <= lineWidth;
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

/** Splits at commas outside of parentheses. */
function topLevelParts(args: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= args.length; i++) {
    const char = args[i];
    if (char === "(" || char === "{") depth++;
    else if (char === ")" || char === "}") depth--;
    else if (i === args.length || (char === "," && depth === 0)) {
      parts.push(args.slice(start, i).trim());
      start = i + 1;
    }
  }
  return parts;
}
