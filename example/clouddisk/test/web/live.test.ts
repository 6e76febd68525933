import { createHash, randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { findWebFolder } from "../../src/apigw/pages.js";
import { type Disk, password, startDisk, type User } from "../support/disk.js";
import { theBrowser } from "./support.js";

/** Two devices of one user, each a browser of its own, before the services themselves. */

const part = 64 * 1024;
let disk: Disk;

beforeAll(async () => {
  expect(findWebFolder(), "build the page first: ./autobuild.sh does").toBeDefined();
  const conf = { "upload.part": "64KiB" };
  disk = await startDisk({ keep: true, conf, services: ["dbproxy", "account", "upload", "apigw"] });
});
afterAll(() => disk.stop());

async function device(user: User): Promise<Page> {
  const context = await (await theBrowser()).newContext({ locale: "en" });
  onTestFinished(() => context.close());
  const token = await disk.signin(user.name, password);
  await context.addCookies([{ name: "clouddisk_token", value: token.token, url: disk.url }]);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const opened = page.waitForResponse((one) => one.url().includes("/api/events"));
  await page.goto(disk.url);
  await opened;
  await page.getByText("Nothing here yet").waitFor();
  return page;
}

test("what one device changes, the other shows without being loaded again", async () => {
  const user = await disk.user();
  const [one, other] = [await device(user), await device(user)];
  await one.getByRole("button", { name: "New folder" }).click();
  await one.getByRole("textbox", { name: "Name of the folder" }).fill("Papers");
  await one.keyboard.press("Enter");
  await other.getByRole("table").getByText("Papers").waitFor();
  const listed = await fetch(`${disk.url}/api/files`, { headers: user.headers });
  const [{ id }] = ((await listed.json()) as { entries: [{ id: number }] }).entries;
  const headers = { ...user.headers, "content-type": "application/json" };
  const rename = { method: "PATCH", headers, body: JSON.stringify({ name: "Letters" }) };
  await fetch(`${disk.url}/api/files/${id}`, rename);
  for (const page of [one, other]) await page.getByRole("table").getByText("Letters").waitFor();
  await fetch(`${disk.url}/api/files/${id}`, { method: "DELETE", headers: user.headers });
  for (const page of [one, other]) await page.getByText("Nothing here yet").waitFor();
});

test("an upload of another device is shown with its progress, part by part, until it is done", async () => {
  const user = await disk.user();
  const page = await device(user);
  const bytes = randomBytes(4 * part);
  const filehash = createHash("sha256").update(bytes).digest("hex");
  const init = { filename: "film.bin", filehash, filesize: bytes.length };
  const { uploadID } = (await disk.post("/file/mpupload/init", init, user)) as { uploadID: string };
  const row = page.locator(".upload").filter({ hasText: "film.bin" });
  await row.getByText("On its way on another device").waitFor();
  // It stays open beneath the pointer.
  await row.hover();
  for (let index = 0; index < 4; index++) {
    const reply = await fetch(`${disk.url}/file/mpupload/uppart?uploadid=${uploadID}&index=${index}`, {
      method: "POST",
      headers: { ...user.headers, "content-type": "application/octet-stream" },
      body: bytes.subarray(index * part, (index + 1) * part),
    });
    expect(reply.status).toBe(200);
    await row.getByText(`${64 * (index + 1)} KB of 256 KB`).waitFor();
  }
  expect(await row.getByRole("button").count()).toBe(0);
  await disk.post("/file/mpupload/complete", { uploadid: uploadID }, user);
  await row.waitFor({ state: "detached" });
  await page.getByRole("table").getByText("film.bin").waitFor();
});

test("a session that another device ends is over in the page at once", async () => {
  const user = await disk.user();
  const page = await device(user);
  const [cookie] = await page.context().cookies();
  const headers = { authorization: `Bearer ${cookie?.value}` };
  await fetch(`${disk.url}/api/signout`, { method: "POST", headers });
  await page.getByText("Your session has ended. Sign in again.").waitFor();
});
