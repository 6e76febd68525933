import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { hugePng, nestedPatterns, nestedUses, pdf, png, songti } from "./samples.js";
import { chooser, Web } from "./support.js";

/** Files are looked at in the page, and nothing that is in them or in their names runs. */

const web = new Web();

async function open(page: Page, name: string): Promise<void> {
  await page.getByRole("table").getByText(name, { exact: true }).click();
  await page.getByRole("dialog", { name }).waitFor();
}

interface Canvas {
  width: number;
  height: number;
  getContext(kind: "2d"): {
    getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
  };
}

/** Pixels of the page that are not white. */
async function ink(page: Page, drawn: number): Promise<number> {
  const shown = page.locator(`canvas[data-drawn="${drawn}"]`);
  await shown.waitFor();
  return shown.evaluate((element) => {
    const canvas = element as unknown as Canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let dark = 0;
    for (let at = 0; at < data.length; at += 4) if ((data[at] ?? 255) < 200) dark++;
    return dark;
  });
}

/** 0: it has not come. */
async function widthOf(page: Page, name: string): Promise<number> {
  return page
    .getByRole("img", { name: `Preview of ${name}` })
    .evaluate((element) => (element as unknown as { naturalWidth: number }).naturalWidth);
}

test("an image is shown, and one that is none says so", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      disk.add({ name: "red.png" }, png(64));
      disk.add({ name: "broken.png" }, Buffer.from("no image"));
    },
  });
  await open(page, "red.png");
  await expect.poll(() => widthOf(page, "red.png")).toBe(64);
  await page.keyboard.press("Escape");
  await open(page, "broken.png");
  await page.getByRole("alert").getByText("This file cannot be shown").waitFor();
});

test("a text is shown as it is, whichever way it is encoded, and cut when it is long", async () => {
  const chinese = "你好，世界";
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      disk.add({ name: "utf8.txt" }, Buffer.from(chinese));
      disk.add({ name: "gbk.txt" }, Buffer.from("c4e3bac3a3accac0bde7", "hex"));
      disk.add({ name: "utf16.txt" }, Buffer.from(`\ufeff${chinese}`, "utf16le"));
      disk.add({ name: "long.log" }, Buffer.from("好".repeat(100_000)));
    },
  });
  for (const name of ["utf8.txt", "gbk.txt", "utf16.txt"]) {
    await open(page, name);
    await page.getByText(chinese).waitFor();
    await page.keyboard.press("Escape");
  }
  await open(page, "long.log");
  await page.getByText("Only the first 256 KB are shown.").waitFor();
  // The cut is within a character.
  const shown = (await page.locator(".preview pre").textContent()) ?? "";
  expect(new Set(shown)).toEqual(new Set("好"));
  expect(shown.length).toBe(Math.floor((256 * 1024) / 3));
});

test("a PDF is shown page by page, with characters of a font it does not bring along", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      disk.add({ name: "two.pdf" }, pdf(["(Hello)", "(Hello again)"]));
      disk.add({ name: "chinese.pdf" }, pdf(["<C4E3BAC3>"], songti));
      disk.add({ name: "broken.pdf" }, Buffer.from("no PDF"));
    },
  });
  await open(page, "two.pdf");
  const first = await ink(page, 1);
  expect(first).toBeGreaterThan(500);
  await page.getByText("Page 1 of 2").waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  expect(await ink(page, 2)).toBeGreaterThan(first);
  expect(await page.evaluate("window.hacked")).toBeUndefined();
  await page.keyboard.press("Escape");

  const [map] = await Promise.all([page.waitForResponse(/GBK-EUC-H\.bcmap$/), open(page, "chinese.pdf")]);
  expect(map.status()).toBe(200);
  expect(await ink(page, 1)).toBeGreaterThan(100);
  await page.keyboard.press("Escape");

  await open(page, "broken.pdf");
  await page.getByRole("alert").getByText("This file cannot be shown").waitFor();
});

