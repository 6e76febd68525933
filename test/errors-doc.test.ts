import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/** docs/errors.md and the code must know the same texts: each listed one is made somewhere, each made one is listed. */
const root = fileURLToPath(new URL("..", import.meta.url));
const document = readFileSync(path.join(root, "docs/errors.md"), "utf8");
const sourceOf = (...folders: string[]): string =>
  folders
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
        path.join(root, folder, name),
      ),
    )
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
/** Where calls fail. */
const source = sourceOf("src/call", "src/channel", "src/provider", "src/transport");

/** A text with each changing part as one `…`. */
function shape(text: string): string {
  return text.replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…");
}

const literals = [
  ...`${source}\n${sourceOf("src/error", "src/registry")}`.matchAll(
    /`((?:\\.|\$\{(?:[^{}]|\{[^{}]*\})*\}|[^`\\])*)`|"((?:\\.|[^"\\\n])*)"/g,
  ),
].map(([, template, plain]) => shape(template ?? plain ?? ""));

/** First columns of the tables, and texts in sentences: what stands between backquotes and has at least three words. */
const listed = [...document.matchAll(/`([^`]+)`/g)]
  .map(([, text]) => text as string)
  .filter((text) => text.split(" ").length >= 4 && !text.startsWith("[") && !text.startsWith("FILE:"));

describe("docs/errors.md", () => {
  it.each(listed)("lists a text that the code makes: %s", (text) => {
    const fragments = text
      .split("…")
      .map((part) => part.trim())
      .filter((part) => part.length > 3);
    const found = literals.some((literal) => fragments.every((fragment) => literal.includes(fragment)));
    expect(found, text).toBe(true);
  });

  it("leaves out no text that a call can fail with", () => {
    const made = [
      ...source.matchAll(
        /new RpcError\(\s*[\w.]+,\s*(?:"([^"]*)"|`((?:[^`\\]|\\.)*)`)|(?:const )?text = ?\s*(?:"([^"]*)"|`((?:[^`\\]|\\.)*)`)/g,
      ),
    ]
      .map(([, a, b, c, d]) => shape(a ?? b ?? c ?? d ?? ""))
      .filter((text) => text.split(" ").length >= 4 && !text.startsWith("["));
    expect(made.length).toBeGreaterThan(20);
    const plain = document.replaceAll("…", "");
    const missing = made.filter((text) => {
      const longest = text
        .split("…")
        .map((part) => part.trim())
        .sort((x, y) => y.length - x.length)[0] as string;
      return !plain.includes(longest.slice(0, 28).trim());
    });
    expect(missing).toEqual([]);
  });
});

describe("docs/errors.zh-CN.md", () => {
  const textsOf = (markdown: string): string[] =>
    [...markdown.matchAll(/`([^`]+)`/g)]
      .map(([, text]) => text as string)
      .filter((text) => text.split(" ").length >= 4 && !text.startsWith("["));

  it("lists the same texts in the same order", () => {
    const chinese = readFileSync(path.join(root, "docs/errors.zh-CN.md"), "utf8");
    const wanted = textsOf(document);
    expect(wanted.length).toBeGreaterThan(80);
    expect(textsOf(chinese)).toEqual(wanted);
  });
});
