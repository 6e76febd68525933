import { describe, expect, expectTypeOf, test } from "vitest";
import type { Sections } from "../../src/config/schema.js";
import { conf, MprpcApplication } from "../../src/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { MemoryStore, memoryRegistry } from "../../src/testing/index.js";
import { load, loadError } from "./load.js";

const { key } = conf;
const MiB = 1024 * 1024;

const sections = {
  upload: {
    part: key(conf.size({ min: 1, max: 64 * MiB }), "8MiB", { doc: "Size of a part." }),
    maxbytes: key(conf.size({ min: 1, max: 64 * MiB }), "1MiB"),
    ttl: key(conf.duration({ minMs: 1, maxMs: 366 * 86_400_000, none: true }), "30d"),
  },
  disk: {
    root: key(conf.optional(conf.directory), ""),
    mode: key(conf.choice("fast", "safe"), "safe"),
    secret: key(conf.optional(conf.text("TEXT", "a secret of 4 letters", (text) => text.length === 4)), "", {
      secret: true,
    }),
    url: key(conf.text("URL", "a URL"), "http://a"),
  },
  "disk-cache": { dir: key(conf.directory, "/tmp"), "max-age": key(conf.integer({ min: 0, max: 9 }), "1") },
};

describe("a program's own sections", () => {
  test("none declared: an unknown section is a warning, as ever", () => {
    const { own, warnings } = load({ conf: "[upload]\npart=1MiB" });
    expect(own).toEqual({});
    expect(warnings).toEqual([
      'mprpc.conf:1: unknown section "[upload]", all of it ignored; a section of a program\'s own is named [app.upload]',
    ]);
  });

  test("[app] and [app.NAME] are some program's: who has not declared them says nothing", () => {
    const shared = {
      conf: "[app]\na=1\n[app.upload]\npart=1MiB\nttl=1s\n[app.b]\nx=1",
      env: { MPRPC_APP_B_X: "2" },
    };
    expect(load(shared)).toMatchObject({ own: {}, warnings: [] });
    const mine = {
      "app.upload": sections.upload,
      "app.c": { x: key(conf.integer({ min: 0, max: 9 }), "1") },
    };
    const { own, origins, warnings } = load({
      conf: shared.conf.replace("[app.b]", "[app.c]"),
      env: { MPRPC_APP_UPLOAD_PART: "2MiB" },
      argv: ["--app.upload.ttl=2s"],
      sections: mine,
    });
    expect(own["app.upload"]).toEqual({ partBytes: 2 * MiB, maxbytes: MiB, ttlMs: 2000 });
    expect(own["app.c"]).toEqual({ x: 1 });
    expect(origins["app.upload.part"]).toEqual({ source: "env", where: "MPRPC_APP_UPLOAD_PART" });
    expect(warnings).toEqual([]);
  });

  test("an [app.NAME] that is nearly a declared one, which the file lacks, is told", () => {
    const { warnings } = load({
      conf: "[app.uplaod]\npart=1MiB",
      env: { MPRPC_APP_UPLOAD_PATR: "1" },
      sections: { "app.upload": sections.upload },
    });
    expect(warnings).toEqual([
      'mprpc.conf:1: unknown section "[app.uplaod]", all of it ignored; did you mean "app.upload"?',
      'MPRPC_APP_UPLOAD_PATR: unknown variable, ignored; did you mean "MPRPC_APP_UPLOAD_PART"?',
    ]);
  });

  test("defaults, typed by the schema and named with their units", () => {
    const { own, origins } = load({ sections });
    expect(own).toEqual({
      upload: { partBytes: 8 * MiB, maxbytes: MiB, ttlMs: 30 * 86_400_000 },
      disk: { root: undefined, mode: "safe", secret: undefined, url: "http://a" },
      "disk-cache": { dir: "/tmp", "max-age": 1 },
    });
    expect(Object.isFrozen(own) && Object.isFrozen(own.upload)).toBe(true);
    expect(origins["upload.part"]).toEqual({ source: "default", where: "" });
    expectTypeOf(own.upload.partBytes).toEqualTypeOf<number>();
    expectTypeOf(own.upload.ttlMs).toEqualTypeOf<number>();
    expectTypeOf(own.disk.root).toEqualTypeOf<string | undefined>();
    expectTypeOf(own.disk.mode).toEqualTypeOf<"fast" | "safe">();
    expectTypeOf<keyof typeof own.upload>().toEqualTypeOf<"partBytes" | "maxbytes" | "ttlMs">();
  });

  test("file < environment < flags", () => {
    const { own, origins, warnings } = load({
      conf: "[upload]\npart=1MiB\nttl=none\n[disk]\nroot=/a\nmode=FAST\n[log]\nlevel=warn\n",
      env: { MPRPC_UPLOAD_PART: "2MiB", MPRPC_DISK_ROOT: " /b ", MPRPC_DISK_CACHE_MAX_AGE: "3" },
      argv: ["--disk.root=/c", "--disk-cache.dir=/d"],
      sections,
    });
    expect(own.upload).toEqual({ partBytes: 2 * MiB, maxbytes: MiB, ttlMs: Number.POSITIVE_INFINITY });
    expect(own.disk).toMatchObject({ root: "/c", mode: "fast" });
    expect(own["disk-cache"]).toEqual({ dir: "/d", "max-age": 3 });
    expect(origins["disk.root"]).toEqual({ source: "flag", where: "--disk.root" });
    expect(origins["disk.mode"]).toEqual({ source: "file", where: "mprpc.conf:6" });
    expect(warnings).toEqual([]);
  });

  test("what is given twice, unknown or in the wrong section is told, with the nearest name", () => {
    const { warnings } = load({
      conf: "[upload]\npart=1\npart=2\npat=3\nroot=/x\n[uplod]\n[disk]\nurI=x",
      env: { MPRPC_UPLOAD_PARTS: "1" },
      sections,
    });
    expect(warnings).toEqual([
      'mprpc.conf:6: unknown section "[uplod]", all of it ignored; did you mean "upload"?',
      "mprpc.conf:3: upload.part is given twice: this line wins over mprpc.conf:2, which is ignored",
      'mprpc.conf:4: unknown key "pat", ignored; did you mean "part"?',
      'mprpc.conf:5: unknown key "root", ignored; write root= beneath [disk]',
      'mprpc.conf:8: unknown key "urI", ignored; did you mean "url"?',
      'MPRPC_UPLOAD_PARTS: unknown variable, ignored; did you mean "MPRPC_UPLOAD_PART"?',
    ]);
  });

  test.each([
    [
      { conf: "[upload]\npart=65MiB" },
      'mprpc.conf:2: upload.part: expected a size from 1 to 64MiB such as 65536, 64KiB or 4MiB, found "65MiB"',
    ],
    [
      { env: { MPRPC_UPLOAD_TTL: "367d" } },
      'MPRPC_UPLOAD_TTL: upload.ttl: expected a duration from 1ms to 366d such as 5000, 500ms, 5s or 2m, or none, found "367d"',
    ],
    [
      { argv: ["--disk.secret=hunter2"] },
      "--disk.secret: expected a secret of 4 letters, found a value that is not shown because it is secret",
    ],
    [
      { argv: ["--disk.root", "/x"] },
      '--disk.root: expected --disk.root=/x, found a space in the place of "="',
    ],
    [
      { argv: ["--disk.rot=/x"] },
      'command line: expected a known key (flags of the program\'s own come after "--"), found "--disk.rot"; did you mean "--disk.root"?',
    ],
  ])("%j is refused", (given, message) => {
    expect(loadError({ ...given, sections }).message).toBe(message);
  });

  const fine = key(conf.integer({ min: 0, max: 9 }), "1");
  test.each([
    [{ log: { a: fine } }, "[log]: this section is one of mprpc's"],
    [{ "a.b": {} }, "[a.b]: a name has lower-case letters"],
    [{ "": {} }, "[]: a name has lower-case letters"],
    [{ disk: { Root: fine } }, "disk.Root: a name has lower-case letters"],
    [
      { disk: { a: { ...fine, fallback: "10" } } },
      'disk.a: expected an integer from 0 to 9 as its default, found "10"',
    ],
    [{ disk: { "a-b": fine, a_b: fine } }, "disk.a_b: disk.a-b has the same variable or value name"],
    [{ disk: { "cache-a": fine }, disk_cache: { a: fine } }, "disk_cache.a: disk.cache-a has the same"],
    [
      { disk: { max: key(conf.size({ min: 0, max: 9 }), "1"), maxBytes: fine } },
      "disk.maxBytes: a name has lower-case letters",
    ],
    [["disk"] as unknown as Record<string, never>, "expected an object { section: { key: conf.key(...) } }"],
    [{ my: { a: 5 } } as unknown as Sections, 'option "sections": [my] a: expected conf.key(...), got 5'],
    [{ my: { a: conf.yesNo } } as unknown as Sections, "[my] a: expected conf.key(...), got an object"],
    [{ my: 5 } as unknown as Sections, "[my]: expected an object { key: conf.key(...) }, got 5"],
  ])("%j cannot be the program's", (bad, text) => {
    expect(() => load({ sections: bad })).toThrow(TypeError);
    expect(() => load({ sections: bad })).toThrow(text);
  });

  const untyped = conf as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  test.each<[maker: string, args: readonly unknown[], text: string]>([
    [
      "key",
      [conf.duration({ minMs: 1000 }), "1parsec"],
      'conf.key: expected a duration from 1s to 24 days such as 5000, 500ms, 5s or 2m as the default, written as in a conf file, got "1parsec"',
    ],
    ["key", [conf.integer({ min: 0, max: 9 }), 5], "written as in a conf file, got 5"],
    ["key", [conf.duration, "1s"], "conf.key: expected a kind, such as conf.duration({ minMs: 1000 })"],
    ["duration", [], "conf.duration: expected limits, such as conf.duration({ minMs: 1000 })"],
    ["duration", [{}], 'conf.duration: "minMs" is missing, write conf.duration({ minMs: 1000 })'],
    ["duration", [{ minMS: 1 }], 'conf.duration: unknown option "minMS"; did you mean "minMs"?'],
    ["integer", [], "conf.integer: expected limits, such as conf.integer({ min: 1, max: 100 })"],
    ["integer", [{ min: 1 }], 'conf.integer: "max" is missing'],
    ["size", [], "conf.size: expected limits, such as conf.size({"],
    ["port", [], "conf.port: expected 0 (any free one may be asked for) or 1, got undefined"],
    ["choice", [], "conf.choice: expected the words to choose from"],
    ["optional", [], "conf.optional: expected a kind"],
  ])("conf.%s of %j says at once what is wrong", (maker, args, text) => {
    const make = () => untyped[maker]?.(...args);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(text);
  });

  test("they are printed after ours, secrets masked, credentials hidden", () => {
    const loaded = load({
      sections,
      conf: "[disk]\nsecret=abcd\nurl=http://me:pw@host/",
      argv: ["--upload.part=1048576"],
    });
    const lines = conf
      .render(loaded, sections)
      .split("\n")
      .map((line) => line.replace(/ +/g, " "));
    expect(lines).toContain("upload.part = 1MiB (flag --upload.part)");
    expect(lines).toContain("disk.secret = *** (mprpc.conf:2)");
    expect(lines).toContain("disk.url = http://***@host/ (mprpc.conf:3)");
    expect(lines).toContain("upload.ttl = 30d (default)");
    expect(conf.usage(sections)).toContain("--upload.part=SIZE                      Size of a part. [8MiB]");
  });

  test("the application has them", async () => {
    const parts = { env: {}, log: silentLogger, registry: memoryRegistry({ store: new MemoryStore() }) };
    const argv = ["node", "program", "--disk.root=/data"];
    await using app = await MprpcApplication.init(argv, { ...parts, sections });
    expect(app.config.own.disk.root).toBe("/data");
    // Where an application of any program will do.
    const any: MprpcApplication = app;
    expect(any.config.own).toBe(app.config.own);
  });

  test("the registry may depend on what the configuration says", async () => {
    const store = new MemoryStore();
    const seen: unknown[] = [];
    await using app = await MprpcApplication.init(["node", "program", "--disk.root=/data"], {
      env: {},
      log: silentLogger,
      sections,
      registry: (config) => {
        seen.push(config.own.disk.root, config.origins.registry.source);
        return memoryRegistry({ store });
      },
    });
    expect(seen).toEqual(["/data", "default"]);
    expect(app.registry.name).toBe(memoryRegistry({ store }).name);
    await using other = await MprpcApplication.init(["node", "program", "--registry=static://127.0.0.1:1"], {
      env: {},
      log: silentLogger,
      registry: () => undefined,
    });
    expect(other.registry.name).toContain("static");
  });
});
