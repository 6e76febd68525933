import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";
import { Code } from "../../src/common/codes.js";

/** What the services refuse with, read from their source: every code with every message, made-up values filled in. */
export interface FoundRefusal {
  code: number;
  message: string;
  file: string;
}

interface AnyNode {
  type: string;
  [key: string]: unknown;
}

const sources = fileURLToPath(new URL("../../src", import.meta.url));
/** Stands for whatever is only known when it runs. */
const madeUp = "7";

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function* walk(value: unknown): Generator<AnyNode> {
  if (Array.isArray(value)) for (const one of value) yield* walk(one);
  else if (isNode(value)) {
    yield value;
    for (const child of Object.values(value)) yield* walk(child);
  }
}

/** One file: what its expressions may be, as texts. */
class Source {
  readonly nodes: AnyNode[];

  constructor(file: string) {
    const { program, errors } = parseSync(file, readFileSync(file, "utf8"));
    if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
    this.nodes = [...walk(program)];
  }

  /** Every text the expression may be. */
  texts(node: unknown): string[] {
    if (!isNode(node)) return [madeUp];
    switch (node.type) {
      case "Literal":
        return [String(node.value)];
      case "TemplateLiteral":
        return this.#template(node);
      case "ConditionalExpression":
        return [...this.texts(node.consequent), ...this.texts(node.alternate)];
      case "LogicalExpression":
        return this.texts(node.right);
      case "Identifier":
        return this.#named(String(node.name), Number(node.start));
      default:
        return [madeUp];
    }
  }

  #template(node: AnyNode): string[] {
    const quasis = node.quasis as Array<{ value: { cooked: string } }>;
    const expressions = node.expressions as AnyNode[];
    let texts = [quasis[0]?.value.cooked ?? ""];
    expressions.forEach((expression, at) => {
      const tail = quasis[at + 1]?.value.cooked ?? "";
      const found = isText(expression) ? this.texts(expression) : [madeUp];
      texts = texts.flatMap((text) => found.map((one) => text + one + tail));
    });
    return texts;
  }

  /** A constant, or a parameter: then whatever it is called with in this file. */
  #named(name: string, usedAt: number): string[] {
    // The nearest above: blocks beside one another may each have one of this name.
    for (const node of this.nodes.filter(({ start }) => Number(start) < usedAt).reverse()) {
      if (node.type === "VariableDeclarator" && isNode(node.id) && node.id.name === name) {
        if (isNode(node.init) && isText(node.init)) return this.texts(node.init);
      }
      if (node.type !== "FunctionDeclaration" || !isNode(node.id)) continue;
      const at = (node.params as AnyNode[]).findIndex((one) => one.name === name);
      if (at < 0) continue;
      const called = String(node.id.name);
      const given = this.nodes
        .filter((one) => one.type === "CallExpression" && isNode(one.callee) && one.callee.name === called)
        .map((one) => (one.arguments as AnyNode[])[at])
        .filter((one) => one !== undefined && one.type !== "Identifier")
        .flatMap((one) => this.texts(one));
      if (given.length > 0) return given;
    }
    return [madeUp];
  }
}

function isText(node: AnyNode): boolean {
  return ["Literal", "TemplateLiteral", "ConditionalExpression", "Identifier"].includes(node.type);
}

function codeOf(node: unknown): number | undefined {
  if (!isNode(node) || node.type !== "MemberExpression" || !isNode(node.object) || !isNode(node.property)) {
    return undefined;
  }
  if (node.object.name !== "Code") return undefined;
  const code = (Code as Record<string, number>)[String(node.property.name)];
  if (code === undefined) throw new Error(`there is no Code.${String(node.property.name)}`);
  return code;
}

/** `new Refusal(Code.X, text)`, and replies that are written as `{ code: Code.X, msg: text }`. */
function refusalsOf(file: string): FoundRefusal[] {
  const source = new Source(file);
  const found: FoundRefusal[] = [];
  const take = (code: number | undefined, message: unknown): void => {
    if (code === undefined) return;
    const name = path.relative(sources, file);
    for (const text of source.texts(message)) found.push({ code, message: text, file: name });
  };
  for (const node of source.nodes) {
    if (node.type === "NewExpression" && isNode(node.callee) && node.callee.name === "Refusal") {
      const [code, message] = node.arguments as AnyNode[];
      take(codeOf(code), message);
    }
    if (node.type !== "ObjectExpression") continue;
    const fieldOf = (name: string): unknown =>
      (node.properties as AnyNode[]).find((one) => isNode(one.key) && one.key.name === name)?.value;
    const message = fieldOf("msg");
    if (isNode(message) && isText(message)) take(codeOf(fieldOf("code")), message);
  }
  return found;
}

export function findRefusals(): FoundRefusal[] {
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts") && !file.split(path.sep).includes("gen"))
    .flatMap((file) => refusalsOf(path.join(sources, file)));
}
