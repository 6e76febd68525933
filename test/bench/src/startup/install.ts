import { execFile } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { StartTarget } from "./protocol.js";

export interface InstallSize {
  target: StartTarget;
  packages: number;
  bytes: number;
  files: number;
}

const run = promisify(execFile);
const bench = fileURLToPath(new URL("../../", import.meta.url));
const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** What a user asks npm for: our packed archive, the peer in the versions the benchmark has. */
async function wanted(target: StartTarget, folder: string): Promise<string[]> {
  if (target === "mprpc") {
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const { stdout } = await run("npm", args, { cwd: root });
    const [packed] = JSON.parse(stdout) as { filename: string }[];
    if (packed === undefined) throw new Error("npm pack made no archive");
    return [path.join(folder, packed.filename)];
  }
  const { dependencies } = JSON.parse(readFileSync(path.join(bench, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return ["@grpc/grpc-js", "@grpc/proto-loader"].map((name) => `${name}@${dependencies[name]}`);
}

function sizeOf(folder: string): { bytes: number; files: number } {
  let bytes = 0;
  let files = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    // npm's own notes and links to commands are no part of a package.
    if (!entry.isFile() || entry.name === ".package-lock.json") continue;
    bytes += lstatSync(path.join(entry.parentPath, entry.name)).size;
    files += 1;
  }
  return { bytes, files };
}

/** Installs into a folder of its own, production dependencies only, and looks at what is there. */
export async function installSize(target: StartTarget): Promise<InstallSize> {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-bench-install-"));
  try {
    const project = { name: "empty", version: "1.0.0", private: true };
    writeFileSync(path.join(folder, "package.json"), JSON.stringify(project));
    const options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    await run("npm", ["install", ...options, ...(await wanted(target, folder))], { cwd: folder });
    const modules = path.join(folder, "node_modules");
    const lock = JSON.parse(readFileSync(path.join(modules, ".package-lock.json"), "utf8")) as {
      packages: Record<string, unknown>;
    };
    return { target, packages: Object.keys(lock.packages).length, ...sizeOf(modules) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
