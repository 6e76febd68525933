import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { type ServiceName, serviceNames } from "../../src/common/part.js";
import { confText } from "../support/conf-text.js";
import { type Disk, DiskProcess, password, startDisk, type User } from "../support/disk.js";

async function uploadFile(url: string, user: User, content: Buffer, traceId: string): Promise<void> {
  const form = new FormData();
  form.append("file", new Blob([content]), "photo.jpg");
  const headers = { ...user.headers, "x-trace-id": traceId };
  const reply = await fetch(`${url}/file/upload`, { method: "POST", body: form, headers });
  expect(await reply.json()).toMatchObject({ code: 0 });
}

async function downloadFile(url: string, user: User, content: Buffer, traceId: string): Promise<Buffer> {
  const filehash = createHash("sha256").update(content).digest("hex");
  const headers = { ...user.headers, "x-trace-id": traceId };
  const reply = await fetch(`${url}/file/download?filehash=${filehash}`, { headers });
  expect(reply.status).toBe(200);
  expect(reply.headers.get("x-trace-id")).toBe(traceId);
  return Buffer.from(await reply.arrayBuffer());
}

/** The services whose log has a line with this id. */
function traced(disk: Disk, traceId: string): ServiceName[] {
  const lines = disk.log.lines.filter(({ fields }) => fields.traceId === traceId);
  return serviceNames.filter((name) => lines.some(({ fields }) => fields.service === name));
}

test("all six in one process: a file goes up and comes down", async () => {
  const disk = await startDisk();
  const user = await disk.user();
  const content = randomBytes(100_000);
  await uploadFile(disk.url, user, content, "trace-up-1");
  expect(await downloadFile(disk.url, user, content, "trace-down-1")).toEqual(content);
  expect(disk.node.httpAddress("upload")).toBe(disk.url);
});

test("each service in a node of its own: the trace id of a request is in the log of every one it went through", async () => {
  const disk = await startDisk({ services: [] });
  for (const name of serviceNames) await disk.startNode([name]);
  expect(disk.urlOf("upload")).not.toBe(disk.url);
  const user = await disk.user();
  const content = randomBytes(100_000);
  // A session that upload has not seen yet is looked up, with the same id.
  await uploadFile(disk.urlOf("upload"), user, content, "trace-up-2");
  await vi.waitFor(() => {
    expect(traced(disk, "trace-up-2")).toEqual(["dbproxy", "account", "transfer", "upload"]);
  });
  expect(await downloadFile(disk.urlOf("download"), user, content, "trace-down-2")).toEqual(content);
  await vi.waitFor(() => {
    expect(traced(disk, "trace-down-2")).toEqual(["dbproxy", "account", "download"]);
  });
  const headers = { ...user.headers, "x-trace-id": "trace-query-2" };
  await fetch(`${disk.url}/file/query`, {
    method: "POST",
    headers,
    body: new URLSearchParams({ limit: "5" }),
  });
  await vi.waitFor(() => expect(traced(disk, "trace-query-2")).toEqual(["dbproxy", "account", "apigw"]));
  const secrets = JSON.stringify(disk.log.lines);
  expect(secrets).not.toContain(user.token);
  expect(secrets).not.toContain(password);
});

test("each service starts from a conf of its own", async () => {
  const disk = await startDisk({ services: [] });
  const common = {
    registry: `file:${disk.dataFolder}/registry?poll=100ms`,
    "clouddisk.data": disk.dataFolder,
  };
  await Promise.all(
    serviceNames.map(async (name) => {
      const port =
        name === "apigw" || name === "upload" || name === "download" ? { [`${name}.port`]: "0" } : {};
      const own: Record<string, string> = { ...common, ...port };
      const file = path.join(disk.dataFolder, `${name}.conf`);
      await writeFile(file, confText(own));
      const started = new DiskProcess([name], ["-i", file]);
      disk.processes.push(started);
      await started.ready;
    }),
  );
  const user = await disk.user();
  const content = randomBytes(100_000);
  await uploadFile(disk.urlOf("upload"), user, content, "trace-up-3");
  expect(await downloadFile(disk.urlOf("download"), user, content, "trace-down-3")).toEqual(content);
});

test("a service that is killed and started again is found by the others", async () => {
  const disk = await startDisk({ services: serviceNames.filter((name) => name !== "account") });
  const first = await disk.startProcess(["account"]);
  const user = await disk.user("zhang");
  await first.kill("SIGKILL");
  const second = disk.startProcess(["account"]);
  // Asked while nobody is there: waits for the one that starts. Only a call that went out on the connection of the
  // killed one, before its end was seen here, is told to try again.
  const signedIn = await disk.signin("zhang", password).catch((error: Error) => {
    expect(error.message).toContain("try again");
    return disk.signin("zhang", password);
  });
  expect(signedIn.token).not.toBe(user.token);
  await second;
});

test("services that share no HTTP port have one each", async () => {
  const disk = await startDisk({ services: ["dbproxy", "account", "transfer", "upload", "download"] });
  const { node } = disk;
  expect([...node.httpAddresses.keys()].sort()).toEqual(["download", "upload"]);
  expect(node.httpAddress("upload")).not.toBe(node.httpAddress("download"));
  expect(() => node.httpAddress("apigw")).toThrow("apigw has no HTTP server in this process");
});

test("stopping finishes the request that is under way", async () => {
  const disk = await startDisk();
  const user = await disk.user();
  const { url } = disk;
  const request = http.request(`${url}/file/upload`, {
    method: "POST",
    headers: {
      ...user.headers,
      "content-type": "multipart/form-data; boundary=boundary",
      expect: "100-continue",
    },
  });
  request.flushHeaders();
  // The server has the request, and asks for its body.
  await once(request, "continue");
  const stopped = disk.node.stop();
  const head = '--boundary\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n';
  request.end(`${head}${"x".repeat(100_000)}\r\n--boundary--\r\n`);
  const [reply] = (await once(request, "response")) as [http.IncomingMessage];
  expect(JSON.parse(await text(reply))).toMatchObject({ code: 0 });
  await stopped;
  await expect(fetch(url)).rejects.toThrow();
});
