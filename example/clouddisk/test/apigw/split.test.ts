import { request } from "node:http";
import { MprpcApplication, RpcProvider, silentLogger } from "mprpc";
import { expect, onTestFinished, test } from "vitest";
import { DownloadService } from "../../src/download/gen/download.js";
import { UploadService } from "../../src/upload/gen/upload.js";
import { type Disk, password, startDisk } from "../support/disk.js";
import { api, at } from "./support.js";

/** A disk whose servers of bodies are elsewhere: at addresses this test makes up. */
async function startSplit(): Promise<Disk> {
  const disk = await startDisk({ services: ["dbproxy", "account", "apigw"] });
  const app = await MprpcApplication.init(
    ["node", "bodies", ...disk.argv().filter((flag) => flag.startsWith("--registry="))],
    {
      env: {},
      log: silentLogger,
    },
  );
  const provider = new RpcProvider(app);
  const entry = (kind: string) => async (asked: { username: string }) => ({
    code: 0,
    entry: `http://${kind}.test:81`,
    ticket: `${kind}-ticket-of-${asked.username}`,
  });
  provider.notifyService(UploadService, { uploadEntry: entry("upload") });
  provider.notifyService(DownloadService, {
    downloadEntry: entry("download"),
    digest: async () => ({ code: 0 }),
  });
  await provider.start();
  onTestFinished(async () => {
    await provider.shutdown();
    await app.close();
  });
  return disk;
}

/** Sends the head alone, and a body only when the server asks for it. */
function withExpect(
  url: string,
  headers: Record<string, string>,
): Promise<{ status: number; asked: boolean }> {
  return new Promise((resolve, reject) => {
    let asked = false;
    const sent = request(url, {
      method: "POST",
      headers: { ...headers, expect: "100-continue", "content-length": "5000000" },
    });
    sent.on("continue", () => {
      asked = true;
    });
    sent.on("response", (reply) => {
      resolve({ status: reply.statusCode ?? 0, asked });
      sent.destroy();
    });
    sent.on("error", reject);
    sent.flushHeaders();
  });
}

test("routes of bodies answer with 307 to where they are, and a ticket in place of the token", async () => {
  const disk = await startSplit();
  const { name, token, headers } = await disk.user();
  const ask = async (method: string, path: string, init: RequestInit = {}) => {
    const reply = await fetch(disk.url + path, { method, headers, redirect: "manual", ...init });
    return [reply.status, reply.headers.get("location")];
  };
  const upload = `http://upload.test:81`;
  const ticket = `ticket=upload-ticket-of-${name}`;
  for (const spelling of ["mpupload", "mupload"]) {
    for (const step of ["init", "uppart", "complete", "cancel"]) {
      expect(await ask("POST", `/file/${spelling}/${step}?uploadid=1&index=0`)).toEqual([
        307,
        `${upload}/file/${spelling}/${step}?uploadid=1&index=0&${ticket}`,
      ]);
    }
    expect(await ask("GET", `/file/${spelling}/status?uploadid=1`)).toEqual([
      307,
      `${upload}/file/${spelling}/status?uploadid=1&${ticket}`,
    ]);
  }
  expect(await ask("POST", "/file/upload", { body: "x".repeat(100) })).toEqual([
    307,
    `${upload}/file/upload?${ticket}`,
  ]);
  expect(await ask("GET", "/api/uploads")).toEqual([307, `${upload}/api/uploads?${ticket}`]);
  // Sent without waiting for an answer: thrown away, and the reply still arrives.
  expect(await ask("POST", "/file/upload", { body: new Uint8Array(8_000_000) })).toEqual([
    307,
    `${upload}/file/upload?${ticket}`,
  ]);
  expect(await ask("GET", `/file/download?filehash=ab&username=${name}&token=${token}`)).toEqual([
    307,
    `http://download.test:81/file/download?filehash=ab&ticket=download-ticket-of-${name}`,
  ]);
  expect(await ask("HEAD", "/file/download?filehash=ab")).toEqual([
    307,
    `http://download.test:81/file/download?filehash=ab&ticket=download-ticket-of-${name}`,
  ]);
  // The token in the form, as the course projects had it.
  const body = new URLSearchParams({ username: name, token, filehash: "ab", filename: "a" });
  expect(await ask("POST", "/file/fastupload", { headers: {}, body })).toEqual([
    307,
    `${upload}/file/fastupload?${ticket}`,
  ]);
  expect(await ask("GET", "/file/upload", { headers: {} })).toEqual([303, "/"]);
});

test("sign-in and /api/me tell the addresses", async () => {
  const disk = await startSplit();
  const user = await disk.user("zhang");
  const signedIn = await disk.post("/user/signin", { username: "zhang", password });
  expect(signedIn.data).toMatchObject({
    UploadEntry: "http://upload.test:81",
    DownloadEntry: "http://download.test:81",
  });
  expect((await api(disk, user)("GET", "/api/me")).body).toMatchObject({
    uploadEntry: "http://upload.test:81",
    uploadTicket: "upload-ticket-of-zhang",
    downloadEntry: "http://download.test:81",
    downloadTicket: "download-ticket-of-zhang",
  });
});

test("a body is not asked for before the redirect, nor from who may not send one", async () => {
  const disk = await startSplit();
  const { headers } = await disk.user();
  const type = { "content-type": "application/octet-stream" };
  const url = `${disk.url}/file/mpupload/uppart?uploadid=1&index=0`;
  expect(await withExpect(url, { ...type, ...headers })).toEqual({ status: 307, asked: false });
  expect(await withExpect(url, type)).toEqual({ status: 401, asked: false });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  expect(await withExpect(url, { ...form, ...headers })).toEqual({ status: 307, asked: false });
});

test("without a server of bodies the client is told to come back", async () => {
  const disk = await startDisk({ services: ["dbproxy", "account", "apigw"] });
  const { headers } = await disk.user();
  const reply = await fetch(`${disk.url}/file/download?filehash=ab`, { headers, redirect: "manual" });
  expect([reply.status, reply.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await reply.json()).toMatchObject({ code: 10002 });
  const cookie = headers.authorization.replace("Bearer ", "clouddisk_token=");
  expect(await at(disk, "/file/mpupload/complete?uploadid=1", { headers: { cookie } })).toMatchObject({
    status: 403,
    body: { code: 10011 },
  });
});
