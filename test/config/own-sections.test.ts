import { describe, expect, test } from "vitest";
import { MprpcApplication } from "../../src/index.js";
import { silentLogger } from "../../src/logger/logger.js";
import { MemoryStore, memoryRegistry } from "../../src/testing/index.js";
import { load, loadError } from "./load.js";

const sections = ["clouddisk", "disk", "disk_cache"];

describe("a program's own sections", () => {
  test("none declared: an unknown section is a warning, as ever", () => {
    const { own, warnings } = load({ conf: "[clouddisk]\nroot=/x" });
    expect(Object.keys(own)).toEqual([]);
    expect(warnings).toEqual(['mprpc.conf:1: unknown section "[clouddisk]", all of it ignored']);
  });

  test("file < environment < flags, as text, without a warning; empty where nothing is said", () => {
    const { own, warnings } = load({
      conf: '[clouddisk]\nroot=/a\nMax-Size=5 GiB\nkept="a#b"\n[log]\nlevel=warn\n[disk]\n',
      env: { MPRPC_CLOUDDISK_MAX_SIZE: " 6 ", MPRPC_CLOUDDISK_ROOT: "/b", MPRPC_CLOUDDISK_KEPT: "" },
      argv: ["--clouddisk.root=/c=d", "--clouddisk.log.level=x"],
      sections,
    });
    expect(own).toEqual({
      clouddisk: { root: "/c=d", "Max-Size": "6", kept: "a#b", "log.level": "x" },
      disk: {},
      disk_cache: {},
    });
    expect(warnings).toEqual([]);
    expect(Object.isFrozen(own) && Object.isFrozen(own.clouddisk)).toBe(true);
  });

  test("a key that the conf does not have is named by a variable in lower case, of the longest section", () => {
    const { own, warnings } = load({
      env: { MPRPC_DISK_CACHE_DIR: "/a", MPRPC_DISK_ROOT: "/b", MPRPC_DISK_: "x", MPRPC_DSK_ROOT: "y" },
      sections,
    });
    expect(own).toEqual({ clouddisk: {}, disk: { root: "/b" }, disk_cache: { dir: "/a" } });
    expect(warnings.map((one) => one.split(":")[0])).toEqual(["MPRPC_DISK_", "MPRPC_DSK_ROOT"]);
  });

  test("names of Object are names as any other", () => {
    const { own } = load({ conf: "[disk]\n__proto__=1\nconstructor=2", sections });
    expect(Object.entries(own.disk ?? {})).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
    ]);
  });

  test("what is given twice is told", () => {
    const { own, warnings } = load({
      conf: "[disk]\na=1\na=2",
      argv: ["--disk.b=1", "--disk.b=2"],
      sections,
    });
    expect(own.disk).toEqual({ a: "2", b: "2" });
    expect(warnings).toEqual([
      "mprpc.conf:3: disk.a is given twice: this line wins over mprpc.conf:2, which is ignored",
      "--disk.b is given twice: the last one wins",
    ]);
  });

  test.each([
    [{ argv: ["--disk.root"] }, "--disk.root: expected --disk.root=TEXT, found no value"],
    [
      { argv: ["--disk.root", "/x"] },
      '--disk.root: expected --disk.root=TEXT, found a space in the place of "="',
    ],
    [
      { conf: "[disk]\nroot=a\u0007b" },
      "mprpc.conf:2: disk.root: expected text in UTF-8 and without control characters, found something else",
    ],
    [
      { argv: ["--dsk.root=/x"] },
      'command line: expected a flag of mprpc (the program\'s own come after "--"), found "--dsk.root"',
    ],
  ])("%j is refused", (given, message) => {
    expect(loadError({ ...given, sections }).message).toBe(message);
  });

  test.each([
    ["log", 'option "sections": [log] is one of mprpc\'s'],
    ["a.b", 'option "sections": "a.b" is no name'],
    ["", 'option "sections": "" is no name'],
    [5, 'option "sections": number is no name'],
  ])("%j cannot be one", (name, text) => {
    expect(() => load({ sections: [name as string] })).toThrow(TypeError);
    expect(() => load({ sections: [name as string] })).toThrow(text);
  });

  test("the application has them", async () => {
    const parts = { env: {}, log: silentLogger, registry: memoryRegistry({ store: new MemoryStore() }) };
    const argv = ["node", "program", "--clouddisk.root=/data"];
    await using app = await MprpcApplication.init(argv, { ...parts, sections });
    expect(app.config.own.clouddisk?.root).toBe("/data");
  });
});
