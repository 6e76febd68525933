import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm, symlink } from "node:fs/promises";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { createHttp } from "../../src/common/http.js";
import type { Host } from "../../src/common/part.js";
import { Staging } from "../../src/common/staging.js";
import { tracedLogger } from "../../src/common/trace.js";
import { DownloadServiceStub } from "../../src/download/gen/download.js";
import { DatabaseProgress } from "../../src/progress/database-progress.js";
import type { Pace } from "../../src/upload/body.js";
import { addUploadRoutes } from "../../src/upload/routes.js";
import { deferred } from "../common/deferred.js";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { Client, sha256 } from "./support.js";

const MiB = 1_048_576;
const boundary = "----of-this-test";
const formType = { "content-type": `multipart/form-data; boundary=${boundary}` };

let disk: Disk;
let user: User;
let client: Client;
beforeAll(async () => {
  disk = await startDisk({ keep: true, conf: { "upload.part": "8MiB", "upload.filemax": "16MiB" } });
  user = await disk.user();
  client = new Client(disk, user);
});
afterAll(() => disk.stop());

function formHead(name: string): string {
  const field = `Content-Disposition: form-data; name="file"; filename="${name}"`;
  return `--${boundary}\r\n${field}\r\nContent-Type: text/plain\r\n\r\n`;
}

const formEnd = `\r\n--${boundary}--\r\n`;

