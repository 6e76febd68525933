import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { chooser, signUp, Web } from "./support.js";

/** The built page in a real browser, with a disk that keeps the HTTP contract in memory. */

const web = new Web();

test("sign up, upload, list, download the same bytes, sign out", async () => {
  const { disk, page } = await web.open();
  await signUp(page);
  const body = randomBytes(300_000);
  disk.refuseParts.push(-2);
  await page.setInputFiles(chooser, await web.file("holiday.bin", body));
  await page.locator('[data-phase="done"]').waitFor();
  const name = page.getByRole("table").getByText("holiday.bin");
  await name.waitFor();
  expect(disk.received.sort()).toEqual([0, 1, 2, 3, 4]);

  await page.getByRole("button", { name: "Actions for holiday.bin" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: "Download" }).click(),
  ]);
  expect(download.suggestedFilename()).toBe("holiday.bin");
  expect(body.equals(await readFile(await download.path()))).toBe(true);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
});

test("after a reload in the middle, only what is missing is sent", async () => {
  const { disk, page } = await web.open();
  await signUp(page);
  // The first two parts arrive; the others wait for a reload that ends them.
  disk.beforePart = (index) => (index < 2 ? Promise.resolve() : new Promise(() => {}));
  const whole = await web.file("long.bin", randomBytes(400_000));
  await page.setInputFiles(chooser, whole);
  await expect.poll(() => disk.received.length).toBe(2);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  disk.beforePart = async () => {};
  await page.locator('[data-phase="unfinished"]').waitFor();
  const other = await web.file("other.bin", randomBytes(10));
  const resume = page.getByLabel("Choose long.bin to go on", { exact: true });
  await page.setInputFiles('[data-phase="unfinished"] input', other);
  await page.getByText("That is not long.bin").waitFor();
  const [picker] = await Promise.all([page.waitForEvent("filechooser"), resume.last().click()]);
  await picker.setFiles(whole);
  await page.locator('[data-phase="done"]').waitFor();
  expect(disk.received.sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(disk.uploads.size).toBe(0);
});

test("pause, resume, cancel", async () => {
  const { disk, page } = await web.open();
  await signUp(page);
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  disk.beforePart = () => held;
  await page.setInputFiles(chooser, [
    await web.file("one.bin", randomBytes(100_000)),
    await web.file("two.bin", randomBytes(100_000)),
  ]);
  await expect.poll(() => disk.uploads.size).toBe(2);
  await page.getByRole("button", { name: "Pause one.bin" }).click();
  await page.locator('[data-phase="paused"]').waitFor();
  await page.getByRole("button", { name: "Cancel two.bin" }).click();
  await expect.poll(() => disk.uploads.size).toBe(1);
  release();
  await page.getByRole("button", { name: "Resume one.bin" }).click();
  await page.locator('[data-phase="done"]').waitFor();
  await page.getByRole("table").getByText("one.bin").waitFor();
});

test("what the disk has is not sent, but proven", async () => {
  const { disk, page } = await web.open();
  await signUp(page);
  const body = randomBytes(200_000);
  disk.add({ name: "first.bin" }, body);
  await page.setInputFiles(chooser, await web.file("second.bin", body));
  await page.getByText("Instant: the disk had it already").waitFor();
  await page.getByRole("table").getByText("second.bin").waitFor();
  expect(disk.received).toEqual([]);
});

test("folders, rename, move, trash and back, by keyboard where it matters", async () => {
  const { disk, page } = await web.open();
  await signUp(page);
  disk.add({ name: "a <b>.txt" }, Buffer.from("<script>alert(1)</script>"));
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByRole("dialog", { name: "New folder" }).waitFor();
  await page.keyboard.type("Papers");
  await page.keyboard.press("Enter");
  const table = page.getByRole("table");
  await table.getByText("Papers").waitFor();

  await table.getByText("a <b>.txt").click();
  await page.getByText("<script>alert(1)</script>").waitFor();
  await page.keyboard.press("Escape");

  const actions = (name: string) => page.getByRole("button", { name: `Actions for ${name}` });
  await actions("a <b>.txt").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Rename a <b>.txt" }).waitFor();
  await page.keyboard.type("renamed");
  await page.keyboard.press("Enter");
  await table.getByText("renamed.txt").waitFor();

  await actions("renamed.txt").click();
  await page.getByRole("menuitem", { name: "Move", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Papers" }).click();
  await page.getByRole("button", { name: "Move here" }).click();
  await expect.poll(() => table.getByText("renamed.txt").count()).toBe(0);
  await table.getByText("Papers").click();
  await table.getByText("renamed.txt").waitFor();

  await actions("renamed.txt").click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await page.getByText("Nothing here yet").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await table.getByText("renamed.txt").waitFor();
});
