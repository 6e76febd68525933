import { createHash } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { serviceNames } from "../../src/common/part.js";
import { connect } from "../../src/dbproxy/connect.js";
import { addFile } from "../apigw/support.js";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { seedFiles } from "../support/seed-files.js";
import { theBrowser } from "./support.js";

/** A folder of 10,000 files before the real services. */

const count = 10_000;
const empty = createHash("sha256").digest("hex");

/** One file is made by the services, the others are more names of its content, written while the disk is down. */
async function fill(disk: Disk, user: User): Promise<void> {
  await addFile(disk, user, { name: "a first.txt", fileHash: empty, sizeBytes: 0 });
  const { database, settings } = disk.node.host;
  const { user: found } = await database.run("user.find", { username: user.name });
  await disk.nodes.pop()?.stop();
  const { db, close } = await connect(settings.databaseUrl);
  try {
    await seedFiles(db, { userId: found?.id ?? 0, count: count - 1, fileHash: empty, end: ".txt" });
    await db.updateTable("tbl_file").set({ ref_count: count }).where("file_hash", "=", empty).execute();
  } finally {
    await close();
  }
  await disk.startNode(serviceNames);
}

async function openSignedIn(disk: Disk, user: User, watch: (page: Page) => void): Promise<Page> {
  const context = await (await theBrowser()).newContext({
    locale: "en",
    viewport: { width: 1100, height: 760 },
  });
  onTestFinished(() => context.close());
  await context.addCookies([{ name: "clouddisk_token", value: user.token, url: disk.url }]);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  watch(page);
  await page.goto(disk.url);
  return page;
}

const box = (page: Page, name: string) => page.getByLabel(`Select ${name}`, { exact: true });

test("10,000 files are scrolled, searched, thrown away, brought back and deleted for good", async () => {
  // As many requests as the disk allows by default.
  const disk = await startDisk({ conf: { "apigw.requestsperminute": null } });
  const user = await disk.user();
  await fill(disk, user);
  const listed: string[] = [];
  const refused: string[] = [];
  const page = await openSignedIn(disk, user, (opened) => {
    opened.on("response", (reply) => {
      if (/\/api\/files\?/.test(reply.url())) listed.push(reply.url());
      if (reply.status() >= 400) refused.push(`${reply.status()} ${reply.url()}`);
    });
  });
  await box(page, "a first.txt").waitFor();
  // Once as the page comes, and once more when its change feed begins.
  await expect.poll(() => listed.length, { timeout: 20_000 }).toBe(2);
  // As people count.
  const names = await page.locator("tbody .file-name").allInnerTexts();
  expect(names.slice(8, 13)).toEqual([
    "file 7.txt",
    "file 8.txt",
    "file 9.txt",
    "file 10.txt",
    "file 11.txt",
  ]);
  const foot = page.locator(".files-foot");
  const toEnd = () => page.evaluate("scrollTo(0, document.body.scrollHeight)");
  await expect.poll(async () => toEnd().then(() => foot.innerText())).toContain(`${count} of ${count}`);
  await toEnd();
  await box(page, `file ${count - 2}.txt`).waitFor();
  expect(await page.locator("tbody tr[data-at]").count()).toBeLessThan(120);
  expect(listed.length).toBeLessThanOrEqual(12);

  await page.getByRole("searchbox").fill("FILE 999");
  await page.getByText("10 of 10", { exact: true }).waitFor();
  await page.getByRole("searchbox").fill("");
  await box(page, "a first.txt").waitFor();

  const toolbar = page.getByRole("toolbar");
  await page.getByLabel("Select all").check();
  await toolbar.getByText(`${count} selected`).waitFor();
  await toolbar.getByRole("button", { name: "Move to trash" }).click();
  await page.getByText(`${count} moved to the trash`).waitFor();
  await page.getByText("Nothing here yet").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText(`${count} restored`).waitFor();
  await box(page, "a first.txt").waitFor();

  await page.getByLabel("Select all").check();
  await toolbar.getByText(`${count} selected`).waitFor();
  await toolbar.getByRole("button", { name: "Move to trash" }).click();
  await page.getByText("Nothing here yet").waitFor();
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: "Empty trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Empty trash" }).click();
  await page.getByText("The trash is empty").waitFor({ timeout: 120_000 });
  // What is left to go goes in the background.
  const { database } = disk.node.host;
  const { user: owner } = await database.run("user.find", { username: user.name });
  const left = { userId: owner?.id ?? 0, trashedUntilMs: Date.now() };
  await expect.poll(() => database.run("entry.purgeable", left)).toEqual({ rows: 0 });
  expect(refused).toEqual([]);
}, 300_000);
