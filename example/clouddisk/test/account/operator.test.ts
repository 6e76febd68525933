import { expect, test } from "vitest";
import { canary } from "../../../../test/tools/leaks/secrets.js";
import { api } from "../apigw/support.js";
import { password, startDisk } from "../support/disk.js";

const bossPassword = canary();

const services = ["dbproxy", "account", "apigw"] as const;

test("where sign-up is closed the operator, made at the start, makes the users, and alone sees the services", async () => {
  const conf = {
    "account.signup": "no",
    "account.contact": "boss@example.com",
    "account.operator": "boss",
    "account.operatorpassword": bossPassword,
  };
  const disk = await startDisk({ services, conf });
  const policy = async () => (await fetch(`${disk.url}/api/signup`)).json();
  expect(await policy()).toEqual({ code: 0, msg: "ok", open: false, contact: "boss@example.com" });
  expect(await disk.post("/user/signup", { username: "stranger", password })).toEqual({
    code: 10_011,
    msg: expect.stringContaining("[account] signup"),
  });
  await expect.poll(() => disk.signin("boss", bossPassword).catch(() => undefined)).toBeDefined();
  const boss = await disk.signin("boss", bossPassword);
  const made = await disk.post("/user/signup", { username: "friend", password }, boss);
  expect(made.code).toBe(10_000);
  const friend = await disk.signin("friend", password);
  // As the page asks: with the cookie, from its own origin. Nobody is signed in by it.
  const byCookie = async (origin: string) => {
    const reply = await fetch(`${disk.url}/user/signup`, {
      method: "POST",
      headers: { cookie: `clouddisk_token=${boss.token}`, origin, "content-type": "application/json" },
      body: JSON.stringify({ username: "by-cookie", password }),
    });
    const { code } = (await reply.json()) as { code: number };
    return { status: reply.status, code, cookie: reply.headers.get("set-cookie") };
  };
  expect(await byCookie("http://elsewhere.example")).toMatchObject({ status: 403, code: 10_011 });
  expect(await byCookie(disk.url)).toEqual({ status: 200, code: 10_000, cookie: null });
  expect(await byCookie(disk.url)).toMatchObject({ status: 409, code: 10_003 });
  expect((await disk.signin("by-cookie", password)).token).not.toBe("");
  expect((await disk.post("/user/signup", { username: "other", password }, friend)).code).toBe(10_011);
  expect((await api(disk, friend)("GET", "/api/services")).status).toBe(403);
  expect((await api(disk, friend)("GET", "/api/me")).body.user).toMatchObject({ operator: false });
  expect((await api(disk, boss)("GET", "/api/services")).status).toBe(200);
  expect((await api(disk, boss)("GET", "/api/me")).body.user).toMatchObject({ operator: true });
  // A token of nobody is no token of the operator.
  const forged = { ...boss, headers: { authorization: `Bearer ${"x".repeat(43)}` } };
  expect((await disk.post("/user/signup", { username: "other", password }, forged)).code).toBe(10_011);
});

test("without a name in the configuration it is who signed up first; anybody signs up", async () => {
  const disk = await startDisk({ services });
  expect(await (await fetch(`${disk.url}/api/signup`)).json()).toMatchObject({ open: true, contact: "" });
  const [first, second] = [await disk.user(), await disk.user()];
  expect((await api(disk, first)("GET", "/api/services")).status).toBe(200);
  expect((await api(disk, second)("GET", "/api/services")).body).toEqual({
    code: 10_011,
    msg: expect.stringContaining("operator"),
  });
});
