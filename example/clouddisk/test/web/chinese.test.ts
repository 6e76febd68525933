import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { chooser, Web } from "./support.js";

/** The page in Chinese: no English is left, whatever the disk answers. */

const web = new Web();
const chinese = { locale: "zh-CN" };

/** Everything that is read or read out, without what the test itself put there. */
async function textsOf(page: Page): Promise<string[]> {
  const texts = await page.locator("body").evaluate((body) => {
    interface Element {
      tagName: string;
      innerText?: string;
      getAttribute(name: string): string | null;
      querySelectorAll(selector: string): Iterable<Element>;
    }
    const root = body as unknown as Element;
    const named = [...root.querySelectorAll("*")].flatMap((one) =>
      ["aria-label", "title", "placeholder", "alt", "aria-valuetext"].map((name) => one.getAttribute(name)),
    );
    return [root.innerText ?? "", ...named].filter((text) => text !== null && text !== undefined);
  });
  return texts.flatMap((text) => text.split("\n"));
}

async function expectChinese(page: Page, own: RegExp): Promise<void> {
  const english = (await textsOf(page)).filter((text) =>
    /[a-z]{3}/i.test(text.replace(own, "").replace(/SHA-256|Switch to English/g, "")),
  );
  expect(english).toEqual([]);
}

test("a new visitor reads Chinese, and is told in Chinese what a user name and a password need", async () => {
  const { disk, page } = await web.open(chinese);
  expect(await page.locator("html").getAttribute("lang")).toBe("zh-CN");
  await expect.poll(() => page.title()).toBe("登录 · 云盘");
  await page.getByRole("button", { name: "登录" }).click();
  await page.getByRole("alert").getByText("请输入用户名。").waitFor();
  await page.getByRole("button", { name: "还没有账号？立即注册" }).click();
  await page.getByLabel("用户名").fill("ab");
  await page.getByLabel("密码", { exact: true }).fill("1234");
  const submit = page.getByRole("button", { name: "注册", exact: true });
  await submit.click();
  await page.getByRole("alert").getByText("用户名须为").waitFor();
  expect(await page.getByLabel("用户名").getAttribute("aria-invalid")).toBe("true");
  await page.getByLabel("用户名").fill("李雷");
  await submit.click();
  await page.getByRole("alert").getByText("密码须为 5 到 128 个字符。").waitFor();
  expect(await page.evaluate("document.activeElement.id")).toBe("password");
  await expectChinese(page, /^$/);
  expect(disk.calls).toEqual(["GET /api/me", "GET /api/signup"]);
  await page.getByLabel("密码", { exact: true }).fill("12345");
  await submit.click();
  await page.getByRole("navigation", { name: "主导航" }).waitFor();
});

test("a refusal at the sign-in is said in Chinese", async () => {
  const { disk, page } = await web.open(chinese);
  await page.getByLabel("用户名").fill("ann");
  await page.getByLabel("密码", { exact: true }).fill("12345");
  const refusals = [
    [401, 10_004, "the user name or the password is wrong", "用户名或密码错误。"],
    [
      429,
      10_010,
      "too many failed sign-ins with this user name (account.failures is 10 in 15 minutes); try again in 14 min",
      "登录失败次数过多，请 14 分钟后再试。",
    ],
    [403, 10_011, "the cookie is taken from the disk's own pages only: x", "当前地址不是云盘自己的地址"],
    [
      503,
      10_002,
      "too many sign-ins at once; try again in a few seconds",
      "同时登录的人太多，请几秒后再试。",
    ],
    [500, 10_002, "the server failed; its log says why", "云盘暂时出现问题，请稍后再试。"],
  ] as const;
  for (const [status, code, msg, text] of refusals) {
    disk.refuse.set("POST /user/signin", { status, code, msg });
    await page.getByRole("button", { name: "登录" }).click();
    await page.getByRole("alert").getByText(text).waitFor();
    await expectChinese(page, /^$/);
  }
});

test("every view, dialog and refusal is Chinese once one is signed in", async () => {
  const own = /ann|a\.bin|b\.txt|127\.0\.0\.1:\d+|account|apigw|dbproxy|download|transfer|upload/g;
  const { disk, page } = await web.openSignedIn({
    ...chinese,
    fill: (one) => {
      one.add({ name: "b.txt" }, Buffer.from("文字"));
      one.add({ name: "文件夹" });
    },
  });
  await expectChinese(page, own);
  const actions = page.getByRole("button", { name: "b.txt 的操作" });
  await actions.click();
  await expectChinese(page, own);
  await page.getByRole("menuitem", { name: "重命名" }).click();
  disk.refuse.set("PATCH /api/files/:id", {
    status: 400,
    code: 10_001,
    msg: "the file name may not contain / or \\",
  });
  await page.getByRole("button", { name: "保存" }).click();
  await page.getByRole("alert").getByText("名称不能包含 / 或 \\。").waitFor();
  await expectChinese(page, own);
  await page.keyboard.press("Escape");
  await actions.click();
  await page.getByRole("menuitem", { name: "移动" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "文件夹" }).waitFor();
  await expectChinese(page, own);
  await page.keyboard.press("Escape");
  await page.getByRole("table").getByText("b.txt").click();
  await page.getByText("文字").waitFor();
  await expectChinese(page, own);
  await page.keyboard.press("Escape");

  const msg = "the file is larger than 1073741824 bytes ([upload] filemax)";
  disk.refuse.set("POST /file/mpupload/init", { status: 413, code: 10_009, msg });
  await page.setInputFiles(chooser, { name: "a.bin", mimeType: "", buffer: Buffer.from("1") });
  await page.getByText("失败：文件超过云盘允许的最大值 1 GB。", { exact: true }).waitFor();
  await expectChinese(page, own);
  for (const view of ["回收站", "服务", "用户"]) {
    await page.getByRole("link", { name: view }).click();
    await page.getByRole("heading", { name: view, level: 1 }).waitFor();
    await expectChinese(page, own);
  }
  await page.getByRole("button", { name: "Switch to English" }).click();
  await page.getByRole("heading", { name: "New user" }).waitFor();
  await expect.poll(() => page.locator("html").getAttribute("lang")).toBe("en");
});
