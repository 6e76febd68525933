import { expect, test } from "vitest";
import { checkPassword } from "../../src/account/passwords.js";
import { checkUsername } from "../../src/account/users.js";
import { wrongIn } from "../../web/src/credentials.js";
import { decodeText } from "../../web/src/decode.js";
import { fileKind, formatBytes, formatDuration, formatTime, fraction } from "../../web/src/format.js";
import { chooseLanguage, dictionaries, translator } from "../../web/src/i18n/translate.js";
import { NoPreview } from "../../web/src/no-preview.js";
import { formatRoute, parseRoute, type Route } from "../../web/src/route.js";
import { drawableScale } from "../../web/src/views/canvas.js";
import { inspectDrawing } from "../../web/src/views/drawing.js";
import { nestedUses } from "./samples.js";

test("sizes", () => {
  const cases: Array<[number, string]> = [
    [0, "0 B"],
    [-1, "0 B"],
    [Number.NaN, "0 B"],
    [1, "1 B"],
    [1023, "1023 B"],
    [1024, "1 KB"],
    [1536, "1.5 KB"],
    [1024 ** 2 - 1, "1 MB"],
    [150 * 1024 ** 2, "150 MB"],
    [1024 ** 3 * 2.25, "2.3 GB"],
    [Number.MAX_SAFE_INTEGER, "8 PB"],
  ];
  for (const [bytes, text] of cases) expect(formatBytes(bytes), String(bytes)).toBe(text);
});

test("times left", () => {
  expect(formatDuration(0)).toBe("0:00");
  expect(formatDuration(-5)).toBe("0:00");
  expect(formatDuration(100)).toBe("0:01");
  expect(formatDuration(65_000)).toBe("1:05");
  expect(formatDuration(3_600_000 + 61_000)).toBe("1:01:01");
  expect(formatDuration(86_400_000 * 2 + 3_600_000)).toBe("2 d 1 h");
  expect(formatDuration(86_400_000 * 2 + 3_600_000, "zh")).toBe("2 天 1 小时");
});

test("a time says no more than is of use", () => {
  const now = new Date(2026, 5, 15, 12, 0).getTime();
  expect(formatTime(new Date(2026, 5, 15, 9, 5).getTime(), "en", now)).toContain("09:05");
  expect(formatTime(new Date(2026, 0, 2).getTime(), "en", now)).toBe("Jan 2");
  expect(formatTime(new Date(2024, 0, 2).getTime(), "en", now)).toBe("Jan 2, 2024");
});

test("a fraction stays between none and all", () => {
  expect(fraction(0, 0)).toBe(1);
  expect(fraction(5, 10)).toBe(0.5);
  expect(fraction(11, 10)).toBe(1);
  expect(fraction(-1, 10)).toBe(0);
});

test("kinds of files", () => {
  expect(fileKind("a.PNG")).toBe("image");
  expect(fileKind("a.tar.gz")).toBe("archive");
  expect(fileKind("notes.md")).toBe("text");
  expect(fileKind("paper.pdf")).toBe("pdf");
  expect(fileKind("Makefile")).toBe("other");
  expect(fileKind("a.constructor")).toBe("other");
});

