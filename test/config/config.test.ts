import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { load, loadError } from "./load.js";

describe("order", () => {
  test("nothing given: the embedded defaults", () => {
    const loaded = load();
    expect(loaded.values).toMatchObject({
      rpcserverip: "127.0.0.1",
      rpcserverport: 0,
      zookeeperip: undefined,
      registry: "file:",
      advertiseaddress: undefined,
      calltimeoutMs: 5000,
      log: { level: "info", redact: [] },
      provider: { draintimeoutMs: 10_000, classic: true },
      limits: { headerBytes: 65_536, bodyBytes: 4_194_304, unwrittenBytes: 67_108_864 },
    });
    expect(loaded.warnings).toEqual([]);
    expect(loaded.rest).toEqual([]);
    expect("file" in loaded).toBe(false);
    expect(new Set(Object.values(loaded.origins).map((origin) => origin.source))).toEqual(
      new Set(["default"]),
    );
  });

  test("file < environment < flags, each value with its origin", () => {
    const { values, origins, file } = load({
      conf: "rpcserverport=1\ncalltimeout=1s\n[log]\nlevel=warn\n[keepalive]\ninterval=1m",
      env: { MPRPC_RPCSERVERPORT: "2", MPRPC_LOG_LEVEL: "error" },
      argv: ["--log.level=debug"],
    });
    expect(values.calltimeoutMs).toBe(1000);
    expect(values.rpcserverport).toBe(2);
    expect(values.log.level).toBe("debug");
    expect(values.keepalive.intervalMs).toBe(60_000);
    expect(origins).toMatchObject({
      calltimeout: { source: "file", where: "mprpc.conf:2" },
      rpcserverport: { source: "env", where: "MPRPC_RPCSERVERPORT" },
      "log.level": { source: "flag", where: "--log.level" },
      "keepalive.interval": { source: "file", where: "mprpc.conf:6" },
      "keepalive.timeout": { source: "default", where: "" },
    });
    expect(file).toBe("mprpc.conf");
  });

  test("a unix socket has one spelling", () => {
    const { values } = load({ conf: "rpcserverip=unix:///run/a.sock\n[provider]\nunix=//run/b.sock" });
    expect(values.rpcserverip).toBe("unix:/run/a.sock");
    expect(values.provider.unix).toBe("/run/b.sock");
  });

  test("a variable that is empty counts as not set", () => {
    expect(load({ conf: "rpcserverport=1", env: { MPRPC_RPCSERVERPORT: " " } }).values.rpcserverport).toBe(1);
    expect(load({ env: { MPRPC_WHATEVER: "", MPRPC_LOG_LEVEL: undefined } }).warnings).toEqual([]);
  });

  test("a bad value is an error even where a stronger source gives a good one", () => {
    // Otherwise it would wait for the day the stronger one is taken away.
    const given = { conf: "rpcserverport=http", argv: ["--rpcserverport=8000"] };
    expect(loadError(given).problems).toMatchObject([{ file: "mprpc.conf", line: 1, key: "rpcserverport" }]);
  });

  test("the result cannot be changed", () => {
    const loaded = load({ argv: ["--log.redact=a,b", "--advertiseaddress=h:1", "--", "x"] });
    const parts = [
      loaded,
      loaded.values,
      loaded.values.log,
      loaded.values.log.redact,
      loaded.values.advertiseaddress,
      loaded.origins,
      loaded.origins.registry,
      loaded.warnings,
      loaded.rest,
    ];
    for (const part of parts) expect(Object.isFrozen(part)).toBe(true);
  });
});

