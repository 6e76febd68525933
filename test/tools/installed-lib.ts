import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { sharedLib } from "./shared-lib.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Puts the library into `folder/node_modules` as `npm install` would: built in this run, whatever lib/ is, with its
 * dependencies and those in `tools`.
 */
export async function installLib(folder: string, tools: readonly string[] = []): Promise<void> {
  const modules = path.join(folder, "node_modules");
  const own = path.join(modules, "mprpc");
  mkdirSync(own, { recursive: true });
  for (const name of ["package.json", "bin", "proto"]) {
    cpSync(path.join(root, name), path.join(own, name), { recursive: true });
  }
  cpSync(await sharedLib(), path.join(own, "lib"), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(dependencies), ...tools]) {
    mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
    symlinkSync(path.join(root, "node_modules", name), path.join(modules, name));
  }
}
