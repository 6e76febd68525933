import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { codeOf, partsOfName } from "../../web/src/unseen.js";
import { Web } from "./support.js";

/** Names that look like others: they are shown so that they do not. */

const web = new Web();

test("what is not seen in a name is marked, and what belongs to a script is not", () => {
  const marked = (name: string): string[] => {
    const parts = partsOfName(name);
    expect(parts.map(({ text }) => text).join("")).toBe(name);
    return parts
      .filter(({ kind }) => kind !== "plain")
      .map(({ text, kind }) => `${kind} ${[...text].map(codeOf)}`);
  };
  const table: Array<[string, string[]]> = [
    ["plain name.txt", []],
    ["照片　2024.jpg", []],
    ["a  b", ["space U+0020,U+0020"]],
    [" a ", ["space U+0020", "space U+0020"]],
    ["a\u00a0b", ["space U+00A0"]],
    ["a\u00adb", ["unseen U+00AD"]],
    ["a\u200bb\u2060", ["unseen U+200B", "unseen U+2060"]],
    ["\u061c\u3164", ["unseen U+061C", "unseen U+3164"]],
    ["a\u200db", ["unseen U+200D"]],
    // A family, Persian, Hindi.
    ["\u{1f468}\u200d\u{1f469}\u200d\u{1f467}", []],
    ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", []],
    ["\u0915\u094d\u200d\u0937", []],
  ];
  for (const [name, expected] of table) expect(marked(name), JSON.stringify(name)).toEqual(expected);
});

const widthOf = (page: Page, at: number): Promise<number> =>
  page
    .locator(".file-title .name")
    .nth(at)
    .evaluate(
      (one) =>
        (one as unknown as { getBoundingClientRect(): { width: number } }).getBoundingClientRect().width,
    );

test("two names that differ in what is not seen look different, in the list and in the path", async () => {
  const names = ["a b.txt", "a  b.txt", "a b.txt   ", "a\u200b b.txt"];
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      for (const name of names) disk.add({ name }, Buffer.from("x"));
    },
  });
  const widths = await Promise.all(names.map((_, at) => widthOf(page, at)));
  expect(new Set(widths.map(Math.round)).size).toBe(names.length);
  expect((await page.locator(".file-title .name").allTextContents()).sort()).toEqual([...names].sort());
  const code = page.locator(".name .unseen");
  expect(await code.getAttribute("data-code")).toBe("U+200B");
});

test("a name with a space at its end keeps it when another part is changed", async () => {
  const { disk, page } = await web.openSignedIn({
    fill: (one) => one.add({ name: "a.txt " }, Buffer.from("x")),
  });
  await page.locator(".file-name").focus();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: "Name" }).fill("b.txt ");
  await page.keyboard.press("Enter");
  await expect.poll(() => disk.names()).toEqual(["b.txt "]);
});
