import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { conf } from "mprpc";
import { expect, test } from "vitest";
import { sections } from "../../src/common/sections.js";

const confPath = fileURLToPath(new URL("../../clouddisk.conf", import.meta.url));

const head = `# The configuration of the cloud disk. Each key stands here with its default; a key behind a # is not set.
# 网盘的配置文件。所有键均为默认值；以 # 开头的键未设置。
#
# Times: 500ms, 5s, 2m, 7d, or a number of milliseconds. Sizes: 64KiB, 4MiB, or bytes. "#" begins a comment.
# 时间：500ms、5s、2m、7d，纯数字为毫秒。大小：64KiB、4MiB，纯数字为字节。# 之后为注释。
# Stronger than this file / 优先级高于本文件: MPRPC_UPLOAD_PART=16MiB, --upload.part=16MiB
# The keys of mprpc itself may stand here as well (bin/mprpc.conf of the repository explains them); these are what
# several machines need. mprpc 自身的键同样可写在这里；以下是多机部署所需的键。

# Where the services find each other; not set: a folder in the data folder, for one machine.
# 服务注册中心；不设置则为数据目录中的文件夹（单机）。
#registry=zookeeper://127.0.0.1:2181

# Where this process takes calls of the others, and what they are told. Not set: on no port, but within the process, or on a unix
# socket of this user while the registry is a folder.
# 本进程接收 RPC 的地址，以及对外公布的地址。不设置则不监听端口：在进程内调用；注册中心为文件夹时使用本用户的 unix 套接字。
#rpcserverip=0.0.0.0
#advertiseaddress=192.0.2.10

# A broker that hands out the jobs of transfer and carries changes to the live feeds: redis://, or nats://h1:4222,h2:4222; a prefix for each disk.
# Not set: the database is asked for both.
# 消息代理：分发转存任务，向实时订阅传递变更；每个网盘使用各自的 prefix。不设置则轮询数据库。
#broker=redis://127.0.0.1:6379/0?prefix=clouddisk


# The log / 日志
[log]

# One line of text for people, or one JSON object a line for machines.
# 日志格式：供人阅读的单行文本，或 JSON。
format=classic

# Directory of the log files; not set: stderr, which start-all.sh keeps in logs/ of the data folder.
# 日志目录；不设置则输出到 stderr，由 start-all.sh 保存在数据目录的 logs/ 中。
#dir=/var/log/clouddisk
`;

const titles: Readonly<Record<keyof typeof sections, string>> = {
  clouddisk: "The data folder / 数据目录",
  apigw: "The gateway / 网关",
  account: "Users / 用户",
  database: "The database / 数据库",
  progress: "Parts received / 分块进度",
  upload: "Uploads / 上传",
  download: "Downloads / 下载",
  store: "Where contents stay / 对象存储",
  transfer: "Into the store, and cleaning up / 转存与清理",
};

function sample(): string {
  const lines = [head.trimEnd()];
  for (const [section, keys] of Object.entries(sections)) {
    lines.push("", "", `# ${titles[section as keyof typeof sections]}`, `[${section}]`);
    for (const [name, key] of Object.entries(keys)) {
      const assignment = key.fallback === "" ? `#${name}=${key.example ?? ""}` : `${name}=${key.fallback}`;
      lines.push("", `# ${key.doc}`, `# ${key.docZh}`, assignment);
    }
  }
  return `${lines.join("\n")}\n`;
}

const load = (text: string) =>
  conf.load({
    argv: ["-i", "clouddisk.conf"],
    env: {},
    cwd: "/",
    sections,
    readFile: () => Buffer.from(text),
  });

test("every key says what it is for, in both languages, and has an example or a default", () => {
  for (const [section, keys] of Object.entries(sections)) {
    for (const [name, key] of Object.entries(keys)) {
      const where = `${section}.${name}`;
      expect(key.doc, where).toMatch(/\.$/);
      expect(key.docZh, where).toMatch(/。$/);
      if (key.fallback === "") expect(key.kind.parse(key.example ?? ""), where).toBeDefined();
      if (key.fallback === "") expect(key.example, where).toBeDefined();
    }
  }
});

// When a key changes: npx vitest run example/clouddisk/test/node/conf.test.ts --update
test("clouddisk.conf is what the sections say, and changes nothing", async () => {
  await expect(sample()).toMatchFileSnapshot(confPath);
  const loaded = load(readFileSync(confPath, "utf8"));
  expect(loaded.warnings).toEqual([]);
  expect(loaded.own).toEqual(load("").own);
});

test("all of its keys can be uncommented without a complaint", () => {
  const text = readFileSync(confPath, "utf8").replaceAll(/^#(\w+=)/gm, "$1");
  expect(load(text).warnings).toEqual([]);
});

test.each([
  ["upload", "part", "65MiB"],
  ["upload", "publicurl", "https://disk.example.com/path"],
  ["apigw", "trustedproxies", "10.0.0.0/33"],
  ["apigw", "trustedproxies", "proxy"],
  ["database", "url", "mysql://host"],
  ["progress", "url", "redis"],
  ["store", "url", "local:relative"],
  ["store", "bucket", "A"],
  ["clouddisk", "node", "../x"],
])("[%s] %s=%s is refused with its line", (section, key, value) => {
  expect(() => load(`[${section}]\n${key}=${value}`)).toThrow(
    `clouddisk.conf:2: ${section}.${key}: expected `,
  );
});
