import protobuf from "protobufjs";

/** One declaration of a .proto file, and where it begins. */
export interface Declaration {
  readonly kind:
    | "message"
    | "enum"
    | "service"
    | "oneof"
    | "extend"
    | "extensions"
    | "group"
    | "field"
    | "value"
    | "rpc";
  readonly name: string;
  /** Enclosing messages, enums and services: `Outer.Inner`. A oneof is no scope. */
  readonly scope: string;
  readonly line: number;
  /** The oneof a field stands in. */
  readonly oneof: string | undefined;
  /** The statement up to its `;` or `{`. */
  readonly tokens: readonly string[];
}

export interface Located {
  readonly declarations: readonly Declaration[];
  readonly imports: ReadonlyArray<{ target: string; public: boolean; line: number }>;
  readonly syntax: string | undefined;
  /** What stands in the place of `syntax` in a file of a later protobuf: `2023`. */
  readonly edition: string | undefined;
  /** Of `syntax` or `edition`. */
  readonly syntaxLine: number;
  readonly packageLine: number;
}

interface Block {
  kind: "file" | "message" | "enum" | "service" | "oneof" | "other";
  scope: string;
  oneof: string | undefined;
}

/**
 * Finds the line of every declaration. protobufjs's parser keeps none, so this walks the same tokens beside it, without
 * judging them: what it makes of a broken file is of no account, since the parser speaks first.
 */
export function locate(source: string): Located {
  const tokenizer = protobuf.tokenize(source, false);
  const declarations: Declaration[] = [];
  const imports: Array<{ target: string; public: boolean; line: number }> = [];
  const blocks: Block[] = [{ kind: "file", scope: "", oneof: undefined }];
  let syntax: string | undefined;
  let edition: string | undefined;
  let syntaxLine = 1;
  let packageLine = 1;
  let tokens: string[] = [];
  let line = 0;
  let brackets = 0;
  for (let token = tokenizer.next(); token !== null; token = tokenizer.next()) {
    if (token === '"' || token === "'") {
      token = `"${tokenizer.next() ?? ""}`;
      tokenizer.next();
    }
    if (tokens.length === 0) line = tokenizer.line;
    if (token === "[" || token === "]") brackets += token === "[" ? 1 : -1;
    // An option's value may hold braces: `[(x) = { a: 1 }]`.
    if (brackets > 0 || !(token === ";" || token === "{" || token === "}")) {
      tokens.push(token);
      continue;
    }
    brackets = 0;
    const block = blocks.at(-1) as Block;
    if (tokens[0] === "option" && token === "{") {
      blocks.push({ ...block, kind: "other" });
    } else if (tokens[0] === "import") {
      const target = tokens.find((one) => one.startsWith('"'))?.slice(1) ?? "";
      imports.push({ target, public: tokens[1] === "public", line });
    } else if (tokens[0] === "syntax" || tokens[0] === "edition") {
      if (tokens[0] === "syntax") syntax = tokens[2]?.slice(1);
      else edition = tokens[2]?.slice(1);
      syntaxLine = line;
    } else if (tokens[0] === "package") {
      packageLine = line;
    } else if (tokens.length > 0 && block.kind !== "other") {
      const found = describe(tokens, block, line);
      if (found !== undefined) declarations.push(found);
      if (token === "{") blocks.push(opened(found, block));
    } else if (token === "{") {
      blocks.push({ ...block, kind: "other" });
    }
    if (token === "}" && blocks.length > 1) blocks.pop();
    tokens = [];
  }
  return { declarations, imports, syntax, edition, syntaxLine, packageLine };
}

/** What a statement declares; undefined for `option`, `reserved` and the like. */
function describe(tokens: string[], block: Block, line: number): Declaration | undefined {
  const [first = "", second = ""] = tokens;
  const base = { scope: block.scope, line, oneof: block.oneof, tokens };
  const equals = tokens.indexOf("=");
  if (first === "option" || first === "reserved") return undefined;
  if (block.kind === "enum") return { ...base, kind: "value", name: first };
  if (block.kind === "service") return first === "rpc" ? { ...base, kind: "rpc", name: second } : undefined;
  // A field may have a type of the name `message`: a declaration has no `=`.
  if (equals < 0) {
    if (first === "message" || first === "enum" || first === "service" || first === "oneof") {
      return { ...base, kind: first, name: second };
    }
    if (first === "extend" || first === "extensions") return { ...base, kind: first, name: second };
    return undefined;
  }
  const name = tokens[equals - 1] ?? "";
  return { ...base, kind: tokens[equals - 2] === "group" ? "group" : "field", name };
}

function opened(found: Declaration | undefined, block: Block): Block {
  const inner =
    found === undefined || block.scope === "" ? (found?.name ?? "") : `${block.scope}.${found.name}`;
  switch (found?.kind) {
    case "message":
    case "enum":
    case "service":
      return { kind: found.kind, scope: inner, oneof: undefined };
    case "oneof":
      return { kind: "oneof", scope: block.scope, oneof: found.name };
    default:
      return { ...block, kind: "other" };
  }
}
