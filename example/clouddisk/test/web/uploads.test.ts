import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { chooser, hold, Web } from "./support.js";

/** Uploads that stop in the middle, by hand or by accident, and go on. */

const web = new Web();

const part = 64 * 1024;

test("what was sent before a pause is not sent again after it", async () => {
  const { disk, page } = await web.openSignedIn();
  const body = randomBytes(10 * part);
  const { beforePart } = hold(4);
  disk.beforePart = beforePart;
  await page.setInputFiles(chooser, { name: "long.bin", mimeType: "", buffer: body });
  await expect.poll(() => disk.received.length).toBe(4);
  await page.getByRole("button", { name: "Pause long.bin" }).click();
  await page.locator('[data-phase="paused"]').waitFor();
  disk.beforePart = async () => {};
  await page.getByRole("button", { name: "Resume long.bin" }).click();
  await page.getByRole("table").getByText("long.bin").waitFor();
  expect(disk.received.sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(disk.contents.get(disk.find("long.bin")?.fileHash ?? "")?.equals(body)).toBe(true);
});

test("an upload that has come to a stop shows that its speed falls", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(2).beforePart;
  await page.setInputFiles(chooser, { name: "slow.bin", mimeType: "", buffer: randomBytes(8 * part) });
  const speed = page.locator('[data-phase="sending"] .fact').filter({ hasText: "/s" });
  const before = await speed.innerText();
  await expect.poll(() => speed.innerText()).not.toBe(before);
});

test("all are paused and go on together; what is cancelled is gone from the disk and can be tried again", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart, release } = hold(0);
  disk.beforePart = beforePart;
  const names = ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"];
  await page.setInputFiles(
    chooser,
    names.map((name) => ({ name, mimeType: "", buffer: randomBytes(part) })),
  );
  await expect.poll(() => disk.uploads.size).toBe(3);
  await page.getByRole("button", { name: "Pause all" }).click();
  await expect.poll(() => page.locator('[data-phase="paused"]').count()).toBe(5);
  await page.getByRole("button", { name: "Cancel a.bin" }).click();
  await expect.poll(() => disk.uploads.size).toBe(2);
  release();
  await page.getByRole("button", { name: "Resume all" }).click();
  await expect.poll(() => disk.names()).toEqual(names.slice(1));
  await page.getByRole("button", { name: "Retry a.bin" }).click();
  await expect.poll(() => disk.names()).toEqual(names);
  await page.getByRole("button", { name: "Clear finished" }).click();
  await page.locator(".upload").first().waitFor({ state: "detached" });
});

test("a connection that is lost in the middle is waited for", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart } = hold(2);
  disk.beforePart = beforePart;
  await page.setInputFiles(chooser, { name: "far.bin", mimeType: "", buffer: randomBytes(6 * part) });
  await expect.poll(() => disk.received.length).toBe(2);
  await page.context().setOffline(true);
  disk.beforePart = async () => {};
  disk.drop();
  const failed = page.waitForEvent("requestfailed");
  await failed;
  await page.context().setOffline(false);
  await page.getByRole("table").getByText("far.bin").waitFor({ timeout: 20_000 });
  expect(disk.received.sort()).toEqual([0, 1, 2, 3, 4, 5]);
});

test("a refusal is said in words, and ends the upload until it is tried again", async () => {
  const { disk, page } = await web.openSignedIn();
  const msg = "900 bytes exceed your quota of 800: 0 are used, besides open uploads ([account] quota)";
  disk.refuse.set("POST /file/mpupload/init", { status: 413, code: 10_009, msg });
  await page.setInputFiles(chooser, { name: "big.bin", mimeType: "", buffer: randomBytes(900) });
  await page.locator('[data-phase="failed"]').getByText("There is not enough space left.").waitFor();
  disk.refuse.clear();
  await page.getByRole("button", { name: "Retry big.bin" }).click();
  await page.getByRole("table").getByText("big.bin").waitFor();
});

test("a page with uploads asks before it is left; what is unfinished can be given up", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(1).beforePart;
  await page.setInputFiles(chooser, { name: "left.bin", mimeType: "", buffer: randomBytes(3 * part) });
  await expect.poll(() => disk.received.length).toBe(1);
  const asked = page.waitForEvent("dialog");
  const reloaded = page.reload();
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.accept();
  await reloaded;
  await page.locator('[data-phase="unfinished"]').getByText("64 KB of 192 KB").waitFor();
  await page.getByRole("button", { name: "Discard left.bin" }).click();
  await page.getByRole("dialog").getByText("Discard left.bin?").waitFor();
  expect(disk.uploads.size).toBe(1);
  await page.getByRole("button", { name: "Discard", exact: true }).click();
  await page.locator(".upload").waitFor({ state: "detached" });
  await expect.poll(() => disk.uploads.size).toBe(0);
});

test("signing out during an upload asks first, and what was sent is kept", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(2).beforePart;
  await page.setInputFiles(chooser, { name: "left.bin", mimeType: "", buffer: randomBytes(4 * part) });
  await expect.poll(() => disk.received.length).toBe(2);
  const out = page.getByRole("button", { name: "Sign out" });
  await out.click();
  await page.getByRole("dialog", { name: "Sign out" }).getByText("Uploads are under way.").waitFor();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.locator('[data-phase="sending"]').waitFor();
  await out.click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  expect([...disk.uploads.values()].map(({ parts }) => parts.size)).toEqual([2]);
});

test("of hundreds of files only some have a row, and the rest is counted", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart, release } = hold(0);
  disk.beforePart = beforePart;
  const files = Array.from({ length: 100 }, (_, at) => ({
    name: `${at}.txt`,
    mimeType: "",
    buffer: Buffer.from(`text ${at}`),
  }));
  await page.setInputFiles(chooser, files);
  await page.getByText("and 40 more").waitFor();
  expect(await page.locator(".upload").count()).toBe(60);
  release();
  await expect.poll(() => disk.names().length).toBe(100);
  await page.getByText("100 of 100 done").waitFor();
});
