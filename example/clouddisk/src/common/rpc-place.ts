import { createHash } from "node:crypto";
import { readdirSync, unlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { MprpcApplication } from "mprpc";
import { makeFolder } from "./folder.js";
import { isTempGone, tempName } from "./instance.js";
import { type ServiceName, serviceNames } from "./part.js";
import type { sections } from "./sections.js";

type DiskConfig = MprpcApplication<typeof sections>["config"];

/** What the shortest system takes for a socket's path, bytes. */
const pathMaxBytes = 103;

/**
 * Where a process takes calls of the others when the conf does not say: nowhere when all are in it, on a unix socket when they are
 * all on this machine. Undefined: on the port that the conf says, since others come over the network.
 */
export function rpcPlace(
  config: DiskConfig,
  dataFolder: string,
  services: readonly ServiceName[],
): string | undefined {
  const { origins, values } = config;
  const told = [
    origins.rpcserverip,
    origins.rpcserverport,
    origins.advertiseaddress,
    origins["provider.unix"],
  ];
  if (told.some(({ source }) => source !== "default")) return undefined;
  const ownRegistry = origins.registry.source === "default";
  if (ownRegistry && services.length === serviceNames.length) return "inproc:";
  if (!ownRegistry && !values.registry.startsWith("file:")) return undefined;
  return process.platform === "win32" ? undefined : `unix:${socketPath(dataFolder)}`;
}

/** A new one, in a folder that is this user's alone; those of processes that are gone are taken away. */
function socketPath(dataFolder: string): string {
  const name = tempName();
  let folder = path.join(dataFolder, "rpc");
  // Spaces and the like would end an address in a list of them.
  if (Buffer.byteLength(path.join(folder, name)) > pathMaxBytes || /[\s?*,|=#]/.test(folder)) {
    const id = createHash("sha256").update(dataFolder).digest("hex").slice(0, 12);
    folder = path.join("/tmp", `clouddisk-${os.userInfo().uid}-${id}`);
  }
  makeFolder(folder);
  for (const left of readdirSync(folder)) if (isTempGone(left)) unlinkSync(path.join(folder, left));
  return path.join(folder, name);
}
