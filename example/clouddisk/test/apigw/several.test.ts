import { expect, test } from "vitest";
import { password, startDisk } from "../support/disk.js";
import { at } from "./support.js";

test("a request waits for services that are still starting", async () => {
  const disk = await startDisk({ services: ["apigw"] });
  const signedUp = disk.post("/user/signup", { username: "early", password });
  await disk.startNode(["account"]);
  await disk.startNode(["dbproxy"]);
  expect(await signedUp).toEqual({ code: 10000, msg: "signed up" });
});

test("of several gateways each knows every session; a sign-out at one reaches the others in seconds", async () => {
  const disk = await startDisk({ services: ["dbproxy", "account", "apigw"] });
  const other = await disk.startNode(["apigw", "account"]);
  const { headers } = await disk.user();
  const atOther = async () => (await fetch(`${other.httpAddress("apigw")}/api/files`, { headers })).status;
  expect(await atOther()).toBe(200);
  await at(disk, "/api/signout", { method: "POST", headers });
  expect((await at(disk, "/api/files", { headers })).status).toBe(401);
  await expect.poll(atOther).toBe(401);
});

test("requests go on while one of two account services stops", async () => {
  const disk = await startDisk({ services: ["dbproxy", "account", "apigw"] });
  const second = await disk.startNode(["account"]);
  const { headers } = await disk.user();
  const statuses = new Set<number>();
  let stopped = false;
  const asking = Array.from({ length: 4 }, async () => {
    while (!stopped) statuses.add((await at(disk, "/api/files", { headers })).status);
  });
  await second.stop();
  stopped = true;
  await Promise.all(asking);
  expect([...statuses]).toEqual([200]);
});
