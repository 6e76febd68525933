import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { chooser, drop, folderChooser, Web } from "./support.js";

/** How files and folders come to the disk, and stay what they were. */

const web = new Web();

const contents = { "a.txt": "one", "photos/b.txt": "two", "photos/2024/c.txt": "three", "empty/": "" };

test("files that are dropped are uploaded", async () => {
  const { disk, page } = await web.openSignedIn();
  const body = randomBytes(150_000);
  await drop(page, [await web.file("one.bin", body), await web.file("two.txt", "two")]);
  await page.getByRole("table").getByText("one.bin").waitFor();
  await page.getByRole("table").getByText("two.txt").waitFor();
  expect(disk.names()).toEqual(["one.bin", "two.txt"]);
  expect(disk.contents.get(disk.find("one.bin")?.fileHash ?? "")?.equals(body)).toBe(true);
});

test("a folder that is dropped arrives as it was, empty folders too", async () => {
  const { disk, page } = await web.openSignedIn();
  await drop(page, [await web.tree("trip", contents)]);
  await page.getByRole("table").getByText("trip").waitFor();
  await expect.poll(() => disk.find("trip/photos/2024/c.txt")).toBeDefined();
  await expect.poll(() => disk.find("trip/empty")?.folder).toBe(true);
  const names = (folder: string) => disk.names(disk.find(folder)?.id);
  await expect.poll(() => names("trip")).toEqual(["a.txt", "empty/", "photos/"]);
  await expect.poll(() => names("trip/photos")).toEqual(["2024/", "b.txt"]);
  await expect.poll(() => disk.find("trip/photos/2024/c.txt")?.fileHash).toBeDefined();
  expect(disk.contents.get(disk.find("trip/photos/2024/c.txt")?.fileHash ?? "")?.toString()).toBe("three");
});

test("folders that the disk has no time for are asked for again", async () => {
  const { disk, page } = await web.openSignedIn();
  const msg = "too many requests of this user: at most 600 a minute; try again in 1 s";
  disk.refuse.set("POST /api/folders", { status: 429, code: 10_010, msg });
  await drop(page, [await web.tree("trip", { "empty/": "", "a.txt": "one" })]);
  await expect
    .poll(() => disk.calls.filter((call) => call === "POST /api/folders").length)
    .toBeGreaterThan(1);
  disk.refuse.clear();
  await expect.poll(() => disk.find("trip/empty")?.folder).toBe(true);
  await expect.poll(() => disk.find("trip/a.txt")?.sizeBytes).toBe(3);
});

test("a folder that is chosen arrives in the folder that is open", async () => {
  const { disk, page } = await web.openSignedIn({ fill: (one) => one.add({ name: "Papers" }) });
  await page.getByRole("table").getByText("Papers").click();
  await page.getByText("Nothing here yet").waitFor();
  await page.setInputFiles(folderChooser, await web.tree("trip", contents));
  await page.getByRole("table").getByText("trip").click();
  await page.getByRole("table").getByText("photos").click();
  await page.getByRole("table").getByText("b.txt").waitFor();
  await expect.poll(() => disk.find("Papers/trip/photos/2024/c.txt")).toBeDefined();
  expect(disk.names()).toEqual(["Papers/"]);
});

test("what a page makes and drops has no folders, and is uploaded as well", async () => {
  const { disk, page } = await web.openSignedIn();
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["made here"], "made.txt"));
    return transfer;
  })()`);
  for (const type of ["dragenter", "dragover", "drop"]) {
    await page.dispatchEvent("main", type, { dataTransfer });
  }
  await page.getByRole("table").getByText("made.txt").waitFor();
  expect(disk.find("made.txt")?.sizeBytes).toBe(9);
});

test("while files are held above it the page says so; in the trash and beside it they go nowhere", async () => {
  const { disk, page } = await web.openSignedIn();
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["one"], "one.txt"));
    return transfer;
  })()`);
  await page.dispatchEvent("body", "dragenter", { dataTransfer });
  await page.dispatchEvent("main", "dragenter", { dataTransfer });
  await page.dispatchEvent("body", "dragleave", { dataTransfer });
  await page.getByText("Drop to upload here").waitFor();
  await page.dispatchEvent("main", "dragleave", { dataTransfer });
  await page.getByText("Drop to upload here").waitFor({ state: "detached" });
  const file = await web.file("one.txt", "one");
  for (const view of ["Trash", "Services"]) {
    await page.getByRole("link", { name: view }).click();
    await page.getByRole("heading", { name: view, level: 1 }).waitFor();
    await drop(page, [file]);
    // The browser would have opened the file by now.
    await page.getByRole("heading", { name: view, level: 1 }).waitFor();
  }
  expect(disk.names()).toEqual([]);
  expect(await page.locator(".upload").count()).toBe(0);
});

test("many small files do not make the page ask for the list again for each of them", async () => {
  const { disk, page } = await web.openSignedIn();
  const files = await Promise.all(
    Array.from({ length: 60 }, (_, at) => web.file(`many/${at}.txt`, `file ${at}`)),
  );
  await page.setInputFiles(chooser, files);
  await expect.poll(() => disk.names().length).toBe(60);
  await page.getByText("60 of 60", { exact: true }).waitFor();
  expect(disk.calls.filter((call) => call === "GET /api/files").length).toBeLessThan(30);
});
