import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Disk, password, startDisk } from "../support/disk.js";
import { addFile, api, at } from "./support.js";

const services = ["dbproxy", "account", "apigw"] as const;
let disk: Disk;
beforeAll(async () => {
  disk = await startDisk({ services, keep: true });
});
afterAll(() => disk.stop());

const tokenRefused = { status: 401, body: { code: 10005, msg: expect.any(String) } };

test.each([
  ["40 hex digits, as the originals took for a token", "d41d8cd98f00b204e9800998ecf8427e5f5e1000"],
  ["43 characters of the right alphabet", "A".repeat(43)],
  ["SQL", "' OR '1'='1' -- aaaaaaaaaaaaaaaaaaaaaaa"],
])("a forged token is refused everywhere: %s", async (_what, token) => {
  await disk.user(`forged-${token.length}-${token.charCodeAt(0)}`);
  for (const path of ["/user/info", "/file/query", "/file/update"]) {
    const body = new URLSearchParams({ username: `forged-${token.length}-${token.charCodeAt(0)}`, token });
    expect(await at(disk, path, { method: "POST", body })).toEqual(tokenRefused);
  }
  expect(await at(disk, "/api/me", { headers: { authorization: `Bearer ${token}` } })).toEqual(tokenRefused);
});

test("a token is its own user's", async () => {
  const one = await disk.user();
  const other = await disk.user();
  const body = new URLSearchParams({ username: other.name, token: one.token });
  expect(await at(disk, "/user/info", { method: "POST", body })).toEqual(tokenRefused);
});

test("expired and signed-out tokens, and the hash that is in the database, count for nothing", async () => {
  const user = await disk.user();
  const { database } = disk.node.host;
  const { user: row } = await database.run("user.find", { username: user.name });
  const tokenHash = createHash("sha256").update(user.token).digest("hex");
  expect((await database.run("session.find", { tokenHash })).session).toMatchObject({ username: user.name });
  const stolen = { headers: { authorization: `Bearer ${tokenHash}` } };
  expect(await at(disk, "/api/me", stolen)).toEqual(tokenRefused);

  const expired = "E".repeat(43);
  await database.run("session.create", {
    userId: row?.id ?? 0,
    tokenHash: createHash("sha256").update(expired).digest("hex"),
    expiresAtMs: Date.now() - 1,
  });
  expect(await at(disk, "/api/me", { headers: { authorization: `Bearer ${expired}` } })).toEqual(
    tokenRefused,
  );

  expect((await at(disk, "/api/me", { headers: user.headers })).status).toBe(200);
  await at(disk, "/api/signout", { method: "POST", headers: user.headers });
  expect(await at(disk, "/api/me", { headers: user.headers })).toEqual(tokenRefused);
});

test("a page of another origin does nothing with the cookie, and signs nobody in", async () => {
  const { name, token } = await disk.user();
  const cookie = `clouddisk_token=${token}`;
  const refused = { status: 403, body: { code: 10011, msg: expect.stringMatching(/own pages/) } };
  for (const origin of ["http://evil.example", "null", "http://127.0.0.1:1"]) {
    const init = { method: "POST", headers: { cookie, origin } };
    expect(await at(disk, "/api/signout", init)).toEqual(refused);
    expect(await at(disk, "/file/query", init)).toEqual(refused);
    expect(await at(disk, "/api/trash", { ...init, method: "DELETE" })).toEqual(refused);
    const body = new URLSearchParams({ username: name, password });
    expect(await at(disk, "/user/signin", { method: "POST", headers: { origin }, body })).toEqual(refused);
  }
  const own = { method: "POST", headers: { cookie, origin: disk.url } };
  expect((await at(disk, "/file/query", own)).status).toBe(200);
});

const evilNames = [
  "<script>alert(1)</script>",
  `"><img src=x onerror=alert(1)>`,
  "'; DROP TABLE tbl_user; --",
  "' UNION SELECT * FROM tbl_user_token --",
  "$(rm -rf ~)`id`",
  "%00%0d%0aSet-Cookie: a=b",
  "__proto__",
];

