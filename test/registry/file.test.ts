import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../../src/base/clock.js";
import { silentLogger } from "../../src/log/logger.js";
import { Liveness, ownIdentity, systemProbe } from "../../src/registry/file/liveness.js";
import { FileRegistry, type FileRegistryOptions } from "../../src/registry/file/registry.js";
import { defaultRegistryFolder, makePrivateFolder } from "../../src/registry/folder.js";
import { openRegistry } from "../../src/registry/open.js";
import type { Snapshot } from "../../src/registry/registry.js";
import { type Child, startScript } from "../tools/child.js";
import { eventually, Recorder, timed } from "../tools/wait.js";
import { describeConformance, registration, shows } from "./conformance.js";

const providerProcess = new URL("provider-process.ts", import.meta.url);
const makeFolder = () => mkdtempSync(join(tmpdir(), "mprpc-file-registry-"));

describeConformance("file", async () => {
  const folder = makeFolder();
  return {
    connect: () => new FileRegistry({ folder }),
    stop: async () => rmSync(folder, { recursive: true }),
  };
});

describeConformance("file (without file events, polled)", async () => {
  const folder = makeFolder();
  return {
    connect: () => openRegistry(`file:${folder}?events=off&poll=20ms`),
    stop: async () => rmSync(folder, { recursive: true }),
  };
});