test("both dictionaries have the same keys and the same parameters", () => {
  const { en, zh } = dictionaries;
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  const parametersOf = (text: string): string[] =>
    [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  for (const key of Object.keys(en) as Array<keyof typeof en>) {
    expect(zh[key], key).not.toBe("");
    expect(parametersOf(zh[key]), key).toEqual(parametersOf(en[key]));
  }
});

test("a name with braces or dollars is said as it is", () => {
  const t = translator("en");
  expect(t("rename.title", { name: "{name} $& $1" })).toBe("Rename {name} $& $1");
  expect(t("rename.title", {})).toBe("Rename {name}");
});

test("the language is the first one there is", () => {
  expect(chooseLanguage(["fr", "zh-TW", "en"])).toBe("zh");
  expect(chooseLanguage(["en-GB", "zh"])).toBe("en");
  expect(chooseLanguage(["fr"])).toBe("en");
  expect(chooseLanguage([])).toBe("en");
});

test("a route is what its address says", () => {
  const routes: Route[] = [
    { view: "files", folderId: 0 },
    { view: "files", folderId: 12 },
    { view: "search", query: "a/b %?#" },
    { view: "trash" },
    { view: "services" },
  ];
  for (const route of routes) expect(parseRoute(formatRoute(route))).toEqual(route);
  for (const bad of ["", "#", "#/files/-1", "#/files/1e9", "#/other", "#/search/%E0%A4%A"]) {
    expect(parseRoute(bad), bad).toEqual({ view: "files", folderId: 0 });
  }
});

test("a new account is checked as the disk does", () => {
  const good = ["ann", "李", "李雷", "é12", "a.b_c-d", "x".repeat(64)];
  for (const name of good) {
    expect(wrongIn(name, "secret"), name).toBeUndefined();
    expect(() => checkUsername(name), name).not.toThrow();
  }
  for (const name of ["", "ab", "é", "a b", "a/b", "x".repeat(65), "<b>"]) {
    expect(wrongIn(name, "secret"), name).toBe("username");
    expect(() => checkUsername(name), name).toThrow();
  }
  for (const password of ["12345", "密码密码密", "x".repeat(128)]) {
    expect(wrongIn("ann", password), password).toBeUndefined();
    expect(() => checkPassword(password), password).not.toThrow();
  }
  for (const password of ["", "1234", "\u{1f600}".repeat(4), "x".repeat(129)]) {
    expect(wrongIn("ann", password), password).toBe("password");
    expect(() => checkPassword(password), password).toThrow();
  }
});

test("a text is decoded by its mark, as UTF-8, else as GB 18030", () => {
  const utf8 = new TextEncoder().encode("a好");
  expect(decodeText(utf8, false)).toBe("a好");
  expect(decodeText(utf8.subarray(0, -1), true)).toBe("a");
  expect(decodeText(Uint8Array.of(0xef, 0xbb, 0xbf, ...utf8), false)).toBe("a好");
  expect(decodeText(Uint8Array.of(0xff, 0xfe, 0x7d, 0x59), false)).toBe("好");
  expect(decodeText(Uint8Array.of(0xfe, 0xff, 0x59, 0x7d), false)).toBe("好");
  expect(decodeText(Uint8Array.of(0xba, 0xc3), false)).toBe("好");
  expect(decodeText(new Uint8Array(), false)).toBe("");
});

test("a drawing has a size, and is not to come to more elements than can be drawn", () => {
  const svg = (attributes: string, body = ""): string =>
    `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY ns "http://x"]><!-- <a> --><svg ${attributes}>${body}</svg>`;
  const sizes: Array<[string, number, number]> = [
    ['width="40" height="20"', 40, 20],
    ["width='1in' height='10mm'", 96, 37.8],
    ['viewBox="0 0 200 100"', 200, 100],
    ['viewBox="0,0,200,100" width="50px"', 50, 25],
    ['viewBox="0 0 200 100" width="100%" height="50"', 100, 50],
    ['viewBox="0 0 0 1"', 300, 150],
  ];
  for (const [attributes, width, height] of sizes) {
    const { widthPx, heightPx } = inspectDrawing(svg(attributes, "<g title='>'><use href='#none'/></g>"));
    expect(widthPx, attributes).toBeCloseTo(width, 0);
    expect(heightPx, attributes).toBeCloseTo(height, 0);
  }
  const why = (text: string): string | undefined => {
    try {
      inspectDrawing(text);
      return undefined;
    } catch (error) {
      return error instanceof NoPreview ? error.why : String(error);
    }
  };
  expect(why(nestedUses(4).toString())).toBeUndefined();
  expect(why(nestedUses(5).toString())).toBe("complex");
  expect(why(nestedUses(300).toString())).toBe("complex");
  expect(why(svg("", '<g id="a"><use xlink:href="#a"/></g>'))).toBeUndefined();
  const masks = Array.from({ length: 6 }, (_, at) => {
    const rects = `<rect style="mask:url('#m${at}')"/>`.repeat(10);
    return `<mask id="m${at + 1}">${rects}</mask>`;
  });
  expect(why(svg("", `<mask id="m0"/>${masks.join("")}<rect mask="url(#m6)"/>`))).toBe("complex");
  expect(why('<!DOCTYPE svg [<!ENTITY a "<g/>"><!ENTITY b "&a;&a;">]><svg>&b;</svg>')).toBe("complex");
  // Each of these would take hours if it were not read in one pass.
  expect(why(`<svg ${"a".repeat(4_000_000)}><g></svg>`)).toBe("broken");
  expect(why(`<svg>${"<!--".repeat(1_000_000)}</svg>`)).toBe("broken");
  expect(why(`<!DOCTYPE svg [${"<!ENTITY".repeat(500_000)}]><svg/>`)).toBe("complex");
  const deep = `${"<g>".repeat(50_000)}${"</g>".repeat(50_000)}`;
  expect(why(svg("", deep))).toBeUndefined();
  for (const broken of [
    "",
    "text",
    "<html></html>",
    "<svg>",
    "<svg",
    "<svg></g></svg>",
    "<svg/><svg/>",
    "<!--",
  ]) {
    expect(why(broken), broken).toBe("broken");
  }
});

test("a page is drawn at the scale that is wanted, or the closest that a canvas can have", () => {
  expect(drawableScale({ width: 600, height: 800 }, 1.5)).toBe(1.5);
  const tall = drawableScale({ width: 300, height: 14_400 }, 3) ?? 0;
  expect(tall * 14_400).toBeLessThanOrEqual(16_384);
  expect(tall * 14_400).toBeGreaterThan(16_000);
  const wide = drawableScale({ width: 14_400, height: 14_400 }, 1) ?? 0;
  expect((wide * 14_400) ** 2).toBeLessThanOrEqual(16_777_216 * 1.0001);
  expect(drawableScale({ width: 14_400, height: 0.5 }, 0.0625)).toBeUndefined();
});
