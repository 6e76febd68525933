import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { AdvertisedAddress, ConfigValues, KeyName } from "../../src/config/config.js";
import { renderConfig, sampleConf, usage } from "../../src/config/render.js";
import { type KeyRow, keyRows, sectionDocs, sectionNames } from "../../src/config/schema.js";
import { loggerDefaults } from "../../src/logger/options.js";
import { defaultWireLimits } from "../../src/protocol/mprpc/wire/limits.js";
import { load } from "./load.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const samplePath = `${root}bin/mprpc.conf`;

/** What a key needs beside it. */
const companionOf: Readonly<Record<string, readonly string[]>> = {
  "tls.peername": ["--tls.mode=required"],
  "auth.secret": ["--auth.secrets=/etc/mprpc/secrets"],
};

describe("the table of keys", () => {
  test.each(keyRows.map((row) => [row.name, row] as const))("%s is well formed", (_name, row) => {
    // One key is spelled as go-micro's flag is.
    expect(row.key).toMatch(/^(?:[a-z]+|registry_address)$/);
    expect(row.environment).toMatch(/^MPRPC(_[A-Z]+)+$/);
    expect(row.kind.parse(row.fallback), "its default is none of its values").toBeDefined();
    if (row.example !== undefined) expect(row.kind.parse(row.example)).toBeDefined();
    if (row.fallback === "") expect(row.example).toBeDefined();
    expect(row.doc).toMatch(/\.$/);
    expect(row.docZh).toMatch(/。$/);
    expect(sampleConf().match(new RegExp(`^#?${row.key}=`, "m"))).not.toBeNull();
  });

  test("no two keys share a flag, a variable or a place among the values", () => {
    for (const name of ["name", "environment"] as const) {
      expect(new Set(keyRows.map((row) => row[name])).size).toBe(keyRows.length);
    }
    expect(new Set(keyRows.map((row) => `${row.section}.${row.valueName}`)).size).toBe(keyRows.length);
    // A top-level key named like a section would be overwritten by it.
    expect(keyRows.filter((row) => row.section === "" && sectionNames.includes(row.valueName))).toEqual([]);
    expect(Object.keys(sectionDocs)).toEqual(sectionNames);
  });

  test("each key can be given in each of the three ways", () => {
    for (const row of keyRows) {
      const text = row.example ?? row.fallback;
      const conf = row.section === "" ? `${row.key}=${text}` : `[${row.section}]\n${row.key}=${text}`;
      const argv = companionOf[row.name] ?? [];
      expect(load({ conf, argv }).origins[row.name].source).toBe("file");
      expect(load({ env: { [row.environment]: text }, argv }).origins[row.name].source).toBe("env");
      expect(load({ argv: [`--${row.name}=${text}`, ...argv] }).origins[row.name].source).toBe("flag");
    }
  });

  test("its defaults are those of the parts it configures", () => {
    const { log, limits } = load().values;
    expect(log).toEqual({
      level: loggerDefaults.level,
      format: loggerDefaults.format,
      console: loggerDefaults.console,
      dir: loggerDefaults.dir === "" ? undefined : loggerDefaults.dir,
      file: loggerDefaults.file,
      maxbytes: loggerDefaults.maxBytes,
      maxfiles: loggerDefaults.maxFiles,
      queuelimit: loggerDefaults.queueLimit,
      overflow: loggerDefaults.overflow,
      redact: loggerDefaults.redact,
    });
    expect(limits.headerBytes).toBe(defaultWireLimits.headerMaxBytes);
    expect(limits.bodyBytes).toBe(defaultWireLimits.bodyMaxBytes);
  });

  test("the values are typed by it", () => {
    expectTypeOf<ConfigValues["calltimeoutMs"]>().toEqualTypeOf<number>();
    expectTypeOf<ConfigValues["rpcserverip"]>().toEqualTypeOf<string>();
    expectTypeOf<ConfigValues["zookeeperip"]>().toEqualTypeOf<string | undefined>();
    expectTypeOf<ConfigValues["advertiseaddress"]>().toEqualTypeOf<AdvertisedAddress | undefined>();
    expectTypeOf<ConfigValues["channel"]["balancer"]>().toEqualTypeOf<"roundrobin" | "random" | "p2c">();
    expectTypeOf<ConfigValues["log"]["format"]>().toEqualTypeOf<"classic" | "json">();
    expectTypeOf<ConfigValues["log"]["maxbytes"]>().toEqualTypeOf<number>();
    expectTypeOf<ConfigValues["log"]["redact"]>().toEqualTypeOf<readonly string[]>();
    expectTypeOf<ConfigValues["limits"]["bodyBytes"]>().toEqualTypeOf<number>();
    expectTypeOf<ConfigValues["provider"]["classic"]>().toEqualTypeOf<boolean>();
    expectTypeOf<"calltimeout" | "log.level">().toExtend<KeyName>();
    expectTypeOf<"log">().not.toExtend<KeyName>();
  });
});

