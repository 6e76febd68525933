import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { messages } from "../src/error/messages.js";

/** docs/errors.md and the table of messages must know the same texts. */
const document = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");

/** Each text of the table, with `…` for whatever changes. */
const texts = Object.entries(messages).map(([name, message]) => {
  if (typeof message === "string") return [name, message] as const;
  const make = message as (...parts: string[]) => string;
  return [name, make(...Array.from({ length: make.length }, () => "…"))] as const;
});

/** What the document need not list, by the reason why. */
const unlisted: Readonly<Record<string, ReadonlyArray<keyof typeof messages>>> = {
  "stands behind a text that is listed, and says all there is to know": [
    ...(["withoutAWord", "callJsonTakesNames", "describedMethods"] as const),
    ...(["unknownJsonField", "jsonTooDeep", "notBase64"] as const),
    ...([
      "jsonTextTooDeep",
      "jsonKeyTwice",
      "jsonRequired",
      "jsonNumberTooLarge",
      "unknownTypeInAny",
    ] as const),
    ...(["descriptorsTooLarge", "descriptorNotBytes", "descriptorInvalid", "descriptorTooDeep"] as const),
    ...(["descriptorNameInvalid", "descriptorDuplicate", "descriptorMissingType"] as const),
    ...(["descriptorTooManyFields", "typeWithoutFile", "typeNotInItsFile"] as const),
  ],
  "a caller breaks the wire; its connection ends, and the provider's log has the rest": [
    "callNumberTaken",
    ...(["creditOfNothing", "creditTooLarge", "creditWithoutStream", "overCredit"] as const),
    ...(["streamFrameOfUnary", "metadataTwice", "messageBeforeWhole", "messageAfterHalfClose"] as const),
  ],
  "no call is left to fail with it": ["connectGivenUp", "callerToldToLeaveStayed"],
  "the network in memory says it for the system, which has words of its own": ["connectionReset"],
};
const unlistedNames: readonly string[] = Object.values(unlisted).flat();

/** What stands between backquotes in the document and has at least four words: texts, and neither names nor keys. */
const listed = [...document.matchAll(/`([^`]+)`/g)]
  .map(([, text]) => text as string)
  .filter((text) => text.split(" ").length >= 4 && !text.startsWith("[") && !text.startsWith("FILE:"));

const fragmentsOf = (text: string): string[] =>
  text
    .split("…")
    .map((part) => part.trim())
    .filter((part) => part !== "");

function holdsInOrder(text: string, fragments: readonly string[]): boolean {
  let from = 0;
  return fragments.every((fragment) => {
    const at = text.indexOf(fragment, from);
    from = at + fragment.length;
    return at >= 0;
  });
}

describe("docs/errors.md", () => {
  it.each(listed)("lists a text that is in the table: %s", (text) => {
    expect(texts.some(([, made]) => holdsInOrder(made, fragmentsOf(text)))).toBe(true);
  });

  it.each(texts.filter(([name]) => !unlistedNames.includes(name)))("lists %s: %s", (_name, text) => {
    const plain = document.replaceAll("…", "");
    const [longest = ""] = fragmentsOf(text).sort((x, y) => y.length - x.length);
    expect(plain).toContain(longest);
  });
});

describe("docs/errors.zh-CN.md", () => {
  const textsOf = (markdown: string): string[] =>
    [...markdown.matchAll(/`([^`]+)`/g)]
      .map(([, text]) => text as string)
      .filter((text) => text.split(" ").length >= 4 && !text.startsWith("["));

  it("lists the same texts in the same order", () => {
    const chinese = readFileSync(new URL("../docs/errors.zh-CN.md", import.meta.url), "utf8");
    const wanted = textsOf(document);
    expect(wanted.length).toBeGreaterThan(80);
    expect(textsOf(chinese)).toEqual(wanted);
  });
});