describe("the conf file", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-config-"));
  const inFolder = (...argv: string[]) => loadConfig({ argv, env: {}, cwd: folder });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("-i FILE and -i=FILE, relative to the working directory or absolute", () => {
    writeFileSync(path.join(folder, "node.conf"), "rpcserverport=8000\r\n");
    const absolute = path.join(folder, "node.conf");
    for (const argv of [["-i", "node.conf"], ["-i=node.conf"], ["-i", absolute]]) {
      const loaded = inFolder(...argv);
      expect(loaded.values.rpcserverport).toBe(8000);
      expect(loaded.origins.rpcserverport.where).toBe(`${loaded.file}:1`);
    }
    expect(inFolder("-i", "node.conf").file).toBe("node.conf");
  });

  test("without -i: ./mprpc.conf when there is one", () => {
    expect(inFolder().file).toBeUndefined();
    const conf = path.join(folder, "mprpc.conf");
    writeFileSync(conf, "rpcserverport=8001");
    expect(inFolder().values.rpcserverport).toBe(8001);
    expect(inFolder("-i", "node.conf").values.rpcserverport).toBe(8000);
    rmSync(conf);
  });

  test("-i on a missing file, a directory, a path through a file, a large file", () => {
    mkdirSync(path.join(folder, "conf.d"));
    writeFileSync(path.join(folder, "large.conf"), Buffer.alloc(1024 * 1024 + 1, "#"));
    const where = (name: string) => path.join(folder, name);
    expect(() => inFolder("-i", "missing.conf")).toThrow(
      `-i missing.conf: expected a readable conf file, found no such file at ${where("missing.conf")}`,
    );
    expect(() => inFolder("-i", "conf.d")).toThrow(
      `-i conf.d: expected a readable conf file, found a directory at ${where("conf.d")}`,
    );
    expect(() => inFolder("-i", "node.conf/x")).toThrow("a part of the path is not a directory");
    expect(() => inFolder("-i", "large.conf")).toThrow(
      "large.conf: expected a conf file of at most 1048576 bytes, found a larger one",
    );
    expect(() => inFolder("-i", where("missing.conf"))).toThrow(/found no such file$/);
  });

  test("an endless device is read no further than the limit", () => {
    expect(() => inFolder("-i", "/dev/zero")).toThrow("at most 1048576 bytes");
  });

  test("a directory in the place of ./mprpc.conf is an error, not an absence", () => {
    mkdirSync(path.join(folder, "mprpc.conf"));
    expect(() => inFolder()).toThrow(/mprpc\.conf: expected a readable conf file, found a directory/);
    rmSync(path.join(folder, "mprpc.conf"), { recursive: true });
  });

  test("a file that may not be read, and any other failure", () => {
    const failing = (code: string) => () =>
      loadConfig({
        argv: ["-i", "a.conf"],
        env: {},
        cwd: "/",
        readFile: () => {
          throw Object.assign(new Error(`${code}: it broke`), { code });
        },
      });
    expect(failing("EACCES")).toThrow("found a file this user may not read at /a.conf");
    expect(failing("EIO")).toThrow("found an error: EIO: it broke at /a.conf");
  });

  test("text that is not UTF-8 is refused in a value, with its line", () => {
    const conf = Buffer.concat([Buffer.from("\n[log]\ndir="), Buffer.from([0xc8, 0xd5]), Buffer.from("\n")]);
    expect(loadError({ conf }).problems).toMatchObject([{ line: 3, key: "log.dir" }]);
    expect(loadError({ conf: Buffer.from("\uFEFFa=1", "utf16le") }).message).toBe(
      "mprpc.conf: expected UTF-8 text, found UTF-16",
    );
  });
});