describe("mprpc config", () => {
  test("each value with its origin, secrets masked", async () => {
    const loaded = load({
      conf: [
        "rpcserverport=8000",
        "zookeeperip=10.0.0.1",
        "calltimeout=1500",
        "[log]",
        "dir='/var/log/my service'",
        "redact=pwd, *.token",
        "[limits]",
        "body=16777216",
        "[zookeeper]",
        "auth=me:hunter2",
      ].join("\n"),
      env: { MPRPC_ADVERTISEADDRESS: "[2001:db8::1]:8000" },
      argv: ["--log.level=debug", "--keepalive.interval=none"],
    });
    await expect(renderConfig(loaded)).toMatchFileSnapshot("mprpc-config.golden.txt");
  });

  test("credentials in a registry URL are masked too, and a long value moves no other line", () => {
    const hosts = Array.from({ length: 20 }, (_, i) => `zk${i}.example:2181`).join(",");
    const rendered = renderConfig(load({ argv: [`--registry=zookeeper://me:hunter2@${hosts}`] }));
    expect(rendered).toContain("= zookeeper://***@zk0.example:2181,zk1");
    expect(rendered).not.toContain("hunter2");
    const plain = renderConfig(load()).split("\n");
    const other = rendered.split("\n");
    for (const [i, line] of plain.entries()) if (!line.startsWith("registry")) expect(other[i]).toBe(line);
  });
});

test("the usage text names every flag", () => {
  const text = usage();
  for (const row of keyRows) expect(text).toContain(`  --${row.name}=${row.kind.placeholder}`);
  expect(text).toContain("  -i FILE");
  expect(text.endsWith("\n")).toBe(true);
});

/** Keys that mean nothing without another one. */
const companions = ["zookeeperport", "registry_address", "peername", "secret"];

describe("bin/mprpc.conf", () => {
  // When the table changes: npx vitest run test/config --update
  test("is what the table says", async () => {
    await expect(sampleConf()).toMatchFileSnapshot(samplePath);
  });

  test("has no warnings and changes nothing", () => {
    const sample = load({ conf: readFileSync(samplePath) });
    expect(sample.warnings).toEqual([]);
    expect(sample.values).toEqual(load().values);
  });

  test("any one of its commented keys can be uncommented without a complaint", () => {
    const sample = readFileSync(samplePath, "utf8");
    const commented = keyRows.filter((row) => row.example !== undefined && !companions.includes(row.key));
    for (const row of commented) {
      const conf = sample.replace(`\n#${row.key}=`, `\n${row.key}=`);
      expect(conf).not.toBe(sample);
      const loaded = load({ conf });
      expect(loaded.warnings).toEqual([]);
      expect(loaded.origins[row.name].source).toBe("file");
    }
  });

  test("a registry by its kind and its address", () => {
    const sample = readFileSync(samplePath, "utf8");
    const conf = sample
      .replace("#registry=file:", "registry=consul")
      .replace("#registry_address", "registry_address");
    const loaded = load({ conf });
    expect(loaded.values.registry).toBe("consul://127.0.0.1:8500");
    expect(loaded.warnings).toEqual([]);
  });

  test.each(["tls.ca", "auth.secrets"])("the name of a provider beside %s", (name) => {
    const sample = readFileSync(samplePath, "utf8");
    const key = name.slice(name.indexOf(".") + 1);
    const conf = sample.replace(`\n#${key}=`, `\n${key}=`).replace("\n#peername=", "\npeername=");
    const loaded = load({ conf });
    expect(loaded.values.tls.peername).toBe("users.example");
    expect(loaded.warnings).toEqual([]);
  });

  test("the classic two together", () => {
    const sample = readFileSync(samplePath, "utf8");
    const loaded = load({
      conf: sample.replace("#zookeeperip", "zookeeperip").replace("#zookeeperport", "zookeeperport"),
    });
    expect(loaded.values.registry).toBe("zookeeper://127.0.0.1:2181");
    expect(loaded.warnings).toEqual([]);
  });
});

test.each(["docs/config.md", "docs/config.zh-CN.md"])("%s lists every key as it is", async (name) => {
  const file = root + name;
  const docs = readFileSync(file, "utf8");
  const [, before, after] = /^(.*<!-- keys -->\n).*(<!-- end of keys -->.*)$/s.exec(docs) ?? [];
  expect(after).toBeDefined();
  await expect(`${before}${keyTables(name.includes("zh"))}${after}`).toMatchFileSnapshot(file);
});

/** The part of docs/config.md between its two marks. */
function keyTables(chinese: boolean): string {
  const [first, head, unset] = chinese
    ? ["第一个节之前", "| 键 | 默认值 | 取值 | 含义 |", "不设置"]
    : ["Above the first section", "| key | default | value | meaning |", "not set"];
  const tables = ["", ...sectionNames].map((section) => {
    const rows = keyRows
      .filter((row) => row.section === section)
      .map((row) => tableRow(row, unset, chinese ? row.docZh : row.doc));
    const title = section === "" ? first : `\`[${section}]\``;
    return `\n### ${title}\n\n${head}\n|---|---|---|---|\n${rows.join("\n")}\n`;
  });
  return `${tables.join("")}\n`;
}

function tableRow(row: KeyRow, unset: string, doc: string): string {
  const value = row.kind.expected.replaceAll("|", "\\|");
  const fallback = row.fallback === "" ? unset : `\`${row.fallback}\``;
  return `| \`${row.key}\` | ${fallback} | ${value} | ${doc} |`;
}
