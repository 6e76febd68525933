import { expect, test } from "vitest";
import { Code, Refusal } from "../../src/common/codes.js";
import { checkName, contentDisposition, numberedName } from "../../src/common/names.js";

test.each([
  "a",
  "photo.jpg",
  "照片 (1).jpg",
  "👩‍👩‍👧.png",
  "...",
  ".hidden",
  `"quoted"; rm -rf '$HOME' <b>&amp;`,
  "'; DROP TABLE tbl_file; --",
  "x".repeat(255),
  // Seen, with what nobody sees in it.
  "a  b ",
  "soft\u00adhyphen",
  "نامه\u200cها",
])("%j is a name", (name) => {
  expect(checkName(name)).toBe(name);
});

test("what looks the same is the same", () => {
  expect(checkName("e\u0301.txt")).toBe("\u00e9.txt");
});

test.each([
  ["empty", ""],
  ["blank", " \u3000"],
  ["dot", "."],
  ["dots", ".."],
  ["slash", "../../etc/passwd"],
  ["backslash", "..\\boot.ini"],
  ["NUL", "a\0.txt"],
  ["newline", "a\r\nSet-Cookie: x=y"],
  ["C1 control", "a\u0085b"],
  ["line separator", "a\u2028b"],
  ["reversed", "a\u202egpj.exe"],
  ["isolated", "a\u2066b"],
  ["half a character", "a\ud83d"],
  ...[
    ..."\u00a0\u00ad\u061c\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2064\u2800\u3164\ufe0f\ufeff\uffa0",
  ].map((one) => [`only U+${one.charCodeAt(0).toString(16)}`, ` ${one}${one}`] as [string, string]),
  ["256 bytes", "x".repeat(256)],
  ["86 Chinese characters", "照".repeat(86)],
  ["a number", 7],
  ["nothing", undefined],
])("refused: %s", (_what, name) => {
  try {
    checkName(name);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    expect(error).toMatchObject({ code: Code.PARAMETER, message: expect.stringMatching(/^the file name /) });
  }
});

test.each([
  ["a.txt", 1, "a (1).txt"],
  [".hidden", 2, ".hidden (2)"],
  ["folder.with a long end of it", 3, "folder.with a long end of it (3)"],
  ["x".repeat(255), 10, `${"x".repeat(250)} (10)`],
  [`${"照".repeat(83)}.jpeg`, 1, `${"照".repeat(82)} (1).jpeg`],
  // A family is one character of 18 bytes.
  ["👩‍👩‍👧".repeat(14), 1, `${"👩‍👩‍👧".repeat(13)} (1)`],
  // 4 bytes each: neither half of one is left.
  ["😀".repeat(63), 100, `${"😀".repeat(62)} (100)`],
  ["e\u0323".repeat(80), 1, `${"e\u0323".repeat(80)} (1)`],
  [`e${"\u0323\u0302".repeat(60)}`, 1, `e${"\u0323\u0302".repeat(60)} (1)`],
  [`e${"\u0323\u0302".repeat(63)}`, 1, `e${"\u0323\u0302".repeat(62)}\u0323 (1)`],
])("%j with the number %i is a name of at most 255 bytes, in whole characters", (name, number, expected) => {
  const numbered = numberedName(name, number);
  expect(numbered).toBe(expected);
  expect(Buffer.byteLength(numbered)).toBeLessThanOrEqual(255);
  expect(checkName(numbered)).toBe(numbered.normalize("NFC"));
});

test("a plain name needs no second form", () => {
  expect(contentDisposition("a b.txt", "inline")).toBe('inline; filename="a b.txt"');
});

test("any other has both forms", () => {
  expect(contentDisposition("照片 (1)'*.jpg", "attachment")).toBe(
    `attachment; filename="__ (1)'*.jpg"; filename*=UTF-8''%E7%85%A7%E7%89%87%20%281%29%27%2A.jpg`,
  );
});

test.each([
  'a"; filename="b.exe',
  "a\r\nX: y",
  "a\\",
  "100%.txt",
  "a;b",
  "\ud83d",
  "\0",
  "\u202e",
  "é".repeat(200),
])("no name gets out of its quotes or line: %j", (name) => {
  const header = contentDisposition(name, "attachment");
  expect(header).toMatch(
    /^attachment; filename="[ !#$&-:<-[\]-~]*"(; filename\*=UTF-8''[A-Za-z0-9%._!~-]*)?$/,
  );
});
