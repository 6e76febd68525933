import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { drop, folderChooser, hold, Web } from "./support.js";

/** Folders that are uploaded while others of their names are made, renamed, refused and thrown away. */

const web = new Web();

async function rename(page: Page, name: string, to: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill(to);
  await page.keyboard.press("Enter");
  await page.getByLabel(`Select ${to}`, { exact: true }).waitFor();
}

test("a folder uploaded again is made again when its namesake was renamed or thrown away meanwhile", async () => {
  const { disk, page } = await web.openSignedIn();
  const table = page.getByRole("table");
  const tree = await web.tree("trip", { "a.txt": "one" });
  await page.setInputFiles(folderChooser, tree);
  await expect.poll(() => disk.find("trip/a.txt")?.sizeBytes).toBe(3);
  await table.getByText("trip").waitFor();
  await rename(page, "trip", "old trip");
  await page.setInputFiles(folderChooser, await web.tree("trip", { "b.txt": "two" }));
  await expect.poll(() => disk.find("trip/b.txt")?.sizeBytes).toBe(3);
  expect(disk.names(disk.find("old trip")?.id)).toEqual(["a.txt"]);

  await page.getByLabel("Select trip", { exact: true }).check();
  await page.keyboard.press("Delete");
  await page.getByText("1 moved to the trash").waitFor();
  await page.setInputFiles(folderChooser, await web.tree("trip", { "c.txt": "three" }));
  await expect.poll(() => disk.find("trip/c.txt")?.sizeBytes).toBe(5);
  expect(disk.names(disk.find("trip")?.id)).toEqual(["c.txt"]);
  expect(await page.locator('[data-phase="failed"]').count()).toBe(0);
});

test("a folder that is thrown away while it is uploaded is made again for what is still to come", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart, release } = hold(0);
  disk.beforePart = beforePart;
  const names = ["a", "b", "c", "d"];
  const files = Object.fromEntries(names.map((name) => [`${name}.bin`, randomBytes(10)]));
  await page.setInputFiles(folderChooser, await web.tree("trip", files));
  await expect.poll(() => disk.uploads.size).toBe(3);
  const trip = disk.find("trip");
  if (trip !== undefined) trip.trashedAtMs = Date.now();
  release();
  await expect.poll(() => disk.find("trip")?.id).not.toBe(trip?.id);
  await page.getByText("4 of 4 done").waitFor();
  expect(disk.names(disk.find("trip")?.id)).toHaveLength(1);
});

test("of dropped folders those that can be made are made, and those that cannot are named", async () => {
  const { disk, page } = await web.openSignedIn();
  for (const name of ["three", "five"]) disk.refuseNames.add(name);
  const names = ["one", "two", "three", "four", "five", "six", "seven"];
  await drop(page, await Promise.all(names.map((name) => web.tree(name, {}))));
  const said = page.locator(".toast.error");
  await said.getByText("three: The name may not contain / or \\. Also: five").waitFor();
  expect(disk.names()).toEqual(["four/", "one/", "seven/", "six/", "two/"]);
  await page.getByRole("table").getByText("seven").waitFor();
});
