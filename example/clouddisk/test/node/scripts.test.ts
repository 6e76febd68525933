import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { serviceNames } from "../../src/common/part.js";
import { password } from "../support/disk.js";
import { clouddiskFolder, runScript, scripted, urlIn } from "../support/scripted.js";

/** One that has ended and whose parent has not taken note of it yet does not count. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

async function canSignUp(url: string): Promise<void> {
  const body = new URLSearchParams({ username: "zhang", password });
  const reply = await fetch(`${url}/user/signup`, { method: "POST", body });
  expect(await reply.json()).toMatchObject({ code: 10_000 });
}

beforeAll(() => {
  if (!existsSync(path.join(clouddiskFolder, "dist/cli.js")))
    throw new Error("not built: run ./autobuild.sh first");
});

test("all in one process: serves, refuses to run twice, and ends", async () => {
  const disk = await scripted();
  const started = await disk.start();
  expect(started, started.out).toMatchObject({ code: 0 });
  await canSignUp(urlIn(started.out));
  expect(await disk.pidFiles()).toEqual(["all.pid"]);
  const pid = await disk.pidOf("all");

  const again = await disk.start("--processes");
  expect(again.code).toBe(1);
  expect(again.out).toContain("already running: all");
  expect(isAlive(pid)).toBe(true);

  expect(await disk.stop()).toEqual({ code: 0, out: `stopped all (${pid})\n` });
  expect(isAlive(pid)).toBe(false);
  expect(await disk.pidFiles()).toEqual([]);
  expect(await disk.stop()).toEqual({
    code: 0,
    out: expect.stringMatching(/^stop-all: nothing of .* is running\n$/),
  });
});

test("one process each, over a shared data folder", async () => {
  const disk = await scripted();
  const started = await disk.start("--processes");
  expect(started, started.out).toMatchObject({ code: 0 });
  expect((await disk.pidFiles()).sort()).toEqual(serviceNames.map((name) => `${name}.pid`).sort());
  await canSignUp(urlIn(started.out));
  const pids = await Promise.all(serviceNames.map((name) => disk.pidOf(name)));
  const stopped = await disk.stop();
  expect(stopped.code, stopped.out).toBe(0);
  expect(stopped.out.match(/^stopped/gm)).toHaveLength(6);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("after kill -9 its pid file is stale and in nobody's way", async () => {
  const disk = await scripted();
  expect((await disk.start()).code).toBe(0);
  const pid = await disk.pidOf("all");
  process.kill(pid, "SIGKILL");
  const started = await disk.start();
  expect(started, started.out).toMatchObject({ code: 0 });
  expect(await disk.pidOf("all")).not.toBe(pid);
  await canSignUp(urlIn(started.out));
});

test("a process that was given the id of ours later is left alone", async () => {
  const disk = await scripted();
  const file = path.join(disk.data, "run", "all.pid");
  await mkdir(path.dirname(file));
  await writeFile(file, `${process.pid}\n1\n`);
  expect(await disk.stop()).toEqual({
    code: 0,
    out: expect.stringMatching(/^stop-all: nothing of .* is running\n$/),
  });
  expect(existsSync(file)).toBe(false);
});

test("a port that is taken is named, with the key that changes it, and nothing is left behind", async () => {
  const taken = net.createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as net.AddressInfo;
  const disk = await scripted();
  for (const mode of [[], ["--processes"]]) {
    const started = await disk.start(`--apigw.port=${port}`, ...mode);
    expect(started.code).toBe(1);
    expect(started.out).toContain(`apigw: cannot listen on 127.0.0.1:${port}: another program listens there`);
    expect(started.out).toContain("--apigw.port=N");
    expect(await disk.pidFiles()).toEqual([]);
  }
});

test("a conf that is wrong is told with its line", async () => {
  const disk = await scripted();
  const conf = path.join(disk.data, "my.conf");
  await writeFile(conf, "[upload]\npart=1TiB\n");
  const started = await disk.start("-i", conf);
  expect(started.code).toBe(1);
  expect(started.out).toContain(`${conf}:2: upload.part: expected a size from 1KiB to 64MiB`);
});

test("the command: help, config with every key and no secret, wrong usage", async () => {
  const help = await runScript("bin/clouddisk", ["--help"]);
  expect(help.code).toBe(0);
  expect(help.out).toContain("--upload.part=SIZE");
  const config = await runScript("bin/clouddisk", ["config", "--store.secretkey=hunter2"], {
    CLOUDDISK_DATA: "/x",
  });
  expect(config.code).toBe(0);
  expect(config.out).toMatch(/^clouddisk\.data += \/x/m);
  expect(config.out).toMatch(/^store\.secretkey += \*\*\*/m);
  expect(config.out).not.toContain("hunter2");
  expect(await runScript("bin/clouddisk", ["folder"], { CLOUDDISK_DATA: "/x" })).toEqual({
    code: 0,
    out: "/x\n",
  });
  const wrong = await runScript("bin/clouddisk", ["acount"]);
  expect(wrong.code).toBe(2);
  expect(wrong.out).toContain("unknown: acount; there are all, dbproxy");
});
