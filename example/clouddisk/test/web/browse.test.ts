import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";
import type { FakeDisk } from "./fake-disk.js";
import { Web } from "./support.js";

/** Finding files, choosing several, and the trash. */

const web = new Web();

function letters(disk: FakeDisk): void {
  disk.add({ name: "Archive" });
  for (const name of ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"]) disk.add({ name }, Buffer.from(name));
}

const row = (page: Page, name: string): Locator => page.getByRole("row").filter({ hasText: name });
const open = (page: Page, name: string): Locator => row(page, name).locator(".file-name");
const chosen = (page: Page): Promise<string[]> => page.locator("tr.selected .file-title").allInnerTexts();
const toolbar = (page: Page): Locator => page.getByRole("toolbar");

async function menu(page: Page, name: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

test("a search finds files in all folders, says where they are, and ends where it began", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      const trips = disk.add({ name: "Trips" });
      const year = disk.add({ name: "2024", parentId: trips.id });
      disk.add({ name: "beach.jpg", parentId: year.id, path: "Trips/2024" }, Buffer.from("1"));
      disk.add({ name: "beach plan.txt" }, Buffer.from("2"));
      disk.add({ name: "other.txt" }, Buffer.from("3"));
    },
  });
  await open(page, "Trips").click();
  await open(page, "2024").waitFor();
  const box = page.getByRole("searchbox", { name: "Search files" });
  await box.pressSequentially("beach");
  await page.getByRole("heading", { name: "Results for “beach”" }).waitFor();
  await page.getByText("in Trips › 2024").waitFor();
  expect(await row(page, "other.txt").count()).toBe(0);
  await box.pressSequentially(" plan");
  await expect.poll(() => row(page, "beach.jpg").count()).toBe(0);
  await open(page, "beach plan.txt").waitFor();
  await box.fill("nothing has this name");
  await page.getByText("No file matches").waitFor();
  // However many letters it took, one step back ends it.
  await page.goBack();
  await page.locator("h1").getByText("Trips").waitFor();
  await box.fill("beach");
  await open(page, "beach.jpg").waitFor();
  await menu(page, "beach.jpg", "Open its folder");
  await page.locator("h1").getByText("2024").waitFor();
  await box.fill("plan");
  await open(page, "beach plan.txt").waitFor();
  await page.getByRole("button", { name: "Clear the search" }).click();
  await page.locator("h1").getByText("2024").waitFor();
});

