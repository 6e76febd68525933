import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { chooser, hold, Web } from "./support.js";

/** The panel of uploads, which lies upon the list. */

const web = new Web();
const part = 64 * 1024;

const pill = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

test("it becomes a pill when all is done, and opens again", async () => {
  const { page } = await web.openSignedIn();
  await page.setInputFiles(chooser, [
    { name: "a.bin", mimeType: "", buffer: randomBytes(10) },
    { name: "b.bin", mimeType: "", buffer: randomBytes(20) },
  ]);
  const pill = page.getByRole("button", { name: "Uploads · 2 of 2 done" });
  await pill.waitFor();
  expect(await page.locator(".upload").count()).toBe(0);
  await pill.click();
  await page.locator(".upload").first().waitFor();
  expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).toBe("Collapse");
  await page.setInputFiles(chooser, { name: "c.bin", mimeType: "", buffer: randomBytes(30) });
  // Neither pointed at nor in use any more.
  await page.evaluate("document.activeElement.blur()");
  await page.mouse.move(10, 10);
  await page.getByRole("button", { name: "Uploads · 3 of 3 done" }).waitFor();
  await page.getByRole("button", { name: "Clear finished" }).click();
  await page.locator(".uploads").waitFor({ state: "detached" });
});

test("while uploads run it is a pill with their progress, and what lies beneath can be pressed", async () => {
  const { disk, page } = await web.openSignedIn({
    fill: (one) => {
      for (let at = 0; at < 40; at++) one.add({ name: `${at}.txt` }, Buffer.from("x"));
    },
  });
  const { beforePart, release } = hold(0);
  disk.beforePart = beforePart;
  await page.setInputFiles(
    chooser,
    Array.from({ length: 4 }, (_, at) => ({ name: `slow ${at}`, mimeType: "", buffer: randomBytes(part) })),
  );
  await page.locator('[data-phase="sending"]').first().waitFor();
  const beneath = page.getByRole("button", { name: "Actions for 7.txt" });
  const panel = await page.locator(".uploads").boundingBox();
  const { x, y, width, height } = (await beneath.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  expect(panel && x + width / 2 > panel.x && y + height / 2 > panel.y, "the test needs a row beneath").toBe(
    true,
  );
  await page.getByRole("button", { name: /^Uploads · 0 of 4 done · \d+%$/ }).waitFor();
  // Where it is, not scrolled to where it could be pressed.
  await page.mouse.click(x + width / 2, y + height / 2);
  await page.getByRole("menuitem", { name: "Rename" }).waitFor();
  await page.keyboard.press("Escape");
  release();
  await pill(page, "Uploads · 4 of 4 done").waitFor();
});

test("a failure opens it, and stays to be seen on the pill", async () => {
  const { disk, page } = await web.openSignedIn();
  const { beforePart, release } = hold(0);
  disk.beforePart = beforePart;
  await page.setInputFiles(chooser, { name: "late.bin", mimeType: "", buffer: randomBytes(part) });
  await page.getByRole("button", { name: /^Uploads · 0 of 1 done · \d+%$/ }).waitFor();
  disk.refuseComplete.push(10_009);
  release();
  await page.locator('[data-phase="failed"]').waitFor();
  const failed = pill(page, "Uploads · 0 of 1 done · 1 failed");
  await failed.waitFor();
  await failed.click();
  await page.getByRole("button", { name: "Retry late.bin" }).click();
  await page.getByRole("table").getByText("late.bin").waitFor();
});

test("at the end of a list the last row lies above it, open or not; collapsed by hand it is a pill at once", async () => {
  const { page } = await web.openSignedIn({
    fill: (one) => {
      for (let at = 0; at < 60; at++) one.add({ name: `${at}.txt` }, Buffer.from("x"));
    },
  });
  await page.setInputFiles(
    chooser,
    Array.from({ length: 8 }, (_, at) => ({ name: `a${at}`, mimeType: "", buffer: randomBytes(10) })),
  );
  await page.getByText("8 of 8 done").waitFor();
  const expectFree = async (): Promise<void> => {
    await expect
      .poll(async () => {
        await page.evaluate("scrollTo(0, document.body.scrollHeight)");
        const last = await page.getByRole("row").filter({ hasText: "a7" }).boundingBox();
        const panel = await page.locator(".uploads").boundingBox();
        return last !== null && panel !== null && last.y + last.height <= panel.y;
      })
      .toBe(true);
  };
  await page.locator(".uploads").hover();
  await expectFree();
  await page.getByRole("button", { name: "Collapse" }).click();
  await pill(page, "Uploads · 8 of 8 done").waitFor();
  expect(await page.evaluate("document.activeElement.className")).toBe("pill-open");
  await expectFree();
});
