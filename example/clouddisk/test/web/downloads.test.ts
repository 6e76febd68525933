import { readFile } from "node:fs/promises";
import type { Download } from "playwright-core";
import { expect, test } from "vitest";
import type { FakeDisk } from "./fake-disk.js";
import { Web } from "./support.js";

/** Several files downloaded together. */

const web = new Web();
const names = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt"];

function fill(disk: FakeDisk): void {
  for (const name of names) disk.add({ name }, Buffer.from(`this is ${name}`));
}

for (const mode of ["in one process", "split, where each is of another origin"]) {
  test(`of six files chosen six are downloaded: ${mode}`, async () => {
    const { disk, page } = await web.openSignedIn({ fill });
    if (mode !== "in one process") {
      await disk.split();
      await page.reload();
    }
    // A navigation that is not answered yet would be ended by the next one.
    disk.downloadLatencyMs = 200;
    const downloads: Download[] = [];
    page.on("download", (download) => downloads.push(download));
    await page.getByLabel("Select all").check();
    await page.getByRole("toolbar").getByRole("button", { name: "Download" }).click();
    await expect.poll(() => downloads.map((one) => one.suggestedFilename()).sort()).toEqual(names);
    for (const one of downloads) {
      const text = await readFile(await one.path(), "utf8");
      expect(text).toBe(`this is ${one.suggestedFilename()}`);
    }
    await page.getByRole("toolbar").getByText("6 selected").waitFor();
  });
}

test("a file that cannot be downloaded is named, and keeps no other one back", async () => {
  const { disk, page } = await web.openSignedIn({ fill });
  await disk.split();
  await page.reload();
  const gone = disk.find("b.txt");
  if (gone !== undefined) gone.fileHash = "";
  const downloads: Download[] = [];
  page.on("download", (download) => downloads.push(download));
  await page.getByLabel("Select all").check();
  await page.getByRole("toolbar").getByRole("button", { name: "Download" }).click();
  await page.locator(".toast.error").getByText("b.txt: It is not there any more.").waitFor();
  await expect.poll(() => downloads.length).toBe(5);
});
