import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { fill, states } from "./states.js";
import { Web } from "./support.js";

/** The page on a phone: nothing beyond its edges, everything within reach of a finger. */

const web = new Web();
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const long = "an-unbreakable-name-".repeat(10);

interface Widths {
  page: number;
  shown: number;
  scale: number;
}

/** A page that is wider than the phone is shown smaller, or can be pushed aside. */
async function expectNoSideways(page: Page, state: string): Promise<void> {
  const widths = (await page.evaluate(`({
    page: document.documentElement.scrollWidth,
    shown: innerWidth,
    scale: visualViewport.scale,
  })`)) as Widths;
  expect(widths, state).toEqual({ page: 390, shown: 390, scale: 1 });
}

/** Runs in the page: what can be pressed, yet is beneath something else, or too small for a finger. */
const findOutOfReach = `(() => {
  const open = [...document.querySelectorAll("dialog, .menu")].at(-1) ?? document.body;
  const found = [];
  let count = 0;
  for (const control of open.querySelectorAll("button, a, input")) {
    if (control.disabled || control.matches(".skip") || !control.checkVisibility()) continue;
    // The label around a box belongs to it.
    const target = control.type === "checkbox" ? control.closest("label") : control;
    count++;
    // What lies above the page leaves some of it free.
    let there;
    let box;
    for (const part of [0.5, 0.3, 0.7]) {
      target.scrollIntoView({ block: "nearest" });
      box = target.getBoundingClientRect();
      scrollBy(0, box.top + box.height / 2 - part * innerHeight);
      box = target.getBoundingClientRect();
      there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (target.contains(there)) break;
    }
    const { width, height } = box;
    const name = control.ariaLabel ?? control.textContent.trim();
    if (!target.contains(there)) found.push(name + " is beneath " + (there?.outerHTML.slice(0, 80) ?? "nothing"));
    if (width < 24 || height < 24) found.push(name + " is " + width + " by " + height);
  }
  return { found, count };
})()`;

async function expectReachable(page: Page, state: string): Promise<void> {
  const look = () => page.evaluate(findOutOfReach) as Promise<{ found: string[]; count: number }>;
  // The page may still be on its way there.
  await expect.poll(async () => (await look()).count, { message: state }).toBeGreaterThan(1);
  expect((await look()).found, state).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`no view is wider than a phone, and all in it can be pressed: ${colorScheme}`, async () => {
    const { disk, page } = await web.open({ ...phone, colorScheme });
    await page.getByRole("heading", { name: "Welcome back" }).waitFor();
    await expectNoSideways(page, "sign-in");
    await expectReachable(page, "sign-in");
    fill(disk);
    disk.add({ name: `${long}folder` });
    disk.add({ name: `${long}.txt`, state: "failed" }, Buffer.from("1"));
    disk.add({ name: `${long}.pdf`, trashedAtMs: Date.now(), path: `${long}/${long}` }, Buffer.from("2"));
    disk.signIn("a".repeat(64));
    await page.reload();
    await page.locator('.browser[aria-busy="false"]').waitFor();
    for await (const state of states(disk, page)) {
      await expectNoSideways(page, state);
      await expectReachable(page, state);
    }
  });
}

test("names of any length stay within the phone, wherever they are said", async () => {
  const { page } = await web.openSignedIn({
    ...phone,
    fill: (disk) => {
      const folder = disk.add({ name: `${long}folder` });
      disk.add({ name: `${long}.txt`, parentId: folder.id }, Buffer.from("w".repeat(5000)));
    },
  });
  await page.getByRole("table").getByText(`${long}folder`).click();
  await page.locator("h1").getByText(long).waitFor();
  await expectNoSideways(page, "the path");
  for (const item of ["Preview", "Move", "Rename"]) {
    await page.getByRole("button", { name: `Actions for ${long}.txt` }).click();
    await page.getByRole("menuitem", { name: item, exact: true }).click();
    await page.getByRole("dialog").waitFor();
    if (item === "Preview") await page.getByText("wwww").waitFor();
    await expectNoSideways(page, item);
    if (item !== "Rename") await page.keyboard.press("Escape");
  }
  await page.getByRole("textbox", { name: "Name" }).fill(`${long}2.txt`);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(`Renamed to ${long}2.txt`).waitFor();
  await expectNoSideways(page, "what was done");
  await page.getByRole("searchbox").fill(long);
  await page.getByRole("heading", { name: "Results for" }).waitFor();
  await expectNoSideways(page, "a search");
});

test("a phone sorts by a menu, as it has one column only", async () => {
  const { page } = await web.openSignedIn({
    ...phone,
    fill: (disk) => {
      disk.add({ name: "a.txt" }, Buffer.from("long"));
      disk.add({ name: "b.txt" }, Buffer.from("1"));
    },
  });
  const first = (): Promise<string> => page.locator(".file-title").first().innerText();
  await page.getByRole("button", { name: "Sort", exact: true }).tap();
  await page.getByRole("menuitemradio", { name: "Size" }).tap();
  await expect.poll(first).toBe("b.txt");
  await page.getByRole("button", { name: "Sort", exact: true }).tap();
  const size = page.getByRole("menuitemradio", { name: "Size" });
  expect(await size.getAttribute("aria-checked")).toBe("true");
  await size.tap();
  await expect.poll(first).toBe("a.txt");
});
