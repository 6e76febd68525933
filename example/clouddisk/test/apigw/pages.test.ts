import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { silentLogger } from "mprpc";
import { expect, onTestFinished, test } from "vitest";
import { addPages } from "../../src/apigw/pages.js";
import { createHttp } from "../../src/common/http.js";
import type { Host } from "../../src/common/part.js";
import { fakeHost } from "./fake-host.js";

async function serve(folder: string | undefined, parts: Partial<Host> = {}) {
  const host = fakeHost(parts);
  const http = await createHttp(host, silentLogger);
  onTestFinished(() => http.close());
  await http.register((pages) => addPages(pages, host, folder));
  return async (url: string) => {
    const { statusCode, headers, body } = await http.inject({ url });
    return { statusCode, headers, body };
  };
}

async function webFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "clouddisk-web-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, "assets"));
  await writeFile(path.join(folder, "index.html"), "<!doctype html><title>disk</title>");
  await writeFile(path.join(folder, "assets/index-4f3a.js"), "export {};");
  await writeFile(path.join(folder, "favicon.svg"), "<svg/>");
  return folder;
}

test("the page is asked for each time, its hashed assets never again", async () => {
  const get = await serve(await webFolder());
  for (const url of ["/", "/user/signup", "/user/signin"]) {
    const page = await get(url);
    expect([page.statusCode, page.body]).toEqual([200, "<!doctype html><title>disk</title>"]);
    expect(page.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-cache",
      "cross-origin-opener-policy": "same-origin",
    });
    expect(page.headers.etag).toBeDefined();
  }
  const asset = await get("/assets/index-4f3a.js");
  expect(asset.headers).toMatchObject({
    "content-type": expect.stringMatching(/^(text|application)\/javascript/),
    "cache-control": "public, max-age=31536000, immutable",
    "content-security-policy": expect.stringContaining("'wasm-unsafe-eval'"),
  });
  expect((await get("/favicon.svg")).headers["cache-control"]).toBe("no-cache");
});

test.each([
  "/../package.json",
  "/%2e%2e/package.json",
  "/assets/..%2f..%2fpackage.json",
  "/assets/",
  "/index",
])("nothing else is served: %s", async (url) => {
  const get = await serve(await webFolder());
  expect((await get(url)).statusCode).toBeGreaterThanOrEqual(400);
});

test("scripts come from here alone; in one process so does everything else", async () => {
  const together = await serve(await webFolder(), { services: ["upload", "download", "apigw"] });
  const policy = String((await together("/")).headers["content-security-policy"]);
  expect(policy).toContain("connect-src 'self' blob:;");
  expect(policy).not.toContain("'unsafe-inline'");
  const split = await serve(await webFolder(), { services: ["apigw"] });
  const elsewhere = String((await split("/")).headers["content-security-policy"]);
  expect(elsewhere).toContain("connect-src 'self' http: https: blob:;");
  // For large files of several that are downloaded together.
  expect(elsewhere).toContain("frame-src 'self' http: https: blob:;");
  expect(policy).toContain("frame-src 'self' blob:;");
});

test("a page that is not built says how to build it", async () => {
  const get = await serve(undefined);
  const page = await get("/");
  expect([page.statusCode, page.headers["content-type"]]).toEqual([503, "text/html; charset=utf-8"]);
  expect(page.body).toMatch(/not built.*npm run build/s);
});
