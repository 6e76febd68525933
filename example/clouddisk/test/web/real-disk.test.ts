import { createHash, randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { findWebFolder } from "../../src/apigw/pages.js";
import { type Disk, password, startDisk, type User } from "../support/disk.js";
import { pdf, songti } from "./samples.js";
import { chooser, theBrowser } from "./support.js";

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** The built page, and the six services behind it, for all tests of this file. */
let disk: Disk;
let users = 0;

beforeAll(async () => {
  expect(findWebFolder(), "build the page first: ./autobuild.sh does").toBeDefined();
  disk = await startDisk({ keep: true, conf: { "upload.part": "256KiB" } });
});
afterAll(() => disk.stop());

/** A visitor who has become a user, in a real browser. */
async function signUp(): Promise<{ page: Page; signIn: () => Promise<User> }> {
  const context = await (await theBrowser()).newContext({ locale: "en" });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  users += 1;
  const name = `browser-${users}`;
  await page.goto(disk.url);
  await page.getByRole("button", { name: "New here? Create an account" }).click();
  await page.getByLabel("User name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
  return { page, signIn: () => disk.signin(name, password) };
}

test("a file goes through the page into the disk and out again", async () => {
  const { page, signIn } = await signUp();
  const buffer = randomBytes(1_000_000);
  await page.setInputFiles(chooser, { name: "picture 照片.bin", mimeType: "", buffer });
  await page.getByRole("table").getByText("picture 照片.bin").waitFor();
  const user = await signIn();
  const reply = await fetch(`${disk.url}/file/download?filehash=${sha256(buffer)}`, {
    headers: user.headers,
  });
  expect(sha256(Buffer.from(await reply.arrayBuffer()))).toBe(sha256(buffer));
});

test("hostile files run nothing, neither in the page nor opened by their own address", async () => {
  const { page } = await signUp();
  const script = "document.title = 'hacked'; window.hacked = 1; parent.hacked = 1";
  const files = {
    "evil.html": `<title>plain</title><script>${script}</script>`,
    "evil.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><script>${script}</script></svg>`,
    "evil.xml": `<?xml version="1.0"?><x xmlns="http://www.w3.org/1999/xhtml"><script>${script}</script></x>`,
  };
  await page.setInputFiles(
    chooser,
    Object.entries(files).map(([name, text]) => ({ name, mimeType: "", buffer: Buffer.from(text) })),
  );
  for (const name of Object.keys(files)) {
    const [reply] = await Promise.all([
      page.waitForResponse((one) => one.url().includes("/file/download?")),
      page.getByRole("table").getByText(name).click(),
    ]);
    await page.locator(name === "evil.svg" ? ".preview iframe[data-drawn]" : ".preview pre").waitFor();
    await page.keyboard.press("Escape");
    // Somebody is sent the address that the preview has.
    const other = await page.context().newPage();
    await other.goto(reply.url());
    expect(await other.evaluate("[document.title, window.hacked].join()"), name).not.toContain("hacked");
    expect(await other.evaluate("window.hacked"), name).toBeUndefined();
    expect(await other.evaluate("document.contentType"), name).toBe("text/plain");
    await other.close();
  }
  expect(await page.evaluate("window.hacked")).toBeUndefined();
});

const row = (page: Page, name: string) => page.getByRole("row").filter({ hasText: name });

async function menu(page: Page, name: string, item: string): Promise<void> {
  await page.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

/** The folder 旅行, made and gone into, with these files. */
async function fillFolder(page: Page, names: string[]): Promise<void> {
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByRole("textbox", { name: "Name of the folder" }).fill("旅行");
  await page.keyboard.press("Enter");
  await row(page, "旅行").locator(".file-name").click();
  await page.locator("h1").getByText("旅行").waitFor();
  const files = names.map((name) => ({ name, mimeType: "", buffer: Buffer.from(name) }));
  await page.setInputFiles(chooser, files);
  for (const name of names) await row(page, name).waitFor();
}

test("names that the services refuse are explained, and a search finds what moves", async () => {
  const { page } = await signUp();
  await fillFolder(page, ["one.txt", "two.txt"]);
  await menu(page, "one.txt", "Rename");
  const name = page.getByRole("textbox", { name: "Name" });
  for (const [wrong, said] of [
    ["two.txt", "Something here has this name already."],
    ["a/b.txt", "The name may not contain / or \\."],
    ["..", "The name may not be . or .."],
    ["长".repeat(100), "The name is too long"],
  ] as const) {
    await name.fill(wrong);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText(said).waitFor();
  }
  await name.fill("three.txt");
  await page.keyboard.press("Enter");
  await row(page, "three.txt").waitFor();

  await page.getByRole("searchbox").fill("three");
  await row(page, "three.txt").getByText("in 旅行").waitFor();
  await menu(page, "three.txt", "Move");
  await page.getByRole("dialog").getByRole("button", { name: "My files" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "旅行" }).waitFor();
  await page.getByRole("button", { name: "Move here" }).click();
  await row(page, "three.txt").getByText("in My files").waitFor();
});

test("the trash takes a folder with what is in it, gives it back, and deletes for good", async () => {
  const { page } = await signUp();
  await fillFolder(page, ["one.txt", "two.txt"]);
  await page.getByLabel("Select one.txt").check();
  await page.keyboard.press("Delete");
  await row(page, "one.txt").waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Files", exact: true }).click();
  await page.getByLabel("Select 旅行").check();
  await page.keyboard.press("Delete");
  await page.getByText("Nothing here yet").waitFor();
  await page.getByRole("link", { name: "Trash" }).click();
  await menu(page, "旅行", "Restore");
  await page.getByText("1 restored").waitFor();
  await menu(page, "one.txt", "Delete for good");
  await page.getByRole("dialog").getByRole("button", { name: "Delete for good" }).click();
  await page.getByText("The trash is empty").waitFor();
  await page.getByRole("link", { name: "Files", exact: true }).click();
  await row(page, "旅行").locator(".file-name").click();
  await row(page, "two.txt").waitFor();
});

test("an upload goes on after a reload: the services get what they have not got, and the same bytes", async () => {
  const { page, signIn } = await signUp();
  const buffer = randomBytes(5 * 256 * 1024);
  const sent: string[] = [];
  let holding = true;
  await page.route(/\/uppart\?/, async (route) => {
    const index = new URL(route.request().url()).searchParams.get("index") ?? "";
    // What is held back never goes; the reload ends it.
    if (holding && Number(index) >= 2) return;
    sent.push(index);
    await route.continue();
  });
  const answered = Promise.all(
    ["0", "1"].map((index) => page.waitForResponse((one) => one.url().includes(`index=${index}&`))),
  );
  await page.setInputFiles(chooser, { name: "long.bin", mimeType: "", buffer });
  await answered;
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  holding = false;
  await page.locator('[data-phase="unfinished"]').getByText("512 KB of 1.3 MB").waitFor();
  await page.setInputFiles('[data-phase="unfinished"] input', { name: "long.bin", mimeType: "", buffer });
  await row(page, "long.bin").waitFor();
  expect(sent.sort()).toEqual(["0", "1", "2", "3", "4"]);
  const user = await signIn();
  const reply = await fetch(`${disk.url}/file/download?filehash=${sha256(buffer)}`, {
    headers: user.headers,
  });
  expect(sha256(Buffer.from(await reply.arrayBuffer()))).toBe(sha256(buffer));
});

test("a PDF is shown under the policy of the real gateway, its Chinese characters too", async () => {
  const { page } = await signUp();
  await page.setInputFiles(chooser, { name: "字.pdf", mimeType: "", buffer: pdf(["<C4E3BAC3>"], songti) });
  const [map] = await Promise.all([
    page.waitForResponse(/GBK-EUC-H\.bcmap$/),
    row(page, "字.pdf").locator(".file-name").click(),
  ]);
  expect(map.status()).toBe(200);
  await page.locator('canvas[data-drawn="1"]').waitFor();
});
