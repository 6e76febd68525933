import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { findWebFolder } from "../../src/apigw/pages.js";
import { startDisk } from "../support/disk.js";

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** The built page, the six services behind it, and a real browser: from signing up to the same bytes again. */
test("a file goes through the page into the disk and out again", async () => {
  expect(findWebFolder(), "build the page first: ./autobuild.sh does").toBeDefined();
  const disk = await startDisk({ conf: { "upload.part": "256KiB" } });
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-page-"));
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
  });
  onTestFinished(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });
  const data = randomBytes(1_000_000);
  const file = path.join(folder, "picture 照片.bin");
  await writeFile(file, data);

  const page = await (await browser.newContext({ locale: "en" })).newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(disk.url);
  await page.getByRole("button", { name: "New here? Create an account" }).click();
  await page.getByLabel("User name").fill("browser");
  await page.getByLabel("Password", { exact: true }).fill("password-1");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.setInputFiles('input[data-upload="files"]', file);
  await page.getByRole("table").getByText("picture 照片.bin").waitFor();
  const user = await disk.signin("browser", "password-1");
  const reply = await fetch(`${disk.url}/file/download?filehash=${sha256(data)}`, { headers: user.headers });
  expect(sha256(Buffer.from(await reply.arrayBuffer()))).toBe(sha256(data));
});
