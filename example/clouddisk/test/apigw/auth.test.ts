import cookie from "@fastify/cookie";
import formbody from "@fastify/formbody";
import fastify, { type FastifyInstance, type InjectOptions } from "fastify";
import type { MethodDefinition, RpcChannel } from "mprpc";
import { silentLogger } from "mprpc";
import { afterEach, expect, test } from "vitest";
import { Authenticator, cookieName } from "../../src/common/auth.js";
import { Code } from "../../src/common/codes.js";
import { addErrors } from "../../src/common/http-errors.js";
import { NodeRedirects } from "../../src/common/nodes.js";
import type { Host } from "../../src/common/part.js";
import { sessionOf, Tickets } from "../../src/common/tickets.js";
import { fakeHost, testSettings } from "./fake-host.js";

const token = "A".repeat(43);
const servers: FastifyInstance[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Account, as far as tokens go: zhang has one. */
function account(): { host: Host; asked: string[]; sessions: Map<string, string> } {
  const asked: string[] = [];
  const sessions = new Map([[token, "zhang"]]);
  const call = async (
    _method: MethodDefinition,
    request: { token: string; session: string },
  ): Promise<object> => {
    asked.push(request.token);
    const byTicket = [...sessions.keys()].find((one) => sessionOf(one) === request.session);
    const username = sessions.get(byTicket ?? request.token);
    return username === undefined
      ? { code: Code.TOKEN, message: "the token is not valid any more" }
      : { code: 0, message: "", userId: 7n, username, expiresAtMs: BigInt(Date.now() + 60_000) };
  };
  return { host: fakeHost({ channel: { call } as unknown as RpcChannel }), asked, sessions };
}

async function serve(
  host: Host,
): Promise<(options: InjectOptions) => Promise<{ status: number; body: object }>> {
  const http = fastify();
  servers.push(http);
  addErrors(http, new NodeRedirects(host), silentLogger);
  await http.register(cookie);
  await http.register(formbody);
  const authenticator = new Authenticator(host);
  http.route({
    url: "/x",
    method: ["GET", "POST"],
    handler: (request) => authenticator.user(request, "upload"),
  });
  http.route({
    url: "/change",
    method: "GET",
    config: { changesState: true },
    handler: (request) => authenticator.user(request),
  });
  return async (options) => {
    const reply = await http.inject({ url: "/x", method: "GET", ...options });
    return { status: reply.statusCode, body: reply.json() };
  };
}

const zhang = (via: string) => ({
  status: 200,
  body: { userId: 7, username: "zhang", via, session: sessionOf(token) },
});
const refused = { status: 401, body: expect.objectContaining({ code: 10005 }) };
const foreign = { status: 403, body: expect.objectContaining({ code: 10011 }) };

test("the token in each of its places", async () => {
  const { host } = account();
  const ask = await serve(host);
  expect(await ask({ headers: { authorization: `Bearer ${token}` } })).toEqual(zhang("bearer"));
  expect(await ask({ headers: { authorization: `bearer ${token}` } })).toEqual(zhang("bearer"));
  expect(await ask({ cookies: { [cookieName]: token } })).toEqual(zhang("cookie"));
  expect(await ask({ url: `/x?username=zhang&token=${token}` })).toEqual(zhang("legacy"));
  expect(await ask({ method: "POST", payload: { username: "zhang", token } })).toEqual(zhang("legacy"));
  const form = { "content-type": "application/x-www-form-urlencoded" };
  expect(await ask({ method: "POST", headers: form, payload: `username=zhang&token=${token}` })).toEqual(
    zhang("legacy"),
  );
});

test.each<[string, InjectOptions]>([
  ["none", {}],
  ["a forged one of 40 characters", { headers: { authorization: `Bearer ${"f".repeat(40)}` } }],
  ["one that is no token", { headers: { authorization: "Bearer ' OR 1=1 --" } }],
  [
    "an empty one beside a good cookie",
    { headers: { authorization: "Bearer " }, cookies: { [cookieName]: token } },
  ],
  [
    "Basic beside a good cookie",
    { headers: { authorization: "Basic eDp5" }, cookies: { [cookieName]: token } },
  ],
  ["somebody else's name", { url: `/x?username=wang&token=${token}` }],
  ["two tokens", { url: `/x?username=zhang&token=${token}&token=${token}` }],
  ["a token that is an object", { method: "POST", payload: { username: "zhang", token: { $gt: "" } } }],
  ["a ticket that is none", { headers: { "x-ticket": "a.b" } }],
  ["half a ticket", { url: "/x?ticket=abc" }],
])("refused: %s", async (_what, options) => {
  const { host } = account();
  const ask = await serve(host);
  expect(await ask(options)).toEqual(refused);
});

test("a ticket is for what it was made for, until it expires, as it was signed", async () => {
  const { host, sessions } = account();
  const ask = await serve(host);
  const tickets = new Tickets(host.database, testSettings.secret);
  const sign = (kind: "upload" | "download", expiresAtMs: number): Promise<string> =>
    tickets.sign({ kind, userId: 7, username: "zhang", expiresAtMs, session: sessionOf(token) });
  const good = await sign("upload", Date.now() + 60_000);
  expect(await ask({ headers: { "x-ticket": good } })).toEqual(zhang("ticket"));
  expect(await ask({ url: `/x?ticket=${good}` })).toEqual(zhang("ticket"));
  expect(await ask({ headers: { "x-ticket": await sign("download", Date.now() + 60_000) } })).toEqual(
    refused,
  );
  expect(await ask({ headers: { "x-ticket": await sign("upload", Date.now() - 1) } })).toEqual(refused);
  const [body = "", signature] = good.split(".");
  const other = Buffer.from(Buffer.from(body, "base64url").toString().replace(":7", ":8")).toString(
    "base64url",
  );
  expect(await ask({ headers: { "x-ticket": `${other}.${signature}` } })).toEqual(refused);
  // Somebody else's session does not make it good, and after the sign-out nothing does.
  const foreignTicket = tickets.sign({
    kind: "upload",
    userId: 8,
    username: "wang",
    expiresAtMs: Date.now() + 60_000,
    session: sessionOf(token),
  });
  expect(await ask({ headers: { "x-ticket": await foreignTicket } })).toEqual(refused);
  sessions.clear();
  new Authenticator(host).forget(token);
  expect(await ask({ headers: { "x-ticket": good } })).toEqual(refused);
});

test.each<[string, InjectOptions, object]>([
  ["own page", { method: "POST", headers: { "sec-fetch-site": "same-origin" } }, zhang("cookie")],
  ["typed address", { headers: { "sec-fetch-site": "none" } }, zhang("cookie")],
  ["another site", { method: "POST", headers: { "sec-fetch-site": "cross-site" } }, foreign],
  ["another site, reading", { headers: { "sec-fetch-site": "cross-site" } }, foreign],
  ["another port", { method: "POST", headers: { "sec-fetch-site": "same-site" } }, foreign],
  [
    "plain HTTP, own page",
    { method: "POST", headers: { host: "d:80", origin: "http://d:80" } },
    zhang("cookie"),
  ],
  ["plain HTTP, another port", { method: "POST", headers: { host: "d", origin: "http://d:81" } }, foreign],
  ["a sandboxed page", { method: "POST", headers: { origin: "null" } }, foreign],
  ["a program", { method: "POST" }, zhang("cookie")],
  [
    "changing GET, own page",
    { url: "/change", headers: { "sec-fetch-site": "same-origin" } },
    zhang("cookie"),
  ],
  ["changing GET, image elsewhere", { url: "/change", headers: { "sec-fetch-site": "same-site" } }, foreign],
  ["changing GET, link", { url: "/change", headers: { "sec-fetch-site": "none" } }, foreign],
  ["changing GET, says nothing", { url: "/change" }, foreign],
  [
    "changing GET, own referer",
    { url: "/change", headers: { host: "d", referer: "http://d/page" } },
    zhang("cookie"),
  ],
  ["changing GET, other referer", { url: "/change", headers: { host: "d", referer: "http://e/d" } }, foreign],
])("cookie: %s", async (_what, options, expected) => {
  const { host } = account();
  const ask = await serve(host);
  expect(await ask({ ...options, cookies: { [cookieName]: token } })).toEqual(expected);
});

test("a token is not asked of any page; a cookie's rules are not for it", async () => {
  const { host } = account();
  const ask = await serve(host);
  const headers = { authorization: `Bearer ${token}`, "sec-fetch-site": "cross-site" };
  expect(await ask({ method: "POST", headers })).toEqual(zhang("bearer"));
});

test("answers are shared for a moment, also between requests at once; a sign-out counts at once", async () => {
  const { host, asked, sessions } = account();
  const ask = await serve(host);
  const headers = { authorization: `Bearer ${token}` };
  const replies = await Promise.all(Array.from({ length: 20 }, () => ask({ headers })));
  expect(replies).toEqual(Array(20).fill(zhang("bearer")));
  expect(asked).toEqual([token]);
  sessions.clear();
  // Another Authenticator of the same process, the gateway's say, hears of the sign-out.
  new Authenticator(host).forget(token);
  expect(await ask({ headers })).toEqual(refused);
  // What was refused is not remembered: a token may be asked for before its session is visible everywhere.
  sessions.set(token, "zhang");
  expect(await ask({ headers })).toEqual(zhang("bearer"));
});