test.each(evilNames)("a name is a name: %s", async (name) => {
  const user = await disk.user();
  const ask = api(disk, user);
  const allowed = !name.includes("/");
  const made = await ask("POST", "/api/folders", { parentId: 0, name });
  expect([made.status, made.body.code]).toEqual(allowed ? [200, 0] : [400, 10001]);
  if (allowed) {
    const found = await ask("GET", `/api/files?q=${encodeURIComponent(name)}`);
    expect(found.body.entries).toEqual([expect.objectContaining({ name })]);
  }
  const body = new URLSearchParams({ username: name, password: name });
  expect((await at(disk, "/user/signin", { method: "POST", body })).body).toMatchObject({ code: 10004 });
  const reply = await fetch(`${disk.url}/api/files`, { headers: user.headers });
  expect(reply.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
});

test("neither tokens nor passwords are in the log, wherever they stood", async () => {
  const user = await disk.user("logged", "a-secret-password");
  const { name: username, token } = user;
  const query = `username=${username}&token=${token}`;
  await at(disk, `/file/query?${query}`, { method: "POST" });
  await at(disk, "/file/query", { method: "POST", body: new URLSearchParams({ username, token }) });
  await at(disk, `/nowhere?${query}`, {});
  await at(disk, "/api/me", { headers: { authorization: `Bearer ${token}x` } });
  await at(disk, "/api/me", { headers: { cookie: `clouddisk_token=${token}` } });
  await at(disk, "/user/signin", {
    method: "POST",
    body: new URLSearchParams({ username, password: "a-secret-password-wrong" }),
  });
  const log = (): string => JSON.stringify(disk.log.lines);
  await expect.poll(log).toContain('"path":"/nowhere"');
  expect(log()).not.toContain(token);
  expect(log()).not.toContain("a-secret-password");
  expect(log()).not.toContain(createHash("sha256").update(token).digest("hex"));
});

test("a trace id goes through every service, and stands in the line of each", async () => {
  const { headers } = await disk.user();
  const traceId = "trace-of-this-test";
  await at(disk, "/api/files", { headers: { ...headers, "x-trace-id": traceId } });
  const services = (): unknown[] => [
    ...new Set(
      disk.log.lines.filter(({ fields }) => fields.traceId === traceId).map(({ fields }) => fields.service),
    ),
  ];
  await expect.poll(services).toEqual(expect.arrayContaining(["apigw", "account", "dbproxy"]));
});

test("sign-ups and sign-ins have a tenth of an address's requests", async () => {
  const limited = await startDisk({ services, conf: { "apigw.requestsperminute": "20" } });
  const signin = () =>
    fetch(`${limited.url}/user/signin`, {
      method: "POST",
      // Nobody asked us to believe this.
      headers: { "x-forwarded-for": `10.0.0.${Math.floor(Math.random() * 200)}` },
      body: new URLSearchParams({ username: "zhang", password: "12345" }),
    });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await signin()).status);
  expect(statuses).toEqual([401, 401, 429]);
  const refused = await signin();
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused.json()).toEqual({
    code: 10010,
    msg: expect.stringMatching(/at most 2 a minute \(apigw\.requestsperminute\); try again in \d+ s$/),
  });
  expect((await fetch(`${limited.url}/`)).status).not.toBe(429);
});

test("a user has so many requests from all addresses together; a proxy that is trusted tells these", async () => {
  const limited = await startDisk({
    services,
    conf: { "apigw.requestsperminute": "10", "apigw.trustedproxies": "127.0.0.1" },
  });
  const { token } = await limited.user();
  const ask = (address: number) =>
    at(limited, "/api/files", {
      headers: { authorization: `Bearer ${token}`, "x-forwarded-for": `10.0.0.${address}` },
    });
  const replies = [];
  for (let i = 1; i <= 11; i++) replies.push((await ask(i)).status);
  expect(replies).toEqual([...Array(10).fill(200), 429]);
  expect((await ask(12)).body).toMatchObject({ code: 10010, msg: expect.stringMatching(/of this user/) });
});

test("failed sign-ins of a name are counted, and say so", async () => {
  const limited = await startDisk({ services, conf: { "account.failures": "2" } });
  await limited.signup("zhang", "12345");
  const signin = (password: string) =>
    at(limited, "/user/signin", {
      method: "POST",
      body: new URLSearchParams({ username: "zhang", password }),
    });
  expect((await signin("wrong")).status).toBe(401);
  expect((await signin("12345")).status).toBe(200);
  expect([(await signin("wrong")).status, (await signin("wrong")).status]).toEqual([401, 401]);
  expect(await signin("12345")).toEqual({
    status: 429,
    body: { code: 10010, msg: expect.stringMatching(/account\.failures is 2 in 15 minutes/) },
  });
});

test("fifty sign-ups with one name at once make one user", async () => {
  const replies = await Promise.all(
    Array.from({ length: 50 }, () => disk.post("/user/signup", { username: "same-name", password })),
  );
  expect(replies.filter(({ code }) => code === 10000)).toHaveLength(1);
  expect(replies.filter(({ code }) => code === 10003)).toHaveLength(49);
});

test("a file of the user is not found by whoever knows its hash", async () => {
  const owner = await disk.user();
  const thief = await disk.user();
  const filehash = "77".repeat(32);
  await addFile(disk, owner, { name: "a", fileHash: filehash, sizeBytes: 1 });
  const body = new URLSearchParams({ op: "0", filehash, filename: "b" });
  expect((await at(disk, "/file/update", { method: "POST", headers: thief.headers, body })).status).toBe(404);
});