describe("warnings", () => {
  test.each([
    [
      "a duplicate",
      "rpcserverport=1\n\nrpcserverport=2",
      "mprpc.conf:3: rpcserverport is given twice: this line wins over mprpc.conf:1, which is ignored",
    ],
    [
      "an unknown key",
      "rpcserverprot=1",
      'mprpc.conf:1: unknown key "rpcserverprot", ignored; did you mean "rpcserverport"?',
    ],
    [
      "an unknown key in a section",
      "[log]\nlevle=info",
      'mprpc.conf:2: unknown key "levle", ignored; did you mean "level"?',
    ],
    ["a key like nothing", "colour=red", 'mprpc.conf:1: unknown key "colour", ignored'],
    [
      "a key above its section",
      "level=debug",
      'mprpc.conf:1: unknown key "level", ignored; write level= beneath [log]',
    ],
    [
      "a dotted key",
      "log.level=debug",
      'mprpc.conf:1: unknown key "log.level", ignored; write level= beneath [log]',
    ],
    [
      "a top-level key in a section",
      "[log]\ncalltimeout=1s",
      'mprpc.conf:2: unknown key "calltimeout", ignored; it belongs above the first [section]',
    ],
    [
      "a key in upper case",
      "RPCSERVERIP=::1",
      'mprpc.conf:1: "RPCSERVERIP" is read as rpcserverip, which is its name here',
    ],
    [
      "an unknown section",
      "[lgo]\nlevel=debug\nx=1",
      'mprpc.conf:1: unknown section "[lgo]", all of it ignored; did you mean "log"?',
    ],
    [
      "an unknown section that is nearly the policy's",
      "[authzz]\n* = none",
      'mprpc.conf:1: unknown section "[authzz]", all of it ignored; did you mean "authz"?',
    ],
    [
      "a cut value",
      "[zookeeper]\nauth=me:pass#word",
      'mprpc.conf:2: zookeeper.auth: the value ends before the "#"; if that belongs to it, quote the value or write \\#',
    ],
    [
      "a line without =",
      "calltimeout=1s\n\nlog level debug",
      'mprpc.conf:3: expected key=value, found "log" and no "="; the line is ignored',
    ],
    [
      "a key of a fork in a section, where none of them is",
      "[log]\nrpcserver_ip=::1",
      'mprpc.conf:2: unknown key "rpcserver_ip", ignored; rpcserverip belongs above the first [section]',
    ],
    [
      "a key that looks like one of a fork",
      "rpcserver_iq=::1",
      'mprpc.conf:1: unknown key "rpcserver_iq", ignored; did you mean "rpcserverip"?',
    ],
    [
      "a port without its address",
      "zookeeperport=2182",
      "mprpc.conf:1: zookeeperport has no effect without zookeeperip",
    ],
  ])("%s", (_name, conf, warning) => {
    expect(load({ conf }).warnings).toEqual([warning]);
  });

  test("the last duplicate wins", () => {
    expect(load({ conf: "[log]\nlevel=warn\n[log]\nlevel=debug" }).values.log.level).toBe("debug");
  });

  test("a duplicate flag: the last wins", () => {
    const { values, warnings } = load({ argv: ["--log.level=warn", "--log.level=debug"] });
    expect(values.log.level).toBe("debug");
    expect(warnings).toEqual(["--log.level is given twice: the last one wins"]);
  });

  test("an unknown variable, with the nearest name; other programs' are not ours", () => {
    const env = { MPRPC_LOG_LEVLE: "x", LOG_LEVEL: "x", MPRPCX: "x", PATH: "/bin" };
    expect(load({ env }).warnings).toEqual([
      'MPRPC_LOG_LEVLE: unknown variable, ignored; did you mean "MPRPC_LOG_LEVEL"?',
    ]);
  });

  test("thousands of them are cut short, and quickly", () => {
    const conf = Array.from({ length: 50_000 }, (_, i) => `rpcserver${i}=1`).join("\n");
    const { warnings } = load({ conf });
    expect(warnings).toHaveLength(51);
    expect(warnings.at(-1)).toBe("... and 49950 more warnings");
  });

  test("a section named __proto__, constructor or like no other pollutes nothing", () => {
    const conf = "[__proto__]\npolluted=yes\n[constructor]\nprototype=1\n[log]\n__proto__=1\ntoString=2";
    const { warnings, values } = load({ conf, env: { MPRPC___PROTO__: "1" } });
    expect(warnings).toHaveLength(5);
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(values).toEqual(load().values);
  });
});