test("several are chosen by keyboard, and trashed and brought back together", async () => {
  const { disk, page } = await web.openSignedIn({ fill: letters });
  await row(page, "b.txt").getByRole("checkbox").focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowDown");
  await expect.poll(() => chosen(page)).toEqual(["b.txt", "c.txt", "d.txt"]);
  await toolbar(page).getByText("3 selected").waitFor();
  await page.keyboard.press("Escape");
  await toolbar(page).waitFor({ state: "detached" });
  await page.keyboard.press("ControlOrMeta+a");
  await toolbar(page).getByText("6 selected").waitFor();
  await page.keyboard.press("Space");
  await page.keyboard.press("Home");
  await page.keyboard.press("Space");
  await expect.poll(() => chosen(page)).toEqual(["a.txt", "b.txt", "c.txt", "e.txt"]);
  await page.keyboard.press("Delete");
  await page.getByText("4 moved to the trash").waitFor();
  await expect.poll(() => disk.names()).toEqual(["Archive/", "d.txt"]);
  await toolbar(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(() => disk.names()).toHaveLength(6);
});

test("from the first chosen to another with Shift and the mouse; some of all is shown as such", async () => {
  const { page } = await web.openSignedIn({ fill: letters });
  await page.getByLabel("Select b.txt").click();
  await page.getByLabel("Select e.txt").click({ modifiers: ["Shift"] });
  await expect.poll(() => chosen(page)).toEqual(["b.txt", "c.txt", "d.txt", "e.txt"]);
  const all = page.getByLabel("Select all");
  const indeterminate = () =>
    all.evaluate((box) => (box as unknown as { indeterminate: boolean }).indeterminate);
  await expect.poll(indeterminate).toBe(true);
  await all.click();
  await toolbar(page).getByText("6 selected").waitFor();
  expect(await indeterminate()).toBe(false);
  await all.click();
  await expect.poll(() => chosen(page)).toEqual([]);
});

test("several are moved together; what cannot be is named, and the others are moved", async () => {
  const { disk, page } = await web.openSignedIn({
    fill: (one) => {
      letters(one);
      one.add({ name: "b.txt", parentId: one.find("Archive")?.id ?? 0 }, Buffer.from("older"));
    },
  });
  for (const name of ["a.txt", "b.txt", "c.txt"]) await page.getByLabel(`Select ${name}`).check();
  await toolbar(page).getByRole("button", { name: "Move", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Move 3 items" });
  const here = dialog.getByRole("button", { name: "Move here" });
  await expect.poll(() => here.isDisabled()).toBe(true);
  await dialog.getByRole("button", { name: "Archive" }).click();
  await dialog.getByText("No folders here").waitFor();
  await here.click();
  await page.getByText("b.txt: Something here has this name already.").waitFor();
  await page.getByText("2 moved").waitFor();
  await expect.poll(() => disk.names()).toEqual(["Archive/", "b.txt", "d.txt", "e.txt"]);
  expect(disk.names(disk.find("Archive")?.id)).toEqual(["a.txt", "b.txt", "c.txt"]);
});

test("a folder is not moved into itself, and a name that is taken is refused where it is typed", async () => {
  const { disk, page } = await web.openSignedIn({ fill: letters });
  await menu(page, "Archive", "Move");
  const inside = page.getByRole("dialog").getByRole("button", { name: "Archive" });
  await expect.poll(() => inside.isDisabled()).toBe(true);
  await page.getByRole("button", { name: "Cancel" }).click();

  await open(page, "a.txt").focus();
  await page.keyboard.press("F2");
  const dialog = page.getByRole("dialog", { name: "Rename a.txt" });
  await page.keyboard.type("b");
  await expect.poll(() => dialog.getByRole("textbox").inputValue()).toBe("b.txt");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").getByText("Something here has this name already.").waitFor();
  await dialog.getByRole("textbox").fill("z.txt");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await open(page, "z.txt").waitFor();
  expect(disk.names()).toContain("z.txt");
});

test("the trash gives back, deletes one or several for good, and is emptied", async () => {
  const { disk, page } = await web.openSignedIn({
    fill: (one) => {
      letters(one);
      for (const entry of one.entries.values()) entry.trashedAtMs = Date.now();
    },
  });
  await page.getByRole("link", { name: "Trash" }).click();
  await menu(page, "a.txt", "Restore");
  await page.getByText("1 restored").waitFor();
  expect(disk.names()).toEqual(["a.txt"]);

  await menu(page, "b.txt", "Delete for good");
  await page.getByText("Delete b.txt for good? This cannot be undone.").waitFor();
  // Whoever presses Enter without reading loses nothing.
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(disk.entries.size).toBe(6);
  await menu(page, "b.txt", "Delete for good");
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await expect.poll(() => disk.entries.size).toBe(5);

  await page.getByLabel("Select c.txt").check();
  await page.getByLabel("Select d.txt").check();
  await page.keyboard.press("Delete");
  await page.getByText("Delete 2 items for good?").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await expect.poll(() => disk.entries.size).toBe(3);

  await page.getByRole("button", { name: "Empty trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Empty trash" }).click();
  await page.getByText("The trash is empty").waitFor();
  expect([...disk.entries.values()].map(({ name }) => name)).toEqual(["a.txt"]);
});

test("columns sort, names in their natural order", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      for (let at = 0; at < 130; at++) {
        disk.add({ name: `${at}.txt`, updatedAtMs: 1e12 - at * 86_400_000 }, Buffer.from("x".repeat(at + 1)));
      }
    },
  });
  const names = (): Promise<string[]> => page.locator(".file-title").allInnerTexts();
  const first = async (): Promise<string | undefined> => (await names())[0];
  await page.getByText("130 of 130", { exact: true }).waitFor();
  expect((await names()).slice(0, 12).join()).toMatch(/^0\.txt,1\.txt,2\.txt,.*,9\.txt,10\.txt,11\.txt$/);
  await page.getByRole("button", { name: "Size" }).click();
  await page.getByRole("button", { name: "Size" }).click();
  await expect.poll(first).toBe("129.txt");
  expect(await page.getByRole("columnheader", { name: "Size" }).getAttribute("aria-sort")).toBe("descending");
  await page.getByRole("button", { name: "Modified" }).click();
  await expect.poll(first).toBe("129.txt");
  await page.getByRole("button", { name: "Name", exact: true }).click();
  await expect.poll(first).toBe("0.txt");
});

test("what was thrown away and brought back is not chosen any more: the next key would be done to all of it", async () => {
  const { page } = await web.openSignedIn({
    fill: (disk) => {
      for (const name of ["a.txt", "b.txt", "c.txt"]) disk.add({ name }, Buffer.from(name));
    },
  });
  await page.getByLabel("Select all").check();
  await page.getByRole("toolbar").getByRole("button", { name: "Move to trash" }).click();
  await page.getByText("Nothing here yet").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("table").getByText("c.txt").waitFor();
  expect(await chosen(page)).toEqual([]);
  expect(await page.getByRole("toolbar").count()).toBe(0);
});
