import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Download, Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { type Disk, startDisk } from "../support/disk.js";
import { chooser, theBrowser } from "./support.js";

/** The page of one origin before real servers of bodies of another. */

const GiB = 2 ** 30;

interface Listed {
  entries: Array<{ name: string; sizeBytes: number }>;
}

async function startSplit(): Promise<Disk> {
  const disk = await startDisk({ services: ["dbproxy", "account", "transfer", "apigw"] });
  await disk.startNode(["upload", "download"]);
  return disk;
}

async function openSignedIn(disk: Disk): Promise<Page> {
  const user = await disk.user();
  const context = await (await theBrowser()).newContext({ locale: "en" });
  onTestFinished(() => context.close());
  await context.addCookies([{ name: "clouddisk_token", value: user.token, url: disk.url }]);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const problems: string[] = [];
  page.on("console", (message) => {
    if (/Content Security Policy|X-Frame-Options/i.test(message.text())) problems.push(message.text());
  });
  onTestFinished(() => expect(problems).toEqual([]));
  await page.goto(disk.url);
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  return page;
}

/** What the list says of the sizes of such files: a test has no GiB to spare. */
async function callLarge(page: Page, names: RegExp): Promise<void> {
  await page.route(/\/api\/files\?/, async (route) => {
    const reply = await route.fetch();
    const listed = (await reply.json()) as Listed;
    for (const [at, one] of listed.entries.entries()) {
      if (names.test(one.name)) one.sizeBytes = 2 * GiB + at;
    }
    await route.fulfill({ response: reply, json: listed });
  });
}

test("of several files the large ones come too, each of them whole", async () => {
  const disk = await startSplit();
  expect(new URL(disk.urlOf("download")).origin).not.toBe(new URL(disk.url).origin);
  const page = await openSignedIn(disk);
  const files = new Map(
    ["a.txt", "b.txt", ...Array.from({ length: 9 }, (_, at) => `large ${at}.bin`)].map((name) => [
      name,
      randomBytes(300_000),
    ]),
  );
  await callLarge(page, /^large/);
  await page.setInputFiles(
    chooser,
    [...files].map(([name, buffer]) => ({ name, mimeType: "", buffer })),
  );
  await page.getByText(`${files.size} of ${files.size}`, { exact: true }).waitFor();
  const downloads: Download[] = [];
  page.on("download", (download) => downloads.push(download));
  await page.getByLabel("Select all").check();
  await page.getByRole("toolbar").getByRole("button", { name: "Download" }).click();
  await expect
    .poll(() => downloads.map((one) => one.suggestedFilename()).sort(), { timeout: 60_000 })
    .toEqual([...files.keys()].sort());
  const sha256 = (data: Buffer | undefined) =>
    createHash("sha256")
      .update(data ?? "")
      .digest("hex");
  for (const one of downloads) {
    const name = one.suggestedFilename();
    expect(sha256(await readFile(await one.path())), name).toBe(sha256(files.get(name)));
  }
}, 180_000);
