import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { password } from "../support/disk.js";
import { chooser, hold, signUp, Web } from "./support.js";

/** Several tabs of one browser, and a disk that cannot be reached for a while. */

const web = new Web();
const part = 64 * 1024;

async function another(page: Page): Promise<Page> {
  const second = await page.context().newPage();
  second.setDefaultTimeout(30_000);
  await second.goto(page.url());
  return second;
}

async function makeFolder(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByRole("textbox", { name: "Name of the folder" }).fill(name);
  await page.keyboard.press("Enter");
}

test("what one tab changes, the other shows; it signs out and in with it, and says why", async () => {
  const { page } = await web.open();
  await signUp(page);
  const second = await another(page);
  await second.getByText("Nothing here yet").waitFor();
  await makeFolder(page, "Papers");
  await second.getByRole("table").getByText("Papers").waitFor();
  await page.setInputFiles(chooser, { name: "a.bin", mimeType: "", buffer: randomBytes(10) });
  await second.getByRole("table").getByText("a.bin").waitFor();

  await page.getByRole("button", { name: "Colours: as the system" }).click();
  await second.getByRole("button", { name: "Colours: light" }).waitFor();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  await second.getByText("You signed out in another tab of this browser.").waitFor();
  expect(await page.getByText("You signed out").count()).toBe(0);
  await page.getByLabel("User name").fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await second.getByRole("table").getByText("Papers").waitFor();
});

test("a session that has ended elsewhere is said to have ended", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.signOut();
  // Whichever request is the next one notices.
  await page.evaluate("location.hash = '#/trash'");
  await page.getByText("Your session has ended. Sign in again.").waitFor();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
});

test("an upload of another tab is left alone there, until that tab is gone; to discard one is asked about", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(1).beforePart;
  await page.setInputFiles(chooser, { name: "long.bin", mimeType: "", buffer: randomBytes(3 * part) });
  await expect.poll(() => disk.received.length).toBe(1);
  const second = await another(page);
  const row = second.locator(".upload");
  await row.getByText("On its way in another tab").waitFor();
  expect(await row.getByRole("button").count()).toBe(0);
  await page.close({ runBeforeUnload: false });
  await row.getByText("Unfinished").waitFor({ timeout: 20_000 });
  await row.getByRole("button", { name: "Discard long.bin" }).click();
  const dialog = second.getByRole("dialog", { name: "Discard an upload" });
  await dialog.getByText("Discard long.bin?").waitFor();
  await second.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  expect(disk.uploads.size).toBe(1);
  await row.getByRole("button", { name: "Discard long.bin" }).click();
  await dialog.getByRole("button", { name: "Discard", exact: true }).click();
  await expect.poll(() => disk.uploads.size).toBe(0);
  await row.waitFor({ state: "detached" });
});

test("an upload that is done in one tab goes from the other, and is not unfinished meanwhile", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart, release } = hold(1);
  disk.beforePart = beforePart;
  const second = await another(page);
  await second.getByText("Nothing here yet").waitFor();
  await page.setInputFiles(chooser, { name: "long.bin", mimeType: "", buffer: randomBytes(2 * part) });
  await second.locator('[data-phase="elsewhere"]').waitFor();
  release();
  await second.getByRole("table").getByText("long.bin").waitFor();
  await second.locator(".upload").waitFor({ state: "detached" });
});

test("a page without a connection says so, and goes on by itself with what has changed meanwhile", async () => {
  const { disk, page } = await web.openSignedIn({ fill: (one) => one.add({ name: "before" }) });
  await page.getByRole("table").getByText("before").waitFor();
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("status").getByText("The disk cannot be reached.").waitFor();
  disk.add({ name: "thrown", trashedAtMs: Date.now() });
  await page.context().setOffline(false);
  await page.getByRole("table").getByText("thrown").waitFor();
  await page.getByText("The disk cannot be reached.").waitFor({ state: "detached" });
});

test("a page that is opened while the disk has a problem opens when that has passed", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.refuse.set("GET /api/me", { status: 503, code: 10_002, msg: "the service is not available" });
  await page.reload();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  disk.refuse.clear();
  await page.getByText("Nothing here yet").waitFor();
});