describe("file registry", () => {
  let folder: string;
  let registries: FileRegistry[];
  let children: Child[];
  const serviceFolder = () => join(folder, "fixbug.UserServiceRpc");
  const entryFiles = () => readdirSync(serviceFolder()).filter((name) => name.endsWith(".json"));

  beforeEach(() => {
    folder = makeFolder();
    registries = [];
    children = [];
  });
  afterEach(async () => {
    await Promise.all(registries.map((registry) => registry.close()));
    await Promise.all(children.map((child) => child.kill()));
    rmSync(folder, { recursive: true, force: true });
  });

  const connect = (options: FileRegistryOptions = {}) => {
    const registry = new FileRegistry({ folder, ...options });
    registries.push(registry);
    return registry;
  };
  const follow = (registry: FileRegistry) => {
    const seen = new Recorder<Snapshot>();
    registry.watch("fixbug.UserServiceRpc", seen.push);
    return seen;
  };
  const startProvider = async (port: number) => {
    const child = startScript(providerProcess, `file:${folder}`, String(port));
    children.push(child);
    await child.line(/^registered$/);
    return child;
  };

  test("a provider of another process is seen; killed, its entry and file disappear", async () => {
    const seen = follow(connect());
    const child = await startProvider(8000);
    await seen.until("8000", shows(8000));
    expect(entryFiles()).toHaveLength(1);
    await child.kill("SIGKILL");
    await timed("file: killed provider dropped", () => seen.until("gone", shows()));
    expect(entryFiles()).toEqual([]);
    expect(await connect().list()).toEqual([]);
  });

  test("killed and restarted at the same address, it is there once", async () => {
    const seen = follow(connect());
    const first = await startProvider(8000);
    const before = (await seen.until("8000", shows(8000))).endpoints[0]?.incarnation;
    await first.kill("SIGKILL");
    await startProvider(8000);
    await seen.until(
      "new",
      ({ endpoints }) => endpoints.length === 1 && endpoints[0]?.incarnation !== before,
    );
    await eventually("one file", async () => entryFiles().length === 1);
  });

  test("an entry whose pid now belongs to another process is dead", async () => {
    const identity = ownIdentity();
    expect(systemProbe()(identity)).toBe(true);
    expect(systemProbe()({ ...identity, start: `${identity.start}0` })).toBe(false);
    expect(systemProbe()({ ...identity, start: "another-boot:1" })).toBeUndefined();
    expect(systemProbe()({ ...identity, namespace: "pid:[1]" })).toBeUndefined();

    const provider = connect();
    await provider.register(registration(8000));
    const [name = ""] = entryFiles();
    const stolen = { incarnation: "00000000deadbeef", process: { ...identity, start: `${identity.start}0` } };
    const entry = {
      ...{
        service: "fixbug.UserServiceRpc",
        address: { host: "127.0.0.1", port: 8001 },
        weight: 1,
        sequence: 1,
      },
      ...{ startedAtMs: 0, attributes: {}, heartbeat: "00000000deadbeef", ...stolen },
    };
    writeFileSync(join(serviceFolder(), `${stolen.incarnation}.json`), JSON.stringify(entry));
    await follow(connect()).until("only the living", shows(8000));
    await eventually("its file is removed", async () => entryFiles().join() === name);
  });

  test("half-written and foreign files are ignored with one warning each", async () => {
    const warnings: string[] = [];
    const log = {
      ...silentLogger,
      warn: (text: string, fields?: object) => warnings.push(text + JSON.stringify(fields)),
    };
    await connect().register(registration(8000));
    const [name = ""] = entryFiles();
    writeFileSync(join(serviceFolder(), "half.json"), '{"service": "fixbug.User');
    writeFileSync(join(serviceFolder(), "list.json"), "[1]");
    writeFileSync(join(serviceFolder(), "other.json"), '{"address":{"host":"x","port":1}}');
    writeFileSync(join(serviceFolder(), ".tmp.json"), "x");
    writeFileSync(join(serviceFolder(), "notes.txt"), "x");
    mkdirSync(join(serviceFolder(), "folder.json"));
    const consumer = connect({ log, pollMs: 10 });
    const seen = follow(consumer);
    await seen.until("8000", shows(8000));
    const handle = await connect().register(registration(8001));
    await seen.until("both", shows(8000, 8001));
    await handle.unregister();
    await seen.until("8000", shows(8000));
    expect(warnings.map((text) => /(\w+)\.json/.exec(text)?.[1]).sort()).toEqual([
      "folder",
      "half",
      "list",
      "other",
    ]);
    expect(entryFiles()).toContain(name);
  });

  test("the folder is removed while in use: made again with our entries, and watched again", async () => {
    const consumer = connect({ pollMs: 20 });
    const seen = follow(consumer);
    const provider = connect({ pollMs: 20 });
    await provider.register(registration(8000));
    await seen.until("8000", shows(8000));
    rmSync(folder, { recursive: true });
    await eventually("the entry is back", async () => entryFiles().length === 1);
    await connect({ pollMs: 20 }).register(registration(8001));
    await seen.until("both", shows(8000, 8001));
  });

  test("our own file removed by hand is written again", async () => {
    const provider = connect();
    await provider.register(registration(8000));
    const [name = ""] = entryFiles();
    rmSync(join(serviceFolder(), name));
    await timed("file: removed entry restored", () =>
      eventually("back", async () => entryFiles()[0] === name),
    );
  });

  test("a folder that cannot be used is named, with the cure", async () => {
    const file = join(folder, "plain");
    writeFileSync(file, "");
    expect(() => openRegistry(`file:${file}/below`)).toThrow(`cannot create the folder ${file}/below`);
    expect(() => openRegistry(`file:${file}/below`)).toThrow("registry=file:/path/to/folder");
    const registry = connect();
    writeFileSync(serviceFolder(), "in the way");
    await expect(registry.register(registration(8000))).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining(serviceFolder()),
    });
  });

  test("the default folder is private to the user", () => {
    const fallback = join(tmpdir(), `mprpc-${process.getuid?.()}`, "registry");
    expect(defaultRegistryFolder({ XDG_RUNTIME_DIR: folder })).toBe(join(folder, "mprpc", "registry"));
    expect(defaultRegistryFolder({ XDG_RUNTIME_DIR: join(folder, "missing") })).toBe(fallback);
    expect(defaultRegistryFolder({ XDG_RUNTIME_DIR: "relative" })).toBe(fallback);
    expect(defaultRegistryFolder({})).toBe(fallback);
    const path = join(folder, "mprpc", "registry");
    makePrivateFolder(path, "cure");
    expect(statSync(path).mode & 0o777).toBe(0o700);
    makePrivateFolder(path, "cure");
    chmodSync(join(folder, "mprpc"), 0o777);
    expect(() => makePrivateFolder(path, "cure")).toThrow(`chmod 700 ${join(folder, "mprpc")}`);
    chmodSync(join(folder, "mprpc"), 0o700);
    mkdirSync(join(folder, "link"), { mode: 0o700 });
    symlinkSync(path, join(folder, "link", "registry"));
    expect(() => makePrivateFolder(join(folder, "link", "registry"), "the cure")).toThrow(
      /is not a folder; the cure/,
    );
  });

  test.each([
    ["file:relative/folder", 'the folder "relative/folder" is not absolute'],
    ["file:/x?poll=never", "poll=never is not a time"],
    ["file:/x?watch=1", 'unknown option "watch"'],
    ["file:/50%", 'a "%" that is no escape'],
    ["nacos://a:1", "it cannot be read as nacos"],
    ["127.0.0.1:2181", "it has no scheme"],
    ["", "it has no scheme"],
  ])("openRegistry(%j) is refused: %s", (url, text) => {
    expect(() => openRegistry(url)).toThrow(text);
    expect(() => openRegistry(url)).toThrow(`registry ${JSON.stringify(url)}`);
    expect(() => openRegistry(url)).toThrow("file:/absolute/folder");
  });
});

