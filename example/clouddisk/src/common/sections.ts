import net from "node:net";
import { conf, type Sections } from "mprpc";

const { key, optional } = conf;
const KiB = 1024;
const MiB = KiB * KiB;
const TiB = MiB * MiB;
const dayMs = 86_400_000;

function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/?#\s]+$/.test(text) && URL.canParse(text);
}

function isAddressOrNetwork(text: string): boolean {
  const [address = "", bits, ...more] = text.split("/");
  const most = { 4: 32, 6: 128 }[net.isIP(address)];
  if (most === undefined || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
}

const publicUrl = optional(
  conf.text("URL", "http://host[:port] or https://host[:port], without a path", isHttpUrl),
);

const networks = {
  ...conf.list,
  expected: "IP addresses or networks such as 10.0.0.0/8 between commas",
  parse(text: string) {
    const parsed = conf.list.parse(text);
    return parsed?.value.every(isAddressOrNetwork) ? parsed : undefined;
  },
};

function listens(port: string, what: string, whatZh: string) {
  return {
    host: key(conf.host, "127.0.0.1", {
      doc: `Where ${what} listens; 0.0.0.0 or :: for all interfaces.`,
      docZh: `${whatZh}监听的地址；0.0.0.0 或 :: 表示所有网卡。`,
    }),
    port: key(conf.port(0), port, {
      doc: "Its port; 0 takes any free one.",
      docZh: "监听的端口；0 表示任选空闲端口。",
    }),
    publicurl: key(publicUrl, "", {
      doc: "What browsers call it, behind a proxy or on another machine; not set: as it listens.",
      docZh: "浏览器访问用的地址（反向代理或其他机器）；不设置则为监听地址。",
      example: "https://disk.example.com",
    }),
  };
}

/** The sections of the conf that are the cloud disk's own; clouddisk.conf says the same. */
export const sections = {
  clouddisk: {
    data: key(optional(conf.directory), "", {
      doc: "Staged uploads, the embedded database, store and registry; also CLOUDDISK_DATA. Not set: ~/.local/share/mprpc-clouddisk.",
      docZh: "数据目录：暂存的上传、内置数据库、存储与注册中心；也可用 CLOUDDISK_DATA 指定。",
      example: "/var/lib/clouddisk",
    }),
    node: key(
      optional(conf.text("NAME", "a name of 1 to 100 letters, digits, dots, _ and -", isNodeName)),
      "",
      {
        doc: "Name of the data folder: upload, download and transfer with the same name share it. Not set: made at the first start.",
        docZh: "数据目录的名称；名称相同的 upload、download、transfer 共用该目录。不设置则在首次启动时生成。",
        example: "disk-1",
      },
    ),
    secret: key(
      optional(conf.text("TEXT", "a secret of at least 16 characters", (text) => text.length >= 16)),
      "",
      {
        doc: "Signs tickets and URLs, the same in all processes. Not set: made at the first start and kept in the database.",
        docZh: "票据与下载链接的签名密钥，所有进程必须相同。不设置则首次启动时生成并存入数据库。",
        example: "at-least-16-characters",
        secret: true,
      },
    ),
    sweep: key(conf.duration({ minMs: 100, maxMs: dayMs }), "5s", {
      doc: "With a broker: how often the database is asked for jobs and changes of which the broker has lost the message.",
      docZh: "配置了消息代理时，多久查询一次数据库，找回代理丢失的任务与变更。",
    }),
    callers: key(
      conf.text("WHO", "services or any", (text) => text === "services" || text === "any"),
      "services",
      {
        doc: "Who may call the RPC services: the services of this disk, as they prove by a secret or by being this user's on this machine; or anybody who reaches the port.",
        docZh:
          "谁可以调用 RPC 服务：services 仅限本网盘的服务（凭密钥，或同机同一用户的进程）；any 为任何能连上端口者。",
      },
    ),
  },
  apigw: {
    ...listens("8080", "the gateway", "网关"),
    securecookie: key(conf.yesNo, "no", {
      doc: "Send the cookie over HTTPS only, and tell browsers to use nothing else (HSTS); yes as well when publicurl is https.",
      docZh: "Cookie 仅通过 HTTPS 发送，并启用 HSTS；publicurl 为 https 时自动启用。",
    }),
    requestsperminute: key(conf.integer({ min: 1, max: 10_000_000 }), "600", {
      doc: "Requests per minute and address; of sign-in and sign-up a tenth.",
      docZh: "每个地址每分钟的请求数上限；登录和注册为其十分之一。",
    }),
    feeds: key(conf.integer({ min: 1, max: 10_000 }), "20", {
      doc: "Live change feeds (GET /api/events) a user may have open at one gateway.",
      docZh: "每个用户在一个网关上可同时打开的实时变更订阅（GET /api/events）数上限。",
    }),
    trustedproxies: key(networks, "", {
      doc: "Proxies whose X-Forwarded-For, -Proto and -Host are believed, by every HTTP server of the disk.",
      docZh: "信任其 X-Forwarded-For、-Proto、-Host 的代理，对所有 HTTP 服务生效。",
      example: "127.0.0.1,10.0.0.0/8",
    }),
  },
  account: {
    quota: key(conf.size({ min: 0, max: 1024 * TiB }), "10GiB", {
      doc: "What a user who signs up may store.",
      docZh: "新用户的空间配额。",
    }),
    signup: key(conf.yesNo, "yes", {
      doc: "Whether anybody may sign up; no: the operator makes users, by the same route and signed in.",
      docZh: "是否开放注册；设为 no 时仅管理员登录后可通过注册接口创建用户。",
    }),
    contact: key(
      optional(conf.text("TEXT", "a text of 1 to 200 characters", (text) => /^.{1,200}$/u.test(text))),
      "",
      {
        doc: "Who is asked for an account where sign-up is closed; the page tells it everybody.",
        docZh: "关闭注册时向谁申请账号；登录页面会显示给所有人。",
        example: "admin@example.com",
      },
    ),
    operator: key(optional(conf.text("NAME", "a user name", (text) => text.length <= 64)), "", {
      doc: "The user who sees the services and makes users. Not set: who signed up first.",
      docZh: "管理员用户名：可查看服务状态、创建用户。不设置则为最早注册的用户。",
      example: "admin",
    }),
    operatorpassword: key(
      optional(conf.text("TEXT", "a password of 5 to 128 characters", (text) => text.length >= 5)),
      "",
      {
        doc: "The operator is made with it at the start when there is none; better given as MPRPC_ACCOUNT_OPERATORPASSWORD.",
        docZh: "启动时若管理员不存在则以此密码创建；建议通过环境变量 MPRPC_ACCOUNT_OPERATORPASSWORD 提供。",
        example: "change-me",
        secret: true,
      },
    ),
    sessionttl: key(conf.duration({ minMs: 1000, maxMs: 366 * dayMs }), "7d", {
      doc: "How long a sign-in lasts.",
      docZh: "登录的有效期。",
    }),
    failures: key(conf.integer({ min: 1, max: 1_000_000 }), "10", {
      doc: "Failed sign-ins per user name within 15 minutes; then it is locked for that long.",
      docZh: "每个用户名 15 分钟内允许的登录失败次数。",
    }),
  },
  database: {
    url: key(
      optional(
        conf.text("URL", "sqlite:/path/to/file or mysql://user:password@host:port/database", isDatabaseUrl),
      ),
      "",
      {
        doc: "SQLite, or MariaDB or MySQL. Not set: clouddisk.db in the data folder.",
        docZh: "数据库：SQLite 或 MariaDB/MySQL。不设置则为数据目录中的 clouddisk.db。",
        example: "mysql://clouddisk:password@127.0.0.1:3306/clouddisk",
      },
    ),
  },
  progress: {
    url: key(
      conf.text("URL", "database: or redis://host:port/0", (text) =>
        /^(database:|rediss?:\/\/\S+)$/.test(text),
      ),
      "database:",
      {
        doc: "Where the parts received are noted: the database, or Redis, redis://host:port/0.",
        docZh: "已接收分块的记录位置：数据库，或 Redis（redis://host:port/0）。",
      },
    ),
  },
  upload: {
    ...listens("8081", "upload, in a process without apigw,", "upload（进程中没有 apigw 时）"),
    part: key(conf.size({ min: KiB, max: 64 * MiB }), "8MiB", {
      doc: "Size of a part of an upload.",
      docZh: "分块的大小。",
    }),
    filemax: key(conf.size({ min: 1, max: 1024 * TiB }), "1TiB", {
      doc: "The largest file.",
      docZh: "单个文件的大小上限。",
    }),
    openmax: key(conf.integer({ min: 1, max: 1000 }), "1000", {
      doc: "Uploads in parts a user may have open at once.",
      docZh: "每个用户同时未完成的分块上传数上限。",
    }),
    requestsperminute: key(conf.integer({ min: 1, max: 10_000_000 }), "60000", {
      doc: "Requests of upload per minute and address, and per user; a part is one, and so is a small file.",
      docZh: "每个地址、每个用户每分钟的上传请求数上限；一个分块或一个小文件为一次请求。",
    }),
    instant: key(
      conf.text("WHO", "user or everyone", (text) => text === "user" || text === "everyone"),
      "user",
      {
        doc: "Instant upload of what the user has already, or of what everyone has: that tells anybody whether the disk has a file.",
        docZh:
          "秒传范围：user 仅限用户自己已有的内容；everyone 为全站，任何人都能由此得知网盘是否存有某个文件。",
      },
    ),
    reserve: key(conf.size({ min: 0, max: TiB }), "64MiB", {
      doc: "Free space of the disk that uploads leave alone; signing in and deleting need some.",
      docZh: "上传须为磁盘保留的空间；登录与删除也需要写入。",
    }),
    uploadttl: key(conf.duration({ minMs: 1000, maxMs: 366 * dayMs }), "3d", {
      doc: "An upload that got no part for this long is thrown away.",
      docZh: "多久未收到分块的上传会被清除。",
    }),
    ticketttl: key(conf.duration({ minMs: 1000, maxMs: 366 * dayMs }), "1h", {
      doc: "How long a ticket for upload or download stands for the token.",
      docZh: "上传、下载票据的有效期。",
    }),
  },
  download: {
    ...listens("8082", "download, in a process without apigw,", "download（进程中没有 apigw 时）"),
    requestsperminute: key(conf.integer({ min: 1, max: 10_000_000 }), "60000", {
      doc: "Requests of download per minute and address, and per user; a range of a file is one. A signed URL counts as its user's.",
      docZh: "每个地址、每个用户每分钟的下载请求数上限；一个 Range 为一次请求。签名链接计入签发用户。",
    }),
    urlttl: key(conf.duration({ minMs: 1000, maxMs: 366 * dayMs }), "10m", {
      doc: "How long a signed URL is good.",
      docZh: "签名下载链接的有效期。",
    }),
  },
  store: {
    url: key(
      conf.text("URL", "local:, local:/folder, http://host:port or https://host:port", isStoreUrl),
      "local:",
      {
        doc: "local: (in the data folder), local:/folder, or http(s)://host:port of an S3-compatible store.",
        docZh: "对象存储：local:（数据目录内）、local:/目录，或 S3 兼容存储的 http(s)://主机:端口。",
      },
    ),
    bucket: key(conf.text("NAME", "a bucket name, 3 to 63 of a-z, 0-9, dots and -", isBucket), "clouddisk", {
      doc: "Of an S3-compatible store; made when missing.",
      docZh: "S3 存储桶，不存在则创建。",
    }),
    region: key(conf.text("NAME", "a region"), "us-east-1", {
      doc: "Of an S3-compatible store.",
      docZh: "S3 区域。",
    }),
    accesskey: key(optional(conf.text("TEXT", "an access key")), "", {
      doc: "Of an S3-compatible store.",
      docZh: "S3 访问密钥 ID。",
      example: "clouddisk",
    }),
    secretkey: key(optional(conf.text("TEXT", "a secret key")), "", {
      doc: "Better given as MPRPC_STORE_SECRETKEY.",
      docZh: "S3 访问密钥，建议通过环境变量 MPRPC_STORE_SECRETKEY 提供。",
      example: "secret",
      secret: true,
    }),
  },
  transfer: {
    concurrency: key(conf.integer({ min: 1, max: 64 }), "2", {
      doc: "Objects stored at once.",
      docZh: "同时转存的对象数。",
    }),
    lease: key(conf.duration({ minMs: 1000 }), "60s", {
      doc: "A job is another process's when the one that took it was silent for so long.",
      docZh: "任务租约：领取任务的进程静默超过此时长后，任务由其他进程接手。",
    }),
    retrymin: key(conf.duration({ minMs: 10 }), "1s", {
      doc: "Wait after the first failure; it doubles with each.",
      docZh: "首次失败后的重试间隔，之后逐次加倍。",
    }),
    retrymax: key(conf.duration({ minMs: 10 }), "5m", {
      doc: "And gets no longer than this.",
      docZh: "重试间隔的上限。",
    }),
    cleaninterval: key(conf.duration({ minMs: 100 }), "10m", {
      doc: "How often unreferenced content, stale uploads, old sessions and old trash are looked for.",
      docZh: "清理无引用内容、过期上传、过期会话与回收站的间隔。",
    }),
    scrubinterval: key(conf.duration({ minMs: 1000, maxMs: 366 * dayMs }), "7d", {
      doc: "How often every stored object is checked.",
      docZh: "全量校验存储对象的间隔。",
    }),
    trashttl: key(conf.duration({ minMs: 1000, maxMs: 3660 * dayMs }), "30d", {
      doc: "Trash older than this is deleted.",
      docZh: "回收站内容的保留时间。",
    }),
  },
} satisfies Sections;

function isNodeName(text: string): boolean {
  return /^[\w.-]{1,100}$/.test(text);
}

function isDatabaseUrl(text: string): boolean {
  return /^sqlite:.+$/.test(text) || (/^mysql:\/\/[^/]+\/\w+/.test(text) && URL.canParse(text));
}

function isStoreUrl(text: string): boolean {
  return /^local:(\/.*)?$/.test(text) || isHttpUrl(text);
}

function isBucket(text: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text);
}
