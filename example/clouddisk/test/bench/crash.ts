import { readFileSync } from "node:fs";
import path from "node:path";
import { freePort } from "../../../../test/tools/zookeeper.js";
import { type ServiceName, serviceNames } from "../../src/common/part.js";
import { type Disk, startDisk } from "../support/disk.js";
import { makeFile, uploadInParts } from "./transfer.js";

function memoryMiB(pid: number, what: "VmRSS" | "VmHWM"): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${what}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024);
}

async function killAndRestart(disk: Disk, service: ServiceName): Promise<void> {
  const victim = disk.processes.find((one) => one.services.includes(service));
  if (victim === undefined) throw new Error(`${service} does not run`);
  const peakMiB = memoryMiB(victim.pid, "VmHWM");
  await victim.kill("SIGKILL");
  disk.processes.splice(disk.processes.indexOf(victim), 1);
  await disk.startProcess([service]);
  console.log(`${service}: killed -9 at ${peakMiB} MiB at most, and back`);
}

/** Uploads a file in parallel parts while each service is killed -9 and started again, once. */
export async function crash(sizeMiB: number): Promise<void> {
  const ports = { "apigw.port": String(await freePort()), "upload.port": String(await freePort()) };
  const disk = await startDisk({ services: [], keep: true, conf: { ...ports, "account.quota": "100GiB" } });
  try {
    await Promise.all(serviceNames.map((service) => disk.startProcess([service])));
    const user = await disk.user();
    const file = path.join(disk.dataFolder, "source");
    await makeFile(file, sizeMiB * 1024 * 1024);
    const victims = [...serviceNames];
    const restarts: Array<Promise<void>> = [];
    const onPart = (done: number, count: number): void => {
      // Spread over the upload: the first after a tenth of the parts.
      if (victims.length === 0 || done < (count * (serviceNames.length - victims.length + 1)) / 8) return;
      const victim = victims.shift();
      if (victim !== undefined) restarts.push(killAndRestart(disk, victim));
    };
    const upload = disk.urlOf("upload");
    const options = { headers: user.headers, file, name: "big.bin", parallel: 4, onPart };
    const { fileHash, sentBytes, elapsedMs } = await uploadInParts(upload, options);
    await Promise.all(restarts);
    const reply = await fetch(`${disk.urlOf("download")}/file/download?filehash=${fileHash}`, {
      headers: user.headers,
    });
    const { createHash } = await import("node:crypto");
    const hash = createHash("sha256");
    for await (const chunk of reply.body ?? []) hash.update(chunk as Uint8Array);
    const again = (sentBytes / (sizeMiB * 1024 * 1024) - 1) * 100;
    console.log(
      `${sizeMiB} MiB in ${(elapsedMs / 1000).toFixed(1)} s, ${again.toFixed(2)} % sent again, ` +
        `SHA-256 ${hash.digest("hex") === fileHash ? "right" : "WRONG"}`,
    );
    for (const { pid, services } of disk.processes) {
      console.log(`${services.join()}: ${memoryMiB(pid, "VmRSS")} MiB, at most ${memoryMiB(pid, "VmHWM")}`);
    }
  } finally {
    await disk.stop();
  }
}