describe("heartbeats, where a process cannot be judged by its pid", () => {
  let folder: string;
  let nowMs: number;
  let timers: Array<() => void>;
  let clock: Clock;

  beforeEach(() => {
    folder = makeFolder();
    nowMs = 1_000_000;
    timers = [];
    clock = {
      now: () => nowMs,
      wallNow: () => nowMs,
      setTimer: (callback) => {
        timers.push(callback);
        return { cancel: () => timers.splice(timers.indexOf(callback), 1) };
      },
    };
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("alive while it beats, silent after 10 s without, alive again with the next beat", async () => {
    const unknown = () => undefined;
    const provider = new Liveness(folder, "aa", clock, unknown);
    const consumer = new Liveness(folder, "bb", clock, unknown);
    const judge = () => consumer.judge({ pid: 1 }, "aa");
    expect(await judge()).toBe("silent");
    await provider.start();
    expect(await judge()).toBe("alive");
    nowMs += 10_000;
    expect(await judge()).toBe("alive");
    nowMs += 1;
    expect(await judge()).toBe("silent");
    timers.shift()?.();
    await eventually("the next beat counts", async () => (await judge()) === "alive");
    await provider.stop();
    expect(await judge()).toBe("silent");
    expect(await provider.judge({ pid: 1 }, "aa")).toBe("alive");
  });

  test("a link in the place of a heartbeat is not followed", async () => {
    const secret = join(folder, "secret");
    writeFileSync(secret, "kept");
    const { mtimeMs } = statSync(secret);
    mkdirSync(join(folder, ".heartbeats"));
    symlinkSync(secret, join(folder, ".heartbeats", "aa"));
    const provider = new Liveness(folder, "aa", clock, () => undefined);
    await provider.start();
    expect([readFileSync(secret, "utf8"), statSync(secret).mtimeMs]).toEqual(["kept", mtimeMs]);
    await provider.stop();
    expect(readFileSync(secret, "utf8")).toBe("kept");
  });

  test("a heartbeat that was old at first sight is silent", async () => {
    const provider = new Liveness(folder, "aa", clock, () => undefined);
    await provider.start();
    nowMs += 10_001;
    expect(await new Liveness(folder, "bb", clock, () => undefined).judge({ pid: 1 }, "aa")).toBe("silent");
  });
});
