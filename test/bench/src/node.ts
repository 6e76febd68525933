import { fileURLToPath } from "node:url";
import { type ApplicationParts, MprpcApplication } from "mprpc";

/** A node of the benchmark: `flags` are those of a conf, without the two dashes. */
export function initNode(
  registry: string,
  flags: readonly string[],
  parts: ApplicationParts = {},
): Promise<MprpcApplication> {
  const all = [`registry=${registry}`, "log.level=error", ...flags];
  const argv = [process.execPath, "bench", ...all.map((flag) => `--${flag}`)];
  // Neither the variables nor the conf file of whoever runs the benchmark may change what it measures.
  return MprpcApplication.init(argv, {
    env: {},
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    ...parts,
  });
}

/** The `index`-th address of this machine's loopback network, from 127.0.0.1 on; Linux answers to all of them. */
export function loopbackAddress(index: number): string {
  return `127.${(index + 1) >> 16}.${((index + 1) >> 8) & 255}.${(index + 1) & 255}`;
}
