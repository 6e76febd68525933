import { afterAll, beforeAll, expect, test } from "vitest";
import { type Disk, password, startDisk, type User } from "../support/disk.js";
import { addFile, at } from "./support.js";

/** One golden reply for each row of the HTTP contract that is the gateway's, as a form, as JSON, and in both places of a token. */

let disk: Disk;
let zhang: User;
beforeAll(async () => {
  disk = await startDisk({ services: ["dbproxy", "account", "apigw"], keep: true });
  zhang = await disk.user("zhang");
});
afterAll(() => disk.stop());

const dateTime = expect.stringMatching(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$/);
const hash = "ab".repeat(32);

const bodies = {
  form: (body: Record<string, string>) => ({
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(body).toString(),
  }),
  json: (body: Record<string, string>) => ({
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }),
};
const spellings = Object.entries(bodies);

test.each(["/", "/user/signup", "/user/signin"])("GET %s is a page", async (path) => {
  const reply = await fetch(disk.url + path);
  expect(reply.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(reply.headers.get("content-security-policy")).toMatch(/script-src 'self' 'wasm-unsafe-eval';/);
  expect(reply.headers.get("cache-control")).toBe("no-cache");
  expect(await reply.text()).toMatch(/^<!doctype html>/i);
});

test.each(spellings)("POST /user/signup and /user/signin as %s", async (kind, encode) => {
  const credentials = { username: `li-${kind}`, password: "12345" };
  const post = (path: string) => at(disk, path, { method: "POST", ...encode(credentials) });
  expect(await post("/user/signup")).toEqual({ status: 200, body: { code: 10000, msg: "signed up" } });
  const signedIn = await post("/user/signin");
  expect(signedIn).toEqual({
    status: 200,
    body: {
      code: 10000,
      msg: "signed in",
      data: {
        Location: "/",
        Username: `li-${kind}`,
        Token: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        UploadEntry: disk.url,
        DownloadEntry: disk.url,
      },
    },
  });
  expect(await post("/user/signup")).toEqual({
    status: 409,
    body: { code: 10003, msg: "the user name is taken" },
  });
});

test("the cookie of a sign-in is for this host's own pages, and not for scripts", async () => {
  const { headers, body } = bodies.form({ username: "zhang", password });
  const reply = await fetch(`${disk.url}/user/signin`, { method: "POST", headers, body });
  const [cookie] = reply.headers.getSetCookie();
  expect(cookie).toMatch(
    /^clouddisk_token=[A-Za-z0-9_-]{43}; Path=\/; Expires=[^;]+ GMT; HttpOnly; SameSite=Strict$/,
  );
});

test.each(spellings)("POST /user/info as %s", async (_kind, encode) => {
  expect(
    await at(disk, "/user/info", { method: "POST", ...encode({ username: "zhang", token: zhang.token }) }),
  ).toEqual({
    status: 200,
    body: { code: 0, msg: "ok", data: { Username: "zhang", SignupAt: dateTime, LastActive: dateTime } },
  });
});

const file = (name: string, sizeBytes: number) => ({
  UserName: "zhang",
  FileHash: hash,
  FileName: name,
  FileSize: sizeBytes,
  UploadAt: dateTime,
  LastUpdated: dateTime,
});

test.each(spellings)("POST /file/query and /file/update as %s", async (kind, encode) => {
  await addFile(disk, zhang, { name: `first-${kind}.txt`, fileHash: hash, sizeBytes: 5 });
  const auth = { username: "zhang", token: zhang.token };
  const query = (limit: string) => at(disk, "/file/query", { method: "POST", ...encode({ ...auth, limit }) });
  expect(await query("1")).toEqual({ status: 200, body: [file(`first-${kind}.txt`, 5)] });
  const renamed = file(`新名-${kind}.txt`, 5);
  expect(
    await at(disk, "/file/update", {
      method: "POST",
      ...encode({
        ...auth,
        op: "0",
        filehash: hash,
        filename: `新名-${kind}.txt`,
        oldname: `first-${kind}.txt`,
      }),
    }),
  ).toEqual({ status: 200, body: { code: 0, msg: "ok", ...renamed, data: renamed } });
  expect((await query("100")).body).toContainEqual(renamed);
});

test("parameters may stand in the query of a POST, and the token in the header or the cookie", async () => {
  const legacy = await at(disk, `/file/query?username=zhang&token=${zhang.token}&limit=1`, {
    method: "POST",
  });
  expect(legacy.status).toBe(200);
  const bearer = await at(disk, "/file/query?limit=1", { method: "POST", headers: zhang.headers });
  expect(bearer).toEqual(legacy);
  const headers = { cookie: `clouddisk_token=${zhang.token}` };
  expect(await at(disk, "/file/query?limit=1", { method: "POST", headers })).toEqual(legacy);
});

test.each<[string, Record<string, string>, number, number, RegExp]>([
  ["/user/signup", { username: "ab", password: "12345" }, 400, 10001, /user name must have 3 to 64/],
  ["/user/signup", { username: "a b c", password: "12345" }, 400, 10001, /user name/],
  ["/user/signup", { username: "abc", password: "1234" }, 400, 10001, /password must have 5 to 128/],
  ["/user/signup", { username: "abc", password: "1".repeat(129) }, 400, 10001, /password/],
  ["/user/signup", { username: "abc" }, 400, 10001, /^password is missing$/],
  ["/user/signin", { username: "zhang", password: "wrong" }, 401, 10004, /wrong/],
  ["/user/signin", { username: "nobody", password: "wrong" }, 401, 10004, /wrong/],
  ["/user/info", {}, 401, 10005, /sign in first/],
  ["/file/query", { limit: "0" }, 400, 10001, /^limit must be a whole number from 1 to 1000$/],
  ["/file/query", { limit: "many" }, 400, 10001, /^limit/],
  ["/file/update", { op: "1", filehash: hash, filename: "a" }, 400, 10001, /^op must be 0/],
  ["/file/update", { op: "0", filename: "a" }, 400, 10001, /^filehash is missing$/],
  ["/file/update", { op: "0", filehash: "xyz", filename: "a" }, 400, 10001, /^filehash must be a SHA-256/],
  ["/file/update", { op: "0", filehash: hash, filename: "../a" }, 400, 10001, /file name may not contain/],
  ["/file/update", { op: "0", filehash: "cd".repeat(32), filename: "a" }, 404, 10007, /no such file/],
])("refused: POST %s %j", async (path, body, status, code, msg) => {
  const headers = path.startsWith("/file") ? zhang.headers : {};
  const encoded = bodies.form(body);
  expect(
    await at(disk, path, { method: "POST", ...encoded, headers: { ...encoded.headers, ...headers } }),
  ).toEqual({ status, body: { code, msg: expect.stringMatching(msg) } });
});

test("/openapi.json has every route of the gateway, and /healthz answers", async () => {
  const { body } = await at(disk, "/openapi.json", {});
  const { openapi, paths } = body as { openapi: string; paths: Record<string, object> };
  expect(openapi).toMatch(/^3\./);
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual([
    "DELETE /api/files/{id}",
    "DELETE /api/trash",
    "DELETE /api/trash/{id}",
    "GET /api/events",
    "GET /api/files",
    "GET /api/me",
    "GET /api/services",
    "GET /api/signup",
    "GET /healthz",
    "PATCH /api/files/{id}",
    "POST /api/files/batch/delete",
    "POST /api/files/batch/move",
    "POST /api/files/batch/restore",
    "POST /api/files/batch/trash",
    "POST /api/files/{id}/restore",
    "POST /api/folders",
    "POST /api/signout",
    "POST /file/query",
    "POST /file/update",
    "POST /user/info",
    "POST /user/signin",
    "POST /user/signup",
  ]);
  expect(await at(disk, "/healthz", {})).toEqual({ status: 200, body: { code: 0, msg: "ok" } });
});
