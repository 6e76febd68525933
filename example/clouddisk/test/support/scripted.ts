import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const clouddiskFolder = fileURLToPath(new URL("../../", import.meta.url));

export interface Outcome {
  code: number;
  out: string;
}

/** Runs a script of the cloud disk to its end. */
export function runScript(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const { PATH, HOME } = process.env;
  return new Promise((resolve) => {
    const file = path.join(clouddiskFolder, script);
    execFile(file, args, { env: { PATH, HOME, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr }),
    );
  });
}

/** A disk that the scripts start and stop. */
export interface ScriptedDisk {
  /** Its data folder. */
  data: string;
  start(...more: string[]): Promise<Outcome>;
  stop(): Promise<Outcome>;
  pidOf(name: string): Promise<number>;
  pidFiles(): Promise<string[]>;
}

/** It is stopped with the test. */
export async function scripted(conf: readonly string[] = []): Promise<ScriptedDisk> {
  const data = await mkdtemp(path.join(os.tmpdir(), "clouddisk-scripts-"));
  const ports = ["--apigw.port=0", "--upload.port=0", "--download.port=0"];
  const args = [`--clouddisk.data=${data}`, ...ports, "--provider.draintimeout=2s", ...conf];
  onTestFinished(async () => {
    await runScript("stop-all.sh", args);
    await rm(data, { recursive: true, force: true });
  });
  return {
    data,
    start: (...more: string[]) => runScript("start-all.sh", [...args, ...more]),
    stop: () => runScript("stop-all.sh", args),
    pidOf: async (name: string) =>
      Number((await readFile(path.join(data, "run", `${name}.pid`), "utf8")).split("\n")[0]),
    pidFiles: async () => (await readdir(path.join(data, "run"))).filter((file) => file.endsWith(".pid")),
  };
}

/** What a start said the gateway is at. */
export function urlIn(out: string): string {
  const url = /^http:\S+$/m.exec(out)?.[0];
  if (url === undefined) throw new Error(`no URL in: ${out}`);
  return url;
}
