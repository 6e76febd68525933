import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { password } from "../support/disk.js";
import { FakeDisk } from "./fake-disk.js";

/** The page in a real browser, before a disk that keeps the HTTP contract in memory. */

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((file) => existsSync(file));
const sources = fileURLToPath(new URL("../../web", import.meta.url));
const kept = fileURLToPath(new URL("../../../../node_modules/.cache/clouddisk-web", import.meta.url));

let browser: Promise<Browser> | undefined;

/** One for all test files of this process; it ends with it. Each test has a context of its own. */
export function theBrowser(): Promise<Browser> {
  browser ??= startBrowser();
  return browser;
}

async function startBrowser(): Promise<Browser> {
  if (executablePath === undefined) {
    throw new Error("these tests need chromium: apt-get install --no-install-recommends chromium");
  }
  return chromium.launch({
    executablePath,
    args: ["--disable-gpu", "--no-sandbox", "--disable-quic", "--disable-background-networking"],
  });
}

async function hashOfSources(): Promise<string> {
  const hash = createHash("sha256");
  const lock = fileURLToPath(new URL("../../../../package-lock.json", import.meta.url));
  const found = await readdir(sources, { recursive: true, withFileTypes: true });
  const files = found.filter((one) => one.isFile()).map((one) => path.join(one.parentPath, one.name));
  for (const file of [lock, ...files.sort()]) hash.update(file).update(await readFile(file));
  return hash.digest("hex").slice(0, 16);
}

let page: Promise<string> | undefined;

/** The built page; one build does for all test files, until a source changes. */
async function buildPage(): Promise<string> {
  const folder = path.join(kept, await hashOfSources());
  if (existsSync(folder)) return folder;
  await mkdir(kept, { recursive: true });
  const made = await mkdtemp(path.join(kept, "made-"));
  try {
    await build({ root: sources, logLevel: "warn", build: { outDir: made, emptyOutDir: true } });
    // Whoever builds it at the same time has made the same.
    await rename(made, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  for (const name of await readdir(kept)) {
    const old = !name.startsWith("made-") && name !== path.basename(folder);
    if (old) await rm(path.join(kept, name), { recursive: true, force: true });
  }
  return folder;
}

export interface Opened {
  disk: FakeDisk;
  page: Page;
}

/** Each test has a disk and a visitor of its own. */
export class Web {
  #browser: Browser | undefined;
  #pageFolder = "";
  #folder = "";

  constructor() {
    beforeAll(async () => {
      this.#folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-test-"));
      page ??= buildPage();
      this.#pageFolder = await page;
      this.#browser = await theBrowser();
    }, 120_000);
    afterAll(async () => {
      if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
    });
  }

  /** The page, nobody signed in. The test fails of an error in it, or of something its policy forbids. */
  async open(options: BrowserContextOptions = {}): Promise<Opened> {
    if (this.#browser === undefined) throw new Error("before the browser has started");
    const disk = new FakeDisk(this.#pageFolder);
    const url = await disk.start();
    const context = await this.#browser.newContext({
      locale: "en",
      viewport: { width: 1100, height: 760 },
      ...options,
    });
    const page = await context.newPage();
    // Beneath the test's own limit, so that a failure names what was waited for.
    page.setDefaultTimeout(30_000);
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (/Content Security Policy/i.test(message.text())) problems.push(message.text());
    });
    onTestFinished(async () => {
      await context.close();
      await disk.stop();
      expect(problems).toEqual([]);
    });
    await page.goto(url);
    return { disk, page };
  }

  /** The same with somebody signed in, and what the disk holds then. */
  async openSignedIn(
    options: BrowserContextOptions & { fill?: (disk: FakeDisk) => void } = {},
  ): Promise<Opened> {
    const { fill, ...rest } = options;
    const opened = await this.open(rest);
    fill?.(opened.disk);
    opened.disk.signIn("ann");
    await opened.page.reload();
    await opened.page.locator('.browser[aria-busy="false"]').waitFor();
    return opened;
  }

  /** A file for a chooser; the name may have folders. */
  async file(name: string, body: Buffer | string): Promise<string> {
    const whole = path.join(this.#folder, name);
    await mkdir(path.dirname(whole), { recursive: true });
    await writeFile(whole, body);
    return whole;
  }

  /** A folder for a chooser, empty ones in it too: their names end with a slash. */
  async tree(name: string, files: Record<string, Buffer | string>): Promise<string> {
    const whole = path.join(await mkdtemp(path.join(this.#folder, "tree-")), name);
    await mkdir(whole, { recursive: true });
    for (const [inside, body] of Object.entries(files)) {
      const target = path.join(whole, inside);
      await mkdir(inside.endsWith("/") ? target : path.dirname(target), { recursive: true });
      if (!inside.endsWith("/")) await writeFile(target, body);
    }
    return whole;
  }
}

/** As a file manager does it: the browser reads the files and folders itself. */
export async function drop(page: Page, files: string[], at = { x: 600, y: 400 }): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await session.send("Input.dispatchDragEvent", { type, ...at, data });
  }
  await session.detach();
}

/** Parts from this one on wait until they are let go. */
export function hold(from: number): { beforePart: (index: number) => Promise<void>; release: () => void } {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { beforePart: (index) => (index < from ? Promise.resolve() : held), release: () => release() };
}

export const chooser = 'input[data-upload="files"]';
export const folderChooser = 'input[data-upload="folder"]';

export async function signUp(page: Page): Promise<void> {
  await page.getByRole("button", { name: "New here? Create an account" }).click();
  await page.getByLabel("User name").fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}
