import { createHash, randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { findWebFolder } from "../../src/apigw/pages.js";
import { type Disk, startDisk } from "../support/disk.js";
import { chooser, startBrowser } from "./support.js";

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** The built page, the six services behind it, and a real browser. */
async function signUp(disk: Disk): Promise<Page> {
  expect(findWebFolder(), "build the page first: ./autobuild.sh does").toBeDefined();
  const browser = await startBrowser();
  onTestFinished(() => browser.close());
  const page = await (await browser.newContext({ locale: "en" })).newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(disk.url);
  await page.getByRole("button", { name: "New here? Create an account" }).click();
  await page.getByLabel("User name").fill("browser");
  await page.getByLabel("Password", { exact: true }).fill("password-1");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  return page;
}

test("a file goes through the page into the disk and out again", async () => {
  const disk = await startDisk({ conf: { "upload.part": "256KiB" } });
  const page = await signUp(disk);
  const buffer = randomBytes(1_000_000);
  await page.setInputFiles(chooser, { name: "picture 照片.bin", mimeType: "", buffer });
  await page.getByRole("table").getByText("picture 照片.bin").waitFor();
  const user = await disk.signin("browser", "password-1");
  const reply = await fetch(`${disk.url}/file/download?filehash=${sha256(buffer)}`, {
    headers: user.headers,
  });
  expect(sha256(Buffer.from(await reply.arrayBuffer()))).toBe(sha256(buffer));
});

test("hostile files run nothing, neither in the page nor opened by their own address", async () => {
  const disk = await startDisk();
  const page = await signUp(disk);
  const script = "document.title = 'hacked'; window.hacked = 1; parent.hacked = 1";
  const files = {
    "evil.html": `<title>plain</title><script>${script}</script>`,
    "evil.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><script>${script}</script></svg>`,
    "evil.xml": `<?xml version="1.0"?><x xmlns="http://www.w3.org/1999/xhtml"><script>${script}</script></x>`,
  };
  await page.setInputFiles(
    chooser,
    Object.entries(files).map(([name, text]) => ({ name, mimeType: "", buffer: Buffer.from(text) })),
  );
  for (const name of Object.keys(files)) {
    const [reply] = await Promise.all([
      page.waitForResponse((one) => one.url().includes("/file/download?")),
      page.getByRole("table").getByText(name).click(),
    ]);
    await page.locator(name === "evil.svg" ? ".preview img" : ".preview pre").waitFor();
    await page.keyboard.press("Escape");
    // Somebody is sent the address that the preview has.
    const other = await page.context().newPage();
    await other.goto(reply.url());
    expect(await other.evaluate("[document.title, window.hacked].join()"), name).not.toContain("hacked");
    expect(await other.evaluate("window.hacked"), name).toBeUndefined();
    expect(await other.evaluate("document.contentType"), name).toBe("text/plain");
    await other.close();
  }
  expect(await page.evaluate("window.hacked")).toBeUndefined();
});
