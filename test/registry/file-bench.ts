import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { silentLogger } from "../../src/log/logger.js";
import { ownIdentity } from "../../src/registry/file/liveness.js";
import { FileRegistry, type FileRegistryOptions } from "../../src/registry/file/registry.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { type Child, startScript } from "../tools/child.js";
import { Recorder } from "../tools/wait.js";

export const service = "fixbug.UserServiceRpc";

/** For every test of the file a folder of its own, and what works on it. */
export function useFileBench() {
  let folder: string;
  let registries: FileRegistry[];
  let children: Child[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mprpc-file-failures-"));
    registries = [];
    children = [];
  });
  afterEach(async () => {
    await Promise.all(registries.map((registry) => registry.close()));
    await Promise.all(children.map((child) => child.kill()));
    rmSync(folder, { recursive: true, force: true });
  });

  const serviceFolder = () => join(folder, service);
  const connect = (options: FileRegistryOptions = {}): FileRegistry => {
    const registry = new FileRegistry({ folder, pollMs: 20, ...options });
    registries.push(registry);
    return registry;
  };

  return {
    root: () => folder,
    serviceFolder,
    entryFiles: () => readdirSync(serviceFolder()).filter((name) => name.endsWith(".json")),
    connect,

    /** Every list a consumer of its own sees. */
    follow(options: FileRegistryOptions = {}): Recorder<Snapshot> {
      const seen = new Recorder<Snapshot>();
      connect(options).watch(service, seen.push);
      return seen;
    },

    /** A script of the tests, ended with the test. */
    start(script: URL, ...args: string[]): Child {
      const child = startScript(script, ...args);
      children.push(child);
      return child;
    },

    writeEntry(incarnation: string, text: string): void {
      mkdirSync(serviceFolder(), { recursive: true });
      writeFileSync(join(serviceFolder(), `${incarnation}.json`), text);
    },
  };
}

/** A log that keeps its warnings. */
export function recordWarnings() {
  const warnings = new Recorder<string>();
  const warn = (text: string, fields?: object) => warnings.push(`${text} ${JSON.stringify(fields)}`);
  return { warnings, log: { ...silentLogger, warn } };
}

/** Like an entry another process of this machine wrote; it lives as long as this one. */
export function entryText(incarnation: string, port: number, more: object = {}): string {
  const entry = {
    ...{ service, address: { host: "127.0.0.1", port }, weight: 1, startedAtMs: 0, attributes: {} },
    ...{ incarnation, sequence: 1, process: ownIdentity(), heartbeat: "00000000deadbeef", ...more },
  };
  return `${JSON.stringify(entry, undefined, 2)}\n`;
}
