import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import type { FakeDisk } from "./fake-disk.js";
import { chooser } from "./support.js";

/** What the states below are shown with. */
export function fill(disk: FakeDisk): void {
  disk.add({ name: "Folder" });
  disk.add({ name: "notes.txt" }, Buffer.from("some text"));
  disk.add({ name: "failed.bin", state: "failed" }, Buffer.from("x"));
  disk.add({ name: "gone.txt", trashedAtMs: Date.now(), path: "Folder" }, Buffer.from("y"));
}

/** One upload that runs, one that is done and one that is refused, in the panel. */
async function startUploads(disk: FakeDisk, page: Page): Promise<void> {
  disk.beforePart = (index) => (index < 1 ? Promise.resolve() : new Promise(() => {}));
  await page.setInputFiles(chooser, [
    { name: "done.bin", mimeType: "", buffer: Buffer.from("done") },
    { name: "running.bin", mimeType: "", buffer: randomBytes(200_000) },
  ]);
  await page.locator('[data-phase="done"]').waitFor();
  await page.locator('[data-phase="sending"]').waitFor();
  disk.refuse.set("POST /file/mpupload/init", { status: 413, code: 10_009, msg: "over your quota" });
  await page.setInputFiles(chooser, { name: "refused.bin", mimeType: "", buffer: Buffer.from("no") });
  await page.locator('[data-phase="failed"]').waitFor();
}

/** Every state worth a look, one after the other. */
export async function* states(disk: FakeDisk, page: Page): AsyncGenerator<string> {
  yield "files";
  await page.getByLabel("Select notes.txt").check();
  await page.getByRole("toolbar").waitFor();
  yield "something chosen";
  await page.getByRole("button", { name: "Clear selection" }).click();
  await page.getByRole("button", { name: "Actions for notes.txt" }).click();
  await page.getByRole("menu").waitFor();
  yield "a menu";
  await page.getByRole("menuitem", { name: "Rename" }).click();
  disk.refuse.set("PATCH /api/files/:id", { status: 409, code: 10_008, msg: "the upload is closed" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").getByText("This upload has ended").waitFor();
  yield "a dialog that refuses";
  disk.refuse.clear();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Actions for notes.txt" }).click();
  await page.getByRole("menuitem", { name: "Move", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Folder", exact: true }).waitFor();
  yield "the choice of a folder";
  await page.keyboard.press("Escape");
  await page.getByRole("table").getByText("notes.txt").click();
  await page.getByText("some text").waitFor();
  yield "a preview";
  await page.keyboard.press("Escape");
  await startUploads(disk, page);
  yield "uploads";
  await page.getByRole("button", { name: "Actions for done.bin" }).click();
  await page.getByRole("menuitem", { name: "Move to trash" }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  yield "what was done, in passing";
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("button", { name: "Empty trash" }).click();
  await page.getByRole("dialog").waitFor();
  yield "the trash, and a question";
  await page.keyboard.press("Escape");
  await page.getByRole("searchbox").fill("nothing like it");
  await page.getByText("No file matches").waitFor();
  yield "a search in vain";
  await page.getByRole("link", { name: "Services" }).click();
  await page.getByText("does not answer").waitFor();
  yield "services";
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByRole("button", { name: "Create user" }).click();
  await page.getByRole("alert").getByText("The user name must have").waitFor();
  yield "a new user who is none yet";
}
