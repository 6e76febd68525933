import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../../../../test/tools/zookeeper.js";
import { serviceNames } from "../../src/common/part.js";
import { startDisk } from "../support/disk.js";
import { findProgram, startProgram } from "../support/programs.js";
import { makeFile, sha256Of, uploadInParts } from "./transfer.js";

const rounds = 5;

/** Seconds that a command takes. */
function timed(command: string, ...args: string[]): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  return (performance.now() - startMs) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

/** Resolves when all of the user's files are in the store. */
async function stored(url: string, headers: Record<string, string>): Promise<void> {
  for (;;) {
    const reply = await fetch(`${url}/api/files?limit=1000`, { headers });
    const { entries } = (await reply.json()) as { entries: Array<{ state: string }> };
    if (entries.every(({ state }) => state === "stored")) return;
    await delay(200);
  }
}

/** nginx that serves a folder; undefined when it is not installed and was not unpacked. */
async function startNginx(folder: string): Promise<{ url: string; end: () => Promise<void> } | undefined> {
  let program: ReturnType<typeof findProgram>;
  try {
    program = findProgram("nginx");
  } catch {
    return undefined;
  }
  const port = await freePort();
  const own = path.join(folder, "nginx");
  mkdirSync(own);
  const conf = `daemon off; worker_processes 1; pid ${own}/pid; error_log stderr;
events {}
http { access_log off; sendfile on; client_body_temp_path ${own}; proxy_temp_path ${own}; fastcgi_temp_path ${own};
  uwsgi_temp_path ${own}; scgi_temp_path ${own}; server { listen 127.0.0.1:${port}; root ${folder}; } }`;
  writeFileSync(path.join(own, "conf"), conf);
  const user = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
  const child = startProgram(program, ["-p", own, "-c", path.join(own, "conf"), ...user]);
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 50; tries++) {
    if (spawnSync("curl", ["-s", "-o", "/dev/null", url]).status === 0) break;
    execFileSync("sleep", ["0.1"]);
  }
  return { url, end: () => child.kill("SIGTERM") };
}

/** MiB/s of uploads and downloads through all six services in one process, beside `cp` and nginx. */
export async function data(sizeMiB: number): Promise<void> {
  const disk = await startDisk({ services: [], keep: true, conf: { "account.quota": "1TiB" } });
  const rates = new Map<string, number[]>();
  const note = (what: string, seconds: number): void => {
    rates.set(what, [...(rates.get(what) ?? []), sizeMiB / seconds]);
  };
  try {
    await disk.startProcess(serviceNames);
    const user = await disk.user();
    const folder = path.join(disk.dataFolder, "bench");
    mkdirSync(folder);
    const nginx = await startNginx(folder);
    const file = path.join(folder, "file");
    const auth = ["-H", `authorization: ${user.headers.authorization}`];
    for (let round = 0; round < rounds; round++) {
      await makeFile(file, sizeMiB * 1024 * 1024);
      note("cp", timed("cp", file, `${file}.copy`));
      rmSync(`${file}.copy`);
      const startMs = performance.now();
      copyFileSync(file, `${file}.copy`);
      execFileSync("sync", [`${file}.copy`]);
      note("cp and sync", (performance.now() - startMs) / 1000);
      rmSync(`${file}.copy`);
      const hash = await sha256Of(file);
      const route = `${disk.url}/file/upload?filename=whole-${round}`;
      note("upload, whole", timed("curl", "-sf", "-X", "POST", "-T", file, ...auth, route));
      // Into the store first: that takes the processor too.
      await stored(disk.url, user.headers);
      const url = `${disk.url}/file/download?filehash=${hash}`;
      note("download", timed("curl", "-sf", "-o", "/dev/null", ...auth, url));
      if (nginx !== undefined) {
        note("nginx download", timed("curl", "-sf", "-o", "/dev/null", `${nginx.url}/file`));
      }
      await makeFile(file, sizeMiB * 1024 * 1024);
      const options = { headers: user.headers, file, name: `parts-${round}`, parallel: 4 };
      await stored(disk.url, user.headers);
      const { elapsedMs } = await uploadInParts(disk.url, options);
      note("upload, 4 parts at once (hash of the client not counted)", elapsedMs / 1000);
    }
    await nginx?.end();
    for (const [what, all] of rates) {
      console.log(`${what}: ${Math.round(median(all))} MiB/s (${all.map(Math.round).join(", ")})`);
    }
  } finally {
    await disk.stop();
  }
}
