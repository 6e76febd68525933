import { deflateSync } from "node:zlib";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { chooser, Web } from "./support.js";

/** Files are looked at in the page, and nothing that is in them or in their names runs. */

const web = new Web();

function crc(data: Buffer): number {
  let value = ~0;
  for (const byte of data) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

/** A red square. */
function png(side: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(data.length, 0);
    body.copy(whole, 4);
    whole.writeUInt32BE(crc(body), body.length + 4);
    return whole;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3).fill(Buffer.from([220, 40, 60]))]);
  const rows = Buffer.concat(Array.from({ length: side }, () => row));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** One page for each text; `font` is the PDF's own description of it. A script wants to run when it is opened. */
function pdf(texts: string[], font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"): Buffer {
  const first = 4;
  const pages = texts.map((_, at) => `${first + at * 2} 0 R`).join(" ");
  const objects = [
    "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\); window.hacked = 'pdf')>>>>",
    `<</Type/Pages/Kids[${pages}]/Count ${texts.length}>>`,
    font,
  ];
  texts.forEach((text, at) => {
    const drawing = `BT /F 40 Tf 20 80 Td ${text} Tj ET`;
    const page = "/Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Resources<</Font<</F 3 0 R>>>>";
    objects.push(`<<${page}/Contents ${first + at * 2 + 1} 0 R>>`);
    objects.push(`<</Length ${drawing.length}>>stream\n${drawing}\nendstream`);
  });
  let whole = "%PDF-1.4\n";
  const at = objects.map((object, index) => {
    const offset = whole.length;
    whole += `${index + 1} 0 obj${object}endobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const size = objects.length + 1;
  const table = `xref\n0 ${size}\n0000000000 65535 f \n${at.join("")}`;
  return Buffer.from(
    `${whole}${table}trailer<</Size ${size}/Root 1 0 R>>\nstartxref\n${whole.length}\n%%EOF`,
  );
}

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
  const songti =
    "<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/GBK-EUC-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/FontDescriptor<</Type/FontDescriptor/FontName/STSong-Light/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0/Ascent 900/Descent -100/CapHeight 700/StemV 80>>>>]>>";
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
  await expect.poll(() => widthOf(page, "evil.svg")).toBe(40);
  expect(await page.evaluate("window.hacked")).toBeUndefined();
  expect(page.frames()).toHaveLength(1);
  expect(asked).not.toContain("/hacked");
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
