import { randomBytes } from "node:crypto";
import { appendFile, utimes, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { chooser, hold, Web } from "./support.js";

/** Files that are not, on the way or at the disk, what they were when their upload began. */

const web = new Web();
const part = 64 * 1024;

test("other bytes than the hash says: nothing is sent a second time, and the page says so", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.refuseComplete.push(-1);
  await page.setInputFiles(chooser, { name: "odd.bin", mimeType: "", buffer: randomBytes(3 * part) });
  await page
    .locator('[data-phase="failed"]')
    .getByText("The disk received other bytes than the file has. Retry.")
    .waitFor();
  expect(disk.received.sort()).toEqual([0, 1, 2]);
  await page.getByRole("button", { name: "Retry odd.bin" }).click();
  await page.locator('[data-phase="done"]').waitFor();
});

test("a file whose hash is remembered and wrong is hashed anew, and arrives as it is now", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(1).beforePart;
  const whole = await web.file("edited.bin", randomBytes(3 * part));
  const written = new Date("2024-05-06T07:08:09Z");
  await utimes(whole, written, written);
  await page.setInputFiles(chooser, whole);
  await expect.poll(() => disk.received.length).toBe(1);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  disk.beforePart = async () => {};
  await page.locator('[data-phase="unfinished"]').waitFor();
  // Of the same size and time: nothing tells that it is another one.
  const now = randomBytes(3 * part);
  await writeFile(whole, now);
  await utimes(whole, written, written);
  await page.setInputFiles('[data-phase="unfinished"] input', whole);
  await page.locator('[data-phase="done"]').getByText("It had changed").waitFor();
  expect(disk.contents.get(disk.find("edited.bin")?.fileHash ?? "")?.equals(now)).toBe(true);
  expect(disk.received.sort()).toEqual([0, 0, 1, 1, 2, 2]);
  expect(disk.uploads.size).toBe(0);
});

for (const how of ["its row", "the page"]) {
  test(`a file that is written to while it is uploaded is chosen anew: in ${how}`, async () => {
    const { disk, page } = await web.openSignedIn();
    const { beforePart, release } = hold(2);
    disk.beforePart = beforePart;
    const body = randomBytes(8 * part);
    const whole = await web.file(`written to in ${how}.log`, body);
    await page.setInputFiles(chooser, whole);
    await expect.poll(() => disk.received.length).toBe(2);
    await appendFile(whole, "one line more");
    disk.beforePart = async () => {};
    release();
    await page
      .locator('[data-phase="failed"]')
      .getByText("The file has changed or is gone since it was chosen. Choose it again.")
      .waitFor();
    await page.setInputFiles(how === "the page" ? chooser : '[data-phase="failed"] input', whole);
    await page.locator('[data-phase="done"]').getByText("It had changed").waitFor();
    expect(await page.locator(".upload").count()).toBe(1);
    const now = Buffer.concat([body, Buffer.from("one line more")]);
    const found = disk.find(`written to in ${how}.log`);
    expect(disk.contents.get(found?.fileHash ?? "")?.equals(now)).toBe(true);
    await expect.poll(() => disk.uploads.size).toBe(0);
  });
}

test("an unfinished upload goes on with a file that has grown since, from its beginning", async () => {
  const { disk, page } = await web.openSignedIn();
  disk.beforePart = hold(1).beforePart;
  await page.setInputFiles(chooser, { name: "grown.log", mimeType: "", buffer: randomBytes(2 * part) });
  await expect.poll(() => disk.received.length).toBe(1);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  disk.beforePart = async () => {};
  const now = randomBytes(3 * part);
  await page.setInputFiles('[data-phase="unfinished"] input', {
    name: "grown.log",
    mimeType: "",
    buffer: now,
  });
  await page.locator('[data-phase="done"]').getByText("It had changed").waitFor();
  expect(disk.contents.get(disk.find("grown.log")?.fileHash ?? "")?.equals(now)).toBe(true);
  expect(await page.locator(".upload").count()).toBe(1);
  await expect.poll(() => disk.uploads.size).toBe(0);
});

test("a pause while the hash is computed says how far that is, and goes on from there", async () => {
  const { page } = await web.openSignedIn();
  const whole = await web.file("large.bin", "");
  await writeFile(whole, Buffer.alloc(700 << 20));
  await page.setInputFiles(chooser, whole);
  const percentOf = async (phase: string): Promise<number> => {
    const text = await page.locator(`[data-phase="${phase}"] .upload-facts`).innerText();
    return Number(/(\d+)% of its hash computed/.exec(text)?.[1] ?? Number.NaN);
  };
  await expect.poll(() => percentOf("hashing")).toBeGreaterThan(5);
  await page.getByRole("button", { name: "Pause large.bin" }).click();
  const paused = await percentOf("paused");
  expect(paused).toBeGreaterThan(5);
  expect(paused).toBeLessThan(100);
  // Nothing goes on behind it.
  expect(await percentOf("paused")).toBe(paused);
  await page.evaluate(`(() => {
    window.seen = [];
    new MutationObserver(() => {
      const found = /(\\d+)% of its hash/.exec(document.querySelector(".upload")?.textContent ?? "");
      if (found) window.seen.push(Number(found[1]));
    }).observe(document.querySelector(".uploads"), { childList: true, characterData: true, subtree: true });
  })()`);
  await page.getByRole("button", { name: "Resume large.bin" }).click();
  await expect.poll(() => page.evaluate<number>("window.seen.at(-1)")).toBeGreaterThan(paused);
  expect(await page.evaluate<number>("Math.min(...window.seen)")).toBeGreaterThanOrEqual(paused);
  await page.getByRole("button", { name: "Cancel large.bin" }).click();
});
