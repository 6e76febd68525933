import type { LoadedConfig, NoSections, Origin } from "./config.js";
import { hideCredentials } from "./config-error.js";
import { ownRows } from "./own-sections.js";
import { type KeyRow, keyRows, type Sections, sectionDocs } from "./schema.js";

/** A value longer than this does not push the column of origins any further to the right. */
const valueColumnMax = 40;

/**
 * What `mprpc config` prints: one `key = value  (origin)` a line, aligned, secrets as `***`. Ends with a newline;
 * the warnings are not in it. `sections`: those the configuration was loaded with.
 */
export function renderConfig<S extends Sections = NoSections>(loaded: LoadedConfig<S>, sections?: S): string {
  const rows = [...keyRows, ...ownRows(sections ?? {})].map((row) => ({
    name: row.name as string,
    value: showValue(row, loaded),
    origin: describeOrigin((loaded.origins as Readonly<Record<string, Origin>>)[row.name]),
  }));
  for (const [service, values] of Object.entries(loaded.services)) {
    for (const [key, value] of Object.entries(values)) {
      const name = `service.${service}.${key}`;
      const origin = describeOrigin((loaded.origins as Readonly<Record<string, Origin>>)[name]);
      rows.push({ name, value, origin });
    }
  }
  const nameWidth = Math.max(...rows.map((row) => row.name.length));
  const widths = rows.map((row) => row.value.length).filter((width) => width <= valueColumnMax);
  const valueWidth = Math.max(...widths);
  const lines = rows.map(
    ({ name, value, origin }) => `${name.padEnd(nameWidth)} = ${value.padEnd(valueWidth)}  (${origin})`,
  );
  const rules = loaded.authz.map(({ pattern, value, where }) => `authz ${pattern} = ${value}  (${where})`);
  return [`# conf file: ${loaded.file ?? "none"}`, ...lines, ...rules, ""].join("\n");
}

function showValue<S extends Sections>(row: KeyRow, { values, own }: LoadedConfig<S>): string {
  const all: Readonly<Record<string, unknown>> = { ...values, ...own };
  const section = row.section === "" ? all : all[row.section];
  const value = (section as Readonly<Record<string, unknown>>)[row.valueName];
  if (row.secret && value !== undefined) return "***";
  return hideCredentials(row.kind.format(value));
}

function describeOrigin(origin: Origin | undefined): string {
  const { source = "default", where = "" } = origin ?? {};
  return source === "default" || source === "file" ? where || source : `${source} ${where}`;
}

/** The part of a usage text that the schema knows: `-i` and each `--key=`, ours and those of `sections`. Ends with a newline. */
export function usage(sections: Sections = {}): string {
  const flags: Array<readonly [flag: string, doc: string]> = [
    ["-i FILE", "The conf file; ./mprpc.conf, if there is one, without it."],
    ...[...keyRows, ...ownRows(sections)].map((row) => {
      const unset = row.fallback === "" ? "" : ` [${row.fallback}]`;
      return [`--${row.name}=${row.kind.placeholder}`, row.doc + unset] as const;
    }),
    ["-- ...", "The program's own arguments."],
  ];
  const width = 40;
  const lines = flags.map(([flag, doc]) =>
    flag.length < width ? `  ${flag.padEnd(width)}${doc}` : `  ${flag}\n  ${" ".repeat(width)}${doc}`,
  );
  return [
    "Every flag may also stand in the conf file ([log] level=debug) or in the environment",
    "(MPRPC_LOG_LEVEL=debug); a flag wins over the environment, which wins over the file.",
    "",
    ...lines,
    "",
  ].join("\n");
}

/** A conf file with each key, its default and what it is for, in English and Chinese: bin/mprpc.conf. */
export function sampleConf(): string {
  const lines = [
    "# The configuration of an mprpc node. Each key stands here with its default; a key behind a # is not set.",
    "# mprpc 节点的配置文件。所有键均为默认值；以 # 开头的键未设置。",
    "#",
    '# Times: 500ms, 5s, 2m, or a number of milliseconds. Sizes: 64KiB, 4MiB, or bytes. "#" begins a comment.',
    "# 时间：500ms、5s、2m，纯数字为毫秒。大小：64KiB、4MiB，纯数字为字节。# 之后为注释。",
    "# Stronger than this file / 优先级高于本文件: MPRPC_LOG_LEVEL=debug, --log.level=debug",
  ];
  let section = "";
  for (const row of keyRows) {
    if (row.section !== section) {
      section = row.section;
      lines.push("", "", `# ${sectionDocs[section] ?? ""}`, `[${section}]`);
    }
    const assignment =
      row.example === undefined ? `${row.key}=${row.fallback}` : `#${row.key}=${row.example}`;
    lines.push("", `# ${row.doc}`, `# ${row.docZh}`, assignment);
  }
  return `${lines.join("\n")}\n`;
}