/** The upload routes on a server of their own: a pace for its clients, and another host's database. */
async function serve({ pace, host = disk.node.host }: { pace?: Pace; host?: Host }): Promise<string> {
  const http = await createHttp(host, tracedLogger(disk.log, "upload"));
  onTestFinished(() => http.close());
  await addUploadRoutes(http, {
    host,
    staging: new Staging(host.settings.dataFolder),
    progress: new DatabaseProgress(host.database),
    download: new DownloadServiceStub(host.channel),
    log: disk.log,
    submit: () => {},
    ...(pace === undefined ? {} : { pace }),
  });
  await http.listen({ host: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${(http.server.address() as AddressInfo).port}`;
}

interface Sending {
  sent: ClientRequest;
  reply: Promise<{ status: number | undefined; body: unknown; headers: IncomingMessage["headers"] }>;
  /** When the server has ended the connection. */
  closed: Promise<unknown>;
}

/** A request whose body the caller writes. */
function send(url: string, headers: Record<string, string> = {}, agent?: Agent): Sending {
  const options = { method: "POST", headers: { ...user.headers, ...headers } };
  const sent = request(url, agent === undefined ? options : { ...options, agent });
  sent.on("error", () => {});
  const read = async () => {
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response) text += chunk;
    return { status: response.statusCode, body: JSON.parse(text) as unknown, headers: response.headers };
  };
  const closed = once(sent, "socket").then(([socket]) => once(socket, "close"));
  const reply = read();
  for (const end of [closed, reply]) end.catch(() => {});
  return { sent, reply, closed };
}

/** All of it at once: after an early reply Node's client does not say any more when there is room. */
function write(sent: ClientRequest, ...chunks: Array<Buffer | string>): void {
  for (const chunk of chunks) sent.write(chunk);
  sent.end();
}

async function partUrl(base = disk.url): Promise<string> {
  const id = await client.begin(randomBytes(16 * MiB), `part-${randomBytes(4).toString("hex")}`);
  return `${base}/file/mpupload/uppart?uploadid=${id}&index=0`;
}

async function fullDiskUrl(): Promise<string> {
  const url = await partUrl();
  const place = new Staging(disk.dataFolder).parts(new URL(url).searchParams.get("uploadid") ?? "");
  await rm(place);
  await symlink("/dev/full", place);
  return url;
}

const megabytes = (count: number): Buffer[] => Array.from({ length: count }, () => Buffer.alloc(MiB, 1));

it.each<
  [what: string, status: number, url: () => Promise<string>, type: object, body: Array<Buffer | string>]
>([
  ["a part for a full disk", 507, fullDiskUrl, {}, megabytes(8)],
  ["a part that is too long", 400, partUrl, {}, megabytes(24)],
  [
    "a whole file that is too large",
    413,
    async () => `${disk.url}/file/upload?filename=x`,
    {},
    megabytes(40),
  ],
  [
    "a form that is too large",
    413,
    async () => `${disk.url}/file/upload`,
    formType,
    [formHead("x"), ...megabytes(40), formEnd],
  ],
  [
    "a form with two files",
    400,
    async () => `${disk.url}/file/upload`,
    formType,
    [formHead("x"), "one\r\n", formHead("y"), ...megabytes(10), formEnd],
  ],
])(
  "%s: refused in the middle, all of it is taken, and the connection goes on",
  async (_what, status, url, type, body) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const { sent, reply } = send(await url(), { ...type }, agent);
    const written = once(sent, "finish");
    write(sent, ...body);
    expect(await reply).toMatchObject({ status, headers: { connection: "keep-alive" } });
    await written;
    const next = send(`${disk.url}/file/upload?filename=next`, {}, agent);
    next.sent.end("next");
    expect(await next.reply).toMatchObject({ status: 200, body: { code: 0 } });
    expect(next.sent.reusedSocket).toBe(true);
    expect(await client.tempFiles()).toEqual([]);
  },
);

const pace: Pace = { periodMs: 150, minBytes: 1000 };
const tooSlow = {
  status: 408,
  body: { code: 10_001, msg: "the body comes too slowly: at least 1000 bytes must come in 0.15 s" },
  headers: { connection: "close" },
};

it.each<[kind: string, route: string | undefined, type: object, begin: string]>([
  ["a part", undefined, {}, "x"],
  ["a whole file", "/file/upload?filename=slow", {}, "x"],
  ["a form", "/file/upload", formType, formHead("slow")],
])(
  "%s that comes a byte now and then, or stops, is refused by name of the limit; nothing stays",
  async (_kind, route, type, begin) => {
    const base = await serve({ pace });
    const url = route === undefined ? await partUrl(base) : base + route;
    const [dripping, silent] = [
      send(url, { ...type }),
      send(route === undefined ? await partUrl(base) : url, { ...type }),
    ];
    for (const { sent } of [dripping, silent]) sent.write(begin);
    const drip = setInterval(() => dripping.sent.write("x"), 10);
    onTestFinished(() => clearInterval(drip));
    const quick = send(`${base}/file/upload?filename=quick`);
    quick.sent.end("quick");
    expect(await quick.reply).toMatchObject({ status: 200 });
    for (const { reply, closed } of [dripping, silent]) {
      expect(await reply).toMatchObject(tooSlow);
      await closed;
    }
    await expect.poll(() => client.tempFiles()).toEqual([]);
    if (route !== undefined) return;
    // Nobody has to wait for a claim: the next one may write the part.
    const again = async () => {
      const next = send(url);
      write(next.sent, ...megabytes(8));
      return next.reply;
    };
    await expect.poll(again).toMatchObject({ status: 200, body: { code: 0 } });
  },
);

it("a server that is slow itself does not blame the client", async () => {
  const asked = deferred();
  const release = deferred();
  const { host } = disk.node;
  const run: Host["database"]["run"] = async (name, ...more) => {
    if (name === "user.get") {
      asked.resolve();
      await release.promise;
    }
    return host.database.run(name, ...more);
  };
  const base = await serve({ pace, host: { ...host, database: { run } as Host["database"] } });
  const { sent, reply } = send(`${base}/file/upload?filename=held`);
  write(sent, ...megabytes(4));
  await asked.promise;
  const untilMs = performance.now() + 3 * pace.periodMs;
  await expect.poll(() => performance.now()).toBeGreaterThan(untilMs);
  release.resolve();
  expect(await reply).toMatchObject({ status: 200 });
});

it.each<[kind: string, route: string, type: object, begin: string]>([
  ["a whole file", "/file/upload?filename=cut", {}, "x"],
  ["a form", "/file/upload", formType, formHead("cut")],
])(
  "%s whose client goes away leaves nothing, and is no failure of the server",
  async (_kind, route, type, begin) => {
    const base = await serve({});
    const { sent } = send(base + route, { ...type, "x-trace-id": `cut-${route.length}-of-test` });
    sent.write(begin.padEnd(100_000, "x"));
    await expect.poll(() => client.tempFiles()).toHaveLength(1);
    sent.destroy();
    await expect.poll(() => client.tempFiles()).toEqual([]);
    const lines = () =>
      disk.log.lines.filter(
        ({ fields }) => fields.traceId === `cut-${route.length}-of-test` && fields.method === "POST",
      );
    await expect.poll(lines).toMatchObject([{ level: "info", text: "request", fields: { aborted: true } }]);
  },
);

it("a form without its end is no file", async () => {
  const { sent, reply } = send(`${disk.url}/file/upload`, formType);
  write(sent, formHead("endless"), "all of it but the last line");
  expect(await reply).toMatchObject({ status: 400, body: { code: 10_001 } });
  expect(await client.rows(sha256("all of it but the last line"))).toBe(0);
  await expect.poll(() => client.tempFiles()).toEqual([]);
});

it("fields of a form count wherever they stand", async () => {
  const form = new FormData();
  form.set("file", new Blob(["after"]), "a.txt");
  form.set("filename", "b.txt");
  form.set("filehash", sha256("something else"));
  expect(await client.form(form)).toMatchObject({ code: -1 });
  form.set("filehash", sha256("after"));
  expect(await client.form(form)).toMatchObject({ code: 0, data: { filename: "b.txt" } });
});
