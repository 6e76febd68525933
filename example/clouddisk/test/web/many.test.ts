import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { FakeDisk } from "./fake-disk.js";
import { Web } from "./support.js";

/** A folder of 10,000 files. */

const web = new Web();
const count = 10_000;

function fill(disk: FakeDisk): void {
  disk.add({ name: "Archive" });
  const body = Buffer.from("x");
  for (let at = 1; at < count; at++) disk.add({ name: `file ${at}.txt` }, body);
}

const listCalls = (disk: FakeDisk): number => disk.calls.filter((call) => call === "GET /api/files").length;
const batches = (disk: FakeDisk): string[] => disk.calls.filter((call) => call.includes("/batch/"));
const focused = (page: Page): Promise<string> =>
  page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName");
const scroll = (page: Page, y: string): Promise<unknown> => page.evaluate(`scrollTo(0, ${y})`);
const drawn = (page: Page): Promise<number> => page.locator("tbody tr[data-at]").count();

/** To the end, as one who keeps scrolling does. */
async function scrollToEnd(page: Page): Promise<void> {
  await expect
    .poll(async () => {
      await scroll(page, "document.body.scrollHeight");
      return page.locator(".files-foot").innerText();
    })
    .toContain(`${count} of ${count}`);
  await scroll(page, "document.body.scrollHeight");
  await page.getByLabel(`Select file ${count - 1}.txt`, { exact: true }).waitFor();
}

test("each page of a long list is asked for once, and only what is seen of it is drawn", async () => {
  const { disk, page } = await web.openSignedIn({ fill });
  const before = listCalls(disk);
  await page.getByText(/ of 10000$/).waitFor();
  await scrollToEnd(page);
  // 200, then 1,000 each; the first may have come before this test looked.
  expect(listCalls(disk) - before).toBeLessThanOrEqual(10);
  expect(await drawn(page)).toBeLessThan(120);
  const table = page.getByRole("table");
  expect(await table.getAttribute("aria-rowcount")).toBe(String(count + 1));
  const last = page.getByRole("row").filter({ has: page.getByLabel(`Select file ${count - 1}.txt`) });
  expect(await last.getAttribute("aria-rowindex")).toBe(String(count + 1));
  await scroll(page, "0");
  await page.getByLabel("Select Archive").waitFor();
  // A row is where it would be if all were there.
  await scroll(page, "5000 * 56");
  await page.getByLabel("Select file 5003.txt", { exact: true }).waitFor();
});

test("the keyboard goes through a long list, and a row that has the focus keeps it out of sight", async () => {
  const { page } = await web.openSignedIn({ fill });
  await scrollToEnd(page);
  await scroll(page, "0");
  await page.getByLabel("Select Archive").focus();
  await page.keyboard.press("End");
  await expect.poll(() => focused(page)).toBe(`Select file ${count - 1}.txt`);
  await page.keyboard.press("ArrowUp");
  await expect.poll(() => focused(page)).toBe(`Select file ${count - 2}.txt`);
  await page.keyboard.press("PageUp");
  await expect.poll(() => focused(page)).toBe(`Select file ${count - 12}.txt`);
  await page.keyboard.press("Home");
  await expect.poll(() => focused(page)).toBe("Select Archive");
  await page.keyboard.press("ArrowDown");
  for (const y of ["3000", "300000", "document.body.scrollHeight", "200000"]) {
    await scroll(page, y);
    await expect.poll(() => page.getByLabel("Select file 1.txt", { exact: true }).count()).toBe(1);
    expect(await focused(page), y).toBe("Select file 1.txt");
  }
  await page.keyboard.press("ArrowDown");
  await expect.poll(() => focused(page)).toBe("Select file 2.txt");
  const top = await page.evaluate<number>("document.activeElement.getBoundingClientRect().top");
  expect(top).toBeGreaterThan(64);
  expect(top).toBeLessThan(700);
});

test("all means all: 10,000 are chosen, thrown away, brought back and moved in batches", async () => {
  const { disk, page } = await web.openSignedIn({ fill });
  const toolbar = page.getByRole("toolbar");
  await page.getByLabel("Select all").check();
  await toolbar.getByText("10000 selected").waitFor();
  await toolbar.getByRole("button", { name: "Move to trash" }).click();
  await page.getByText("10000 moved to the trash").waitFor();
  await page.getByText("Nothing here yet").waitFor();
  expect(disk.names()).toEqual([]);
  expect(batches(disk)).toHaveLength(count / 500);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("10000 restored").waitFor();
  await page.getByLabel("Select Archive").waitFor();
  expect(disk.names()).toHaveLength(count);
  expect(batches(disk)).toHaveLength((2 * count) / 500);

  await page.getByLabel("Select all").check();
  await toolbar.getByText("10000 selected").waitFor();
  await page.getByLabel("Select Archive").uncheck();
  await toolbar.getByRole("button", { name: "Move", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Move 9999 items" });
  await dialog.getByRole("button", { name: "Archive" }).click();
  await dialog.getByText("No folders here").waitFor();
  await dialog.getByRole("button", { name: "Move here" }).click();
  await page.getByText("9999 moved").waitFor();
  expect(disk.names()).toEqual(["Archive/"]);
}, 120_000);

test("a batch that is refused in the middle leaves the list as the disk has it", async () => {
  const { disk, page } = await web.openSignedIn({
    fill: (one) => {
      for (let at = 0; at < 600; at++) one.add({ name: `${at}.txt` }, Buffer.from("x"));
    },
  });
  const refuse = { status: 503, code: 10_002, msg: "the service is not available at the moment" };
  // The first 500 are gone when it says no.
  disk.onCall = (route) => {
    if (route === "POST /api/files/batch/trash" && batches(disk).length === 2) disk.refuse.set(route, refuse);
  };
  await page.getByLabel("Select all").check();
  await page.getByRole("toolbar").getByText("600 selected").waitFor();
  await page.getByRole("toolbar").getByRole("button", { name: "Move to trash" }).click();
  await page.getByText("500 moved to the trash").waitFor();
  await page.locator(".toast.error").getByText("A service of the disk is not available").waitFor();
  await page.getByText("100 of 100", { exact: true }).waitFor();
  expect(disk.names()).toHaveLength(100);
});

test("a list that is refused because of too many requests is asked for again", async () => {
  const { disk, page } = await web.openSignedIn({ fill: (one) => one.add({ name: "Papers" }) });
  const msg = "too many requests of this user: at most 600 a minute; try again in 1 s";
  disk.refuse.set("GET /api/files", { status: 429, code: 10_010, msg });
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("alert").getByText("Too many requests. Try again in 1 s.").waitFor();
  disk.refuse.clear();
  await page.getByText("The trash is empty").waitFor();
});
