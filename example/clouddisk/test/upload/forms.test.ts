import { afterAll, beforeAll, expect, it } from "vitest";
import { type Disk, startDisk, type User } from "../support/disk.js";
import { Client, replyOf } from "./support.js";

/** Forms that are none, and those that want more than their sender should. */

let disk: Disk;
let user: User;
beforeAll(async () => {
  disk = await startDisk({ keep: true });
  user = await disk.user();
});
afterAll(() => disk.stop());

const field = (name: string, value: string): string =>
  `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`;
const file = `Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ntext`;

function form(parts: string[], boundary = "b", type = `multipart/form-data; boundary=${boundary}`) {
  const body = `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("")}--${boundary}--\r\n`;
  const headers = { ...user.headers, "content-type": type };
  return replyOf(fetch(`${disk.url}/file/upload`, { method: "POST", headers, body }));
}

it.each<[what: string, status: number, send: () => ReturnType<typeof form>]>([
  ["a boundary that is too long", 400, () => form([file], "b".repeat(300))],
  ["a boundary that is a little too long", 400, () => form([file], "b".repeat(71))],
  ["no boundary", 400, () => form([file], "b", "multipart/form-data")],
  ["an empty boundary", 400, () => form([file], "b", "multipart/form-data; boundary=")],
  ["another kind of parts", 400, () => form([file], "b", "multipart/mixed; boundary=b")],
  ["a boundary that does not come", 400, () => form([file], "b", "multipart/form-data; boundary=c")],
  ["no parts", 400, () => form([])],
  ["two files", 400, () => form([file, file])],
  ["no file", 400, () => form([field("file", "text")])],
  ["a field for all objects", 400, () => form([field("__proto__", "1"), file])],
  ["too many fields", 413, () => form([...Array.from({ length: 50 }, () => field("a", "1")), file])],
  ["a folder that is none, after the file", 404, () => form([file, field("parentid", "99999")])],
])("is refused, and nothing stays: %s", async (_what, status, send) => {
  expect((await send()).http).toBe(status);
  const listed = await fetch(`${disk.url}/api/files`, { headers: user.headers });
  expect(await listed.json()).toMatchObject({ entries: [] });
  await expect.poll(() => new Client(disk, user).tempFiles()).toEqual([]);
});

it.each(["b".repeat(70), '"with spaces"', "----WebKitFormBoundary7MA4YWxkTrZu0gW"])(
  "a boundary as the standard has it is taken: %s",
  async (boundary) => {
    const plain = boundary.replaceAll('"', "");
    const type = `multipart/form-data; boundary=${boundary}; charset=utf-8`;
    expect(await form([file], plain, type)).toMatchObject({ http: 200, data: { filesize: 4 } });
  },
);
