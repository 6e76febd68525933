import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { password } from "../support/disk.js";
import { faintTexts } from "./contrast.js";
import { fill, states } from "./states.js";
import { chooser, Web } from "./support.js";

/** The page for those who use a keyboard, a screen reader, or need contrast. */

const web = new Web();

/** Of the accessibility tree: what has to have a name and has none. */
async function nameless(page: Page): Promise<string[]> {
  const tree = await page.locator("body").ariaSnapshot();
  const named =
    "button|link|textbox|searchbox|checkbox|menu|menuitem|menuitemradio|dialog|img|progressbar|navigation|toolbar";
  const pattern = new RegExp(`^\\s*- (${named})\\b(?! ")`);
  const lines = tree.split("\n");
  expect(lines.length).toBeGreaterThan(5);
  return lines.filter((line) => pattern.test(line));
}

test("everything that is pressed, typed into or looked at has a name", async () => {
  const { disk, page } = await web.open();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  expect(await nameless(page)).toEqual([]);
  fill(disk);
  disk.signIn("ann");
  await page.reload();
  await page.locator('.browser[aria-busy="false"]').waitFor();
  for await (const state of states(disk, page)) expect(await nameless(page), state).toEqual([]);
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`texts can be read: 4.5 to 1, ${colorScheme}`, async () => {
    const { disk, page } = await web.open({ colorScheme });
    await page.getByRole("button", { name: "New here? Create an account" }).click();
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("alert").getByText("The user name must have").waitFor();
    expect(await faintTexts(page)).toEqual([]);
    fill(disk);
    disk.signIn("ann");
    await page.reload();
    await page.locator('.browser[aria-busy="false"]').waitFor();
    for await (const state of states(disk, page)) expect(await faintTexts(page), state).toEqual([]);
  });
}

const focused = (page: Page): Promise<string> =>
  page.evaluate(`(() => {
    const { activeElement } = document;
    return activeElement.getAttribute("aria-label") ?? activeElement.textContent.trim();
  })()`);

test("a dialog keeps the focus in it, and gives it back to where it came from", async () => {
  const { page } = await web.openSignedIn({ fill });
  const inDialog = () => page.evaluate(`document.activeElement.closest("dialog") !== null`);
  const actions = page.getByRole("button", { name: "Actions for notes.txt" });
  const dialogs: Array<[open: () => Promise<void>, back: string]> = [
    ...["Preview", "Rename", "Move"].map((item): [() => Promise<void>, string] => [
      async () => {
        await actions.focus();
        await page.keyboard.press("Enter");
        await page.getByRole("menuitem", { name: item, exact: true }).press("Enter");
      },
      "Actions for notes.txt",
    ]),
    [() => page.getByRole("button", { name: "New folder" }).press("Enter"), "New folder"],
  ];
  for (const [open, back] of dialogs) {
    await open();
    await page.getByRole("dialog").waitFor();
    for (const key of ["Tab", "Shift+Tab"]) {
      for (let times = 0; times < 8; times++) {
        await page.keyboard.press(key);
        expect(await inDialog(), `${back}: ${key}`).toBe(true);
      }
    }
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused(page)).toBe(back);
  }
});

test("the progress of uploads is read out: the beginning, quarters, failures, the end", async () => {
  const { disk, page } = await web.openSignedIn();
  await page.evaluate(`(() => {
    window.read = [];
    const region = document.querySelector("[data-news]");
    new MutationObserver(() => window.read.push(region.textContent)).observe(region, {
      childList: true, characterData: true, subtree: true,
    });
  })()`);
  expect(await page.locator("[data-news]").getAttribute("aria-live")).toBe("polite");
  const gates = [0, 1, 2, 3].map(() => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { open: () => open(), opened };
  });
  disk.beforePart = async (index) => gates[index]?.opened;
  const read = () => page.evaluate<string[]>("window.read");
  await page.setInputFiles(chooser, { name: "a.bin", mimeType: "", buffer: randomBytes(4 * 65_536) });
  await expect.poll(read).toContain("Uploading, 1 in all");
  for (const gate of gates) gate.open();
  await expect.poll(read).toContain("Uploads done: 1");
  disk.refuse.set("POST /file/mpupload/init", { status: 413, code: 10_009, msg: "exceeds your quota" });
  await page.setInputFiles(chooser, { name: "b.bin", mimeType: "", buffer: Buffer.from("b") });
  await expect.poll(read).toContain("b.bin: Failed: There is not enough space left.");
});

test("the whole way without a mouse: an account, an upload, a new name, the trash, and out", async () => {
  const { disk, page } = await web.open();
  // Waited for from the beginning, so that the browser has been told in time not to open a window of its own.
  const picker = page.waitForEvent("filechooser", { timeout: 20_000 });
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  const tabTo = async (name: string | RegExp): Promise<void> => {
    const there = (text: string) => (typeof name === "string" ? text === name : name.test(text));
    for (let times = 0; times < 40; times++) {
      if (there(await focused(page))) return;
      await press("Tab");
    }
    throw new Error(`Tab does not reach ${name}, but ${await focused(page)}`);
  };
  await tabTo("New here? Create an account");
  await press("Enter");
  await page.getByRole("heading", { name: "Create your account" }).waitFor();
  for (let times = 0; times < 4; times++) await press("Shift+Tab");
  await page.keyboard.type("ann");
  await press("Tab");
  await page.keyboard.type(password);
  await press("Enter");
  await page.locator('.browser[aria-busy="false"]').waitFor();

  await tabTo("Skip to the content");
  await press("Enter");
  await tabTo("Upload");
  await press("Enter");
  await (await picker).setFiles({ name: "one.txt", mimeType: "", buffer: Buffer.from("one") });
  disk.add({ name: "two.txt" }, Buffer.from("two"));
  await page.getByRole("table").getByText("two.txt").waitFor();

  await tabTo("Select one.txt");
  await press("F2");
  await page.getByRole("dialog", { name: "Rename one.txt" }).waitFor();
  await page.keyboard.type("first");
  await press("Enter");
  await page.getByRole("table").getByText("first.txt").waitFor();
  expect(await focused(page)).toBe("Select first.txt");
  await press("Delete");
  await page.getByText("1 moved to the trash").waitFor();
  await page.getByRole("table").getByText("first.txt").waitFor({ state: "detached" });
  // The row beneath has come into its place.
  await expect.poll(() => focused(page)).toContain("two.txt");
  await press("Delete");
  await page.getByText("Nothing here yet").waitFor();
  expect(await page.evaluate("document.activeElement.id")).toBe("content");

  await page.evaluate("document.activeElement.blur()");
  await page.locator("body").press("Tab");
  await tabTo("Trash");
  await press("Enter");
  await page.getByRole("table").getByText("first.txt").waitFor();
  await tabTo("Actions for first.txt");
  await press("Enter");
  await press("ArrowDown");
  await press("ArrowUp");
  await press("Enter");
  await page.getByText("1 restored").waitFor();
  expect(disk.names()).toEqual(["first.txt"]);
  await page.evaluate("document.activeElement.blur()");
  await page.locator("body").press("Tab");
  await tabTo("Sign out");
  await press("Enter");
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
});

test("the way to the services, and to new users, is the operator's only", async () => {
  const { disk, page } = await web.openSignedIn();
  await page.getByRole("link", { name: "Services" }).waitFor();
  disk.operator = false;
  await page.reload();
  await page.getByRole("link", { name: "Trash" }).waitFor();
  expect(await page.getByRole("link", { name: /Services|Users/ }).count()).toBe(0);
});