describe("the spellings of forks", () => {
  test.each([
    ["rpcserver_ip", "rpcserverip"],
    ["rpc_server_ip", "rpcserverip"],
    ["rpcServerIp", "rpcserverip"],
    ["RpcServerIP", "rpcserverip"],
    ["rpc_ip", "rpcserverip"],
    ["zookeeper_ip", "zookeeperip"],
    ["zookeeperIp", "zookeeperip"],
    ["zkIp", "zookeeperip"],
    ["zk_ip", "zookeeperip"],
  ])("%s is %s, and its port likewise, with a notice each", (key, name) => {
    const portOf = (ip: string) => ip.replace(/ip$/i, (found) => (found === "Ip" ? "Port" : "port"));
    const { values, warnings, origins } = load({ conf: `${key}=10.0.0.9\n${portOf(key)}=4000` });
    const isServer = name === "rpcserverip";
    expect([values.rpcserverip, values.rpcserverport]).toEqual(
      isServer ? ["10.0.0.9", 4000] : ["127.0.0.1", 0],
    );
    expect(values.registry).toBe(isServer ? "file:" : "zookeeper://10.0.0.9:4000");
    expect(warnings).toEqual([
      `mprpc.conf:1: "${key}" is read as ${name}, which is its name here`,
      `mprpc.conf:2: "${portOf(key)}" is read as ${portOf(name)}, which is its name here`,
    ]);
    expect(origins[isServer ? "rpcserverip" : "zookeeperip"].where).toBe("mprpc.conf:1");
  });

  test("a bad value of one is told by its name here", () => {
    expect(loadError({ conf: "rpcServerPort=http" }).problems).toMatchObject([
      { where: "mprpc.conf:1", key: "rpcserverport", found: '"http"' },
    ]);
  });

  test("beside ours the later line wins, as of any key given twice", () => {
    const { values, warnings } = load({ conf: "rpcserverip=10.0.0.1\nrpcserver_ip=10.0.0.2" });
    expect(values.rpcserverip).toBe("10.0.0.2");
    expect(warnings.at(-1)).toContain("rpcserverip is given twice");
  });

  test("nodes listed one by one are a static registry of the classic wire", () => {
    const conf = "node0ip=10.0.0.1\nnode0port=7788\nnode_x=1\nnode1ip=::1\nnode1port=7789\n";
    const { values, warnings, origins } = load({ conf });
    const url = "static://10.0.0.1:7788,[::1]:7789?protocol=classic";
    expect(values.registry).toBe(url);
    expect(origins.registry).toEqual({ source: "file", where: "mprpc.conf:1, node0ip" });
    expect(warnings).toEqual([
      'mprpc.conf:3: unknown key "node_x", ignored',
      `mprpc.conf:1: node0ip and the like are read as registry=${url}, which is how to say it here`,
    ]);
  });

  test("a node that is given twice is told, since one of the two is lost", () => {
    const { values, warnings } = load({ conf: "node0ip=10.0.0.1\nnode0port=1\nnode0_ip=10.0.0.2\n" });
    expect(values.registry).toBe("static://10.0.0.2:1?protocol=classic");
    expect(warnings[0]).toBe(
      "mprpc.conf:3: node0_ip is given twice: this line wins over mprpc.conf:1, which is ignored",
    );
  });

  test("nodes give way to a registry, and are told when they have no address", () => {
    const nodes = "node0ip=10.0.0.1\nnode0port=7788";
    const beside = load({ conf: `${nodes}\nregistry=file:` });
    expect(beside.values.registry).toBe("file:");
    expect(beside.warnings).toEqual([
      "mprpc.conf:1: node0ip and the like are ignored, because registry is set (mprpc.conf:3)",
    ]);
    expect(load({ conf: `${nodes}\nzkIp=10.0.0.3` }).values.registry).toBe("zookeeper://10.0.0.3:2181");
    expect(load({ conf: nodes, argv: ["--registry=static://h:1"] }).values.registry).toBe("static://h:1");
    expect(loadError({ conf: `${nodes}\nnode1ip=10.0.0.2\nnode2port=x` }).problems).toEqual([
      {
        ...{ where: "mprpc.conf:3", file: "mprpc.conf", line: 3, key: "node1ip" },
        ...{ expected: "an address, and its port, of the same number", found: '"10.0.0.2" and none' },
      },
      {
        ...{ where: "mprpc.conf:4", file: "mprpc.conf", line: 4, key: "node2port" },
        ...{ expected: "an address, and its port, of the same number", found: 'none and "x"' },
      },
    ]);
  });
});

describe("a registry by its kind and address, as go-micro's flags give it", () => {
  const registryOf = (...argv: string[]) => load({ argv }).values.registry;

  test("the two make a URL, also from different sources", () => {
    expect(registryOf("--registry=consul", "--registry_address=h:8500")).toBe("consul://h:8500");
    expect(registryOf("--registry=consul")).toBe("consul://127.0.0.1:8500");
    expect(registryOf("--registry=zookeeper", "--registry_address=a:1,b:2/c")).toBe("zookeeper://a:1,b:2/c");
    expect(registryOf("--registry=dns", "--registry_address=users:8000?refresh=5s")).toBe(
      "dns://users:8000?refresh=5s",
    );
    const { values, origins } = load({ conf: "registry=consul", env: { MPRPC_REGISTRY_ADDRESS: "h:1" } });
    expect(values.registry).toBe("consul://h:1");
    expect(origins.registry).toEqual({ source: "file", where: "mprpc.conf:1" });
  });

  test("an address that means nothing is warned about", () => {
    expect(load({ argv: ["--registry_address=h:1"] }).warnings).toEqual([
      "--registry_address: registry_address has no effect without registry=KIND, such as registry=consul",
    ]);
    const both = load({ argv: ["--registry=consul://h", "--registry_address=h:1"] });
    expect(both.warnings).toEqual([
      "--registry_address: registry_address has no effect beside the URL of registry (--registry)",
    ]);
    expect(both.values.registry).toBe("consul://h");
  });

  test("an address that is missing, or none, is an error", () => {
    expect(loadError({ argv: ["--registry=dns"] }).message).toBe(
      "--registry: expected registry_address=... beside registry=dns, or the whole URL, found no address",
    );
    expect(loadError({ argv: ["--registry=consul", "--registry_address=h:x"] }).message).toMatch(
      /^--registry_address: expected file:.*found "consul:\/\/h:x"$/,
    );
  });
});