test("a hostile HTML or SVG file is shown, and runs nothing", async () => {
  const script = "window.hacked = 'script'; parent.hacked = 'script'; fetch('/hacked')";
  const html = `<h1 onclick="hacked()">Hi</h1><img src=/hacked onerror="${script}"><script>${script}</script>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="${script}">
    <script>${script}</script><image href="/hacked" width="9" height="9"/>
    <foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="/hacked"/></foreignObject>
    <rect width="40" height="40" fill="red"/></svg>`;
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      disk.add({ name: "evil.html" }, Buffer.from(html));
      disk.add({ name: "evil.svg" }, Buffer.from(svg));
    },
  });
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await open(page, "evil.html");
  await page.getByText(html).waitFor();
  await page.keyboard.press("Escape");
  await open(page, "evil.svg");
  await page.locator(".drawing iframe[data-drawn]").waitFor();
  const frame = page.frameLocator(".drawing iframe");
  const image = frame.locator("img");
  expect(await image.evaluate((one) => (one as unknown as { naturalWidth: number }).naturalWidth)).toBe(40);
  expect(await page.evaluate("window.hacked")).toBeUndefined();
  // That of the drawing, and none in it.
  expect(page.frames()).toHaveLength(2);
  expect(await page.locator(".drawing iframe:not([hidden])").getAttribute("sandbox")).toBe("");
  expect(asked).not.toContain("/hacked");
});

test("drawings that would hold up the tab are not shown, and the page says why", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      disk.add({ name: "plain.svg" }, nestedUses(2));
      disk.add({ name: "uses.svg" }, nestedUses(9));
      disk.add({ name: "patterns.svg" }, nestedPatterns(9));
      disk.add({ name: "broken.svg" }, Buffer.from("<svg><not closed"));
      disk.add({ name: "large.svg" }, Buffer.alloc(5 << 20, "<svg/>"));
    },
  });
  await open(page, "plain.svg");
  await page.locator(".drawing iframe[data-drawn]").waitFor();
  await page.keyboard.press("Escape");
  for (const [name, said] of [
    ["uses.svg", "This drawing is too complex to be shown here."],
    ["patterns.svg", "This file takes too long to be shown."],
    ["broken.svg", "This file cannot be shown."],
    ["large.svg", "This file is too large to be shown here."],
  ] as const) {
    await open(page, name);
    await page.getByRole("alert").getByText(said).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  // While it is drawn, the page does what it is told.
  await open(page, "patterns.svg");
  await page.locator(".drawing iframe:not([hidden])").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("an image of more pixels than a tab can hold is not shown", async () => {
  const { page } = await web.openSignedIn({ fill: (disk) => disk.add({ name: "huge.png" }, hugePng()) });
  await open(page, "huge.png");
  await page.getByRole("alert").getByText("This file is too large to be shown here.").waitFor();
});

test("pages of a PDF beyond what can be drawn are shown less sharp, or it is said that they are not", async () => {
  const { page } = await web.openSignedIn({
    deviceScaleFactor: 2,
    fill: (disk) => {
      disk.add({ name: "tall.pdf" }, pdf(["(Hello)"], undefined, "0 0 300 14400"));
      disk.add({ name: "flat.pdf" }, pdf(["(Hello)"], undefined, "0 0 14400 0.5"));
    },
  });
  await open(page, "tall.pdf");
  expect(await ink(page, 1)).toBeGreaterThan(100);
  await page.getByText("it is shown less sharp than it is").waitFor();
  await page.keyboard.press("Escape");
  await open(page, "flat.pdf");
  await page.getByRole("alert").getByText("This page is too narrow to be shown.").waitFor();
});

test("a name that is markup is a text wherever it stands", async () => {
  const name = `<img src=x onerror="window.hacked=1">.txt`;
  const { disk, page } = await web.openSignedIn({ fill: (one) => one.add({ name }, Buffer.from("hi")) });
  const actions = page.getByRole("button", { name: `Actions for ${name}` });
  await open(page, name);
  await page.getByText("hi", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  for (const [item, dialog] of [
    ["Rename", `Rename ${name}`],
    ["Move", `Move ${name}`],
  ] as const) {
    await actions.click();
    await page.getByRole("menuitem", { name: item, exact: true }).click();
    await page.getByRole("dialog", { name: dialog }).waitFor();
    await page.keyboard.press("Escape");
  }
  await page.getByRole("searchbox").fill("<img");
  await page.getByRole("heading", { name: "Results for “<img”" }).waitFor();
  await actions.click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await page.getByRole("link", { name: "Trash" }).click();
  await actions.click();
  await page.getByRole("menuitem", { name: "Delete for good" }).click();
  await page.getByText(`Delete ${name} for good?`).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await expect.poll(() => disk.entries.size).toBe(0);

  await page.getByRole("link", { name: "Files" }).click();
  await page.setInputFiles(chooser, { name, mimeType: "text/plain", buffer: Buffer.from("more") });
  await page.locator(".upload").getByText(name).waitFor();
  await page.getByRole("table").getByText(name).waitFor();
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.evaluate("window.hacked")).toBeUndefined();
});
