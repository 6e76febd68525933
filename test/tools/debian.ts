import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../../scripts/debian-packages.sh", import.meta.url));

/** The folder packages are unpacked in, whether any are or not. */
export function debianRoot(): string {
  const { MPRPC_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = MPRPC_TEST_CACHE ?? join(XDG_CACHE_HOME || join(homedir(), ".cache"), "mprpc-test");
  return join(cache, "debian", "root");
}

/** For LD_LIBRARY_PATH: where the unpacked packages have the libraries of this machine's kind. */
export function debianLibraries(): string {
  const root = debianRoot();
  const folders = [join(root, "usr", "lib"), join(root, "lib")].filter((one) => existsSync(one));
  const found = folders.flatMap((one) => readdirSync(one).map((name) => join(one, name)));
  return found.filter((name) => name.endsWith("-linux-gnu")).join(":");
}

/** The folder the packages are unpacked in; fetches those that are not. Without names: what ZooKeeper needs. */
export function debianPackages(...names: string[]): string {
  execFileSync(script, names, { stdio: ["ignore", "ignore", "inherit"] });
  return debianRoot();
}

/** The folder that packages of another Debian are unpacked in; fetches those that are not. */
export function debianPackagesOf(suite: string, ...names: string[]): string {
  execFileSync(script, ["--suite", suite, ...names], { stdio: ["ignore", "ignore", "inherit"] });
  return join(dirname(dirname(debianRoot())), `debian-${suite}`, "root");
}

/** A Java that runs: the one on PATH, or else the unpacked one. */
export function javaCommand(): string {
  try {
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return "java";
  } catch {
    const folder = join(debianRoot(), "usr", "lib", "jvm");
    const home = readdirSync(folder).find((name) => name.startsWith("java-"));
    if (home === undefined) throw new Error(`no java on PATH and none in ${folder}`);
    return join(folder, home, "bin", "java");
  }
}
