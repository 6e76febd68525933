import { consoleTargets, logFormats, loggerLevels, overflowPolicies } from "../logger/options.js";
import { localChoices } from "../runtime/runtime.js";
import { clientAuthModes, tlsModes, tlsVersions } from "../transport/tls/options.js";
import { isSecretName, isSecretsFile } from "../transport/tls/secrets.js";
import * as kind from "./kinds.js";

/**
 * One key of the configuration. The loader, the values' types, the usage text, `mprpc config`, the sample conf and
 * docs/config.md all come from this table alone.
 */
export interface Key<T, U extends kind.Unit = kind.Unit> {
  readonly kind: kind.Kind<T, U>;
  /** As it would stand in a conf file; empty: not set. */
  readonly fallback: string;
  /** One sentence in English. */
  readonly doc: string;
  /** The same in Chinese. */
  readonly docZh: string;
  /**
   * In the sample the key is a comment with this value: it has no default, or standing there it would change what
   * other keys mean.
   */
  readonly example?: string;
  /** Masked wherever it would be shown. */
  readonly secret?: true;
  /** A wrong value may be a secret, given in place of the name of what holds it, and is not shown. */
  readonly hidesWrong?: true;
}

type Extra = Pick<Key<unknown>, "example" | "secret" | "hidesWrong">;

/** Keys by section and name. */
export type Sections = Readonly<Record<string, Readonly<Record<string, Key<unknown>>>>>;

function key<T, U extends kind.Unit>(
  valueKind: kind.Kind<T, U>,
  fallback: string,
  doc: string,
  docZh: string,
  extra: Extra = {},
): Key<T, U> {
  return { kind: valueKind, fallback, doc, docZh, ...extra };
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const count = kind.integer({ min: 1, max: 10_000_000 });

/** Sections by name; `""` holds the keys above the first section. Keys are in lower case, as in a classic conf. */
export const schema = {
  "": {
    rpcserverip: key(
      kind.listenHost,
      "127.0.0.1",
      "Where a provider listens; 0.0.0.0 or :: for all interfaces, unix:/path for this user's processes, inproc: for this process only.",
      "服务端监听的地址；0.0.0.0 或 :: 表示所有网卡，unix:/path 仅限本机同一用户的进程，inproc: 仅限本进程。",
    ),
    rpcserverport: key(
      kind.port(0),
      "0",
      "Its port; 0 takes any free one.",
      "监听的端口；0 表示任选空闲端口。",
    ),
    zookeeperip: key(
      kind.optional(kind.host),
      "",
      "ZooKeeper, the classic way: the same as registry=zookeeper://IP:PORT.",
      "ZooKeeper 地址（经典写法），等同于 registry=zookeeper://IP:PORT。",
      { example: "127.0.0.1" },
    ),
    zookeeperport: key(
      kind.port(1),
      "2181",
      "The port that goes with zookeeperip.",
      "与 zookeeperip 配套的端口。",
      { example: "2181" },
    ),
    registry: key(
      kind.registryUrl,
      "file:",
      "Where providers register and callers look up; several with blanks between them; wins over zookeeperip.",
      "注册中心的地址，可用空格分隔多个；优先于 zookeeperip。",
      { example: "file:" },
    ),
    registry_address: key(
      kind.optional(kind.registryAddress),
      "",
      "The address, where registry names only a kind, as in --registry=consul --registry_address=127.0.0.1:8500.",
      "registry 只写类型时的地址，例如 --registry=consul --registry_address=127.0.0.1:8500。",
      { example: "127.0.0.1:8500" },
    ),
    broker: key(
      kind.brokerUrl,
      "memory:",
      "Where messages are published and subscribed to: memory:, redis://host:6379/0?prefix= or nats://h1:4222,h2:4222?prefix=.",
      "发布和订阅消息所用的消息代理。",
      { example: "redis://127.0.0.1:6379/0" },
    ),
    brokerpassword: key(
      kind.optional(kind.text("PASSWORD", "a password", (value) => value.length > 0)),
      "",
      "Its password, better given as MPRPC_BROKERPASSWORD, or as passwordfile= of the URL, than in a file or a flag.",
      "消息代理的密码，建议通过环境变量 MPRPC_BROKERPASSWORD 或 URL 的 passwordfile= 提供。",
      { example: "secret", secret: true },
    ),
    advertiseaddress: key(
      kind.optional(kind.advertisedAddress),
      "",
      "The address callers are told, when it is not the one listened on (containers, NAT).",
      "对外公布的地址（容器、NAT 环境下与监听地址不同时设置）。",
      { example: "192.0.2.10:8000" },
    ),
    calltimeout: key(
      kind.duration({ minMs: 1, none: true }),
      "5s",
      "Deadline of a call that brings none of its own; none for no deadline.",
      "调用的默认超时；none 表示不限时。",
    ),
  },
  log: {
    level: key(
      kind.choice(...loggerLevels),
      "info",
      "The least severe lines written; silent for none.",
      "日志级别；silent 表示不输出。",
    ),
    format: key(
      kind.choice(...logFormats),
      "classic",
      "One line of text for people, or one JSON object a line for machines.",
      "日志格式：供人阅读的单行文本，或 JSON。",
    ),
    console: key(
      kind.choice(...consoleTargets),
      "auto",
      "Where lines also go; auto: stderr without a dir, off with one.",
      "控制台输出；auto 表示未设置 dir 时输出到 stderr，否则关闭。",
    ),
    dir: key(
      kind.optional(kind.directory),
      "",
      "Directory of the log files, made when missing; not set: no files.",
      "日志目录，不存在则创建；不设置则不写文件。",
      { example: "log" },
    ),
    file: key(
      kind.text("PATTERN", "a file name without a directory", (name) =>
        /^(?!\.{1,2}$)[^/\\]{1,200}$/.test(name),
      ),
      "YYYY-M-D-log.txt",
      "Name of a day's file; YYYY, M or MM, D or DD stand for the date.",
      "每日日志文件的名称；YYYY、M 或 MM、D 或 DD 代表日期。",
    ),
    maxbytes: key(
      kind.size({ min: 0, max: 1024 * GiB }),
      "100MiB",
      "A file that would grow beyond it is renamed to .1 first; 0: never.",
      "单个日志文件的大小上限，超出前重命名为 .1；0 表示不限。",
    ),
    maxfiles: key(
      kind.integer({ min: 1, max: 1000 }),
      "10",
      "How many renamed files are kept per day; the oldest goes.",
      "每天保留的重命名文件数，超出则删除最旧的。",
    ),
    queuelimit: key(count, "65536", "Lines that may wait to be written.", "等待写入的最大行数。"),
    overflow: key(
      kind.choice(...overflowPolicies),
      "drop-oldest",
      "What a full queue does; what is dropped is counted and reported.",
      "队列满时的处理方式；丢弃的行数会被统计并报告。",
    ),
    redact: key(
      kind.list,
      "",
      "Fields whose values are masked, as paths between commas.",
      "需要打码的字段路径，以逗号分隔。",
      { example: "pwd,password,*.token" },
    ),
  },
  provider: {
    maxconnections: key(count, "10000", "Connections at once; more are refused.", "最大连接数，超出则拒绝。"),
    unix: key(
      kind.optional(kind.socketPath),
      "",
      "Listen on this unix socket as well; callers of this machine and user prefer it to the port.",
      "同时监听此 unix 套接字；本机同一用户的调用方优先使用。",
      { example: "/run/user/1000/mprpc/users.sock" },
    ),
    maxinflight: key(
      count,
      "65536",
      "Calls in flight; more are refused RESOURCE_EXHAUSTED.",
      "同时处理的最大调用数，超出则返回 RESOURCE_EXHAUSTED。",
    ),
    maxinflightperconnection: key(
      kind.optional(count),
      "",
      "Calls in flight on one connection; by default a quarter of maxinflight, at least 1024.",
      "单个连接上同时处理的最大调用数；默认为 maxinflight 的四分之一，至少 1024。",
      { example: "16384" },
    ),
    maxconnectionspercaller: key(
      kind.optional(count),
      "",
      "Connections of one proven identity, or of one address without; by default a share of maxconnections, once three quarters are open.",
      "单个身份（无身份时按地址）的最大连接数；默认在四分之三的连接已打开后按调用方均分 maxconnections。",
      { example: "1000" },
    ),
    maxinflightpercaller: key(
      kind.optional(count),
      "",
      "Calls in flight of one identity, or of one address without; by default a share of maxinflight, once most of those are taken.",
      "单个身份（无身份时按地址）同时处理的最大调用数；默认在将满时按调用方均分 maxinflight。",
      { example: "8192" },
    ),
    maxcallspersecond: key(
      kind.optional(count),
      "",
      "Calls a second of one identity, or of one address without; a second's worth may come at once.",
      "单个身份（无身份时按地址）每秒的最大调用数，允许一秒的突发量。",
      { example: "5000" },
    ),
    unreadpercaller: key(
      kind.optional(kind.size({ min: 64 * KiB, max: 64 * GiB })),
      "",
      "Bytes that may wait for one identity or address that does not read, on all its connections; beyond it its calls are refused.",
      "单个身份或地址在其所有连接上未读取数据的上限，超出则拒绝其调用。",
      { example: "256MiB" },
    ),
    draintimeout: key(
      kind.duration({ minMs: 0 }),
      "10s",
      "How long calls in flight may go on after SIGTERM, SIGINT or SIGHUP.",
      "收到 SIGTERM、SIGINT 或 SIGHUP 后等待进行中调用的时间。",
    ),
    streambuffer: key(
      kind.size({ min: 64 * KiB, max: 64 * GiB }),
      "512MiB",
      "Messages of streams that may lie on all connections and wait for handlers.",
      "所有连接上等待处理函数读取的流消息的总大小上限。",
    ),
    classic: key(
      kind.yesNo,
      "yes",
      "Serve callers of the classic C++ framework too, on the same port.",
      "是否在同一端口兼容经典 C++ 框架的调用方。",
    ),
    protocols: key(
      kind.choices("mprpc", "classic", "grpc"),
      "mprpc,classic,grpc",
      "What callers may speak on the port; classic only with classic=yes.",
      "端口上提供的协议；classic 还需要 classic=yes。",
    ),
  },
  channel: {
    balancer: key(
      kind.choice("roundrobin", "random", "p2c"),
      "roundrobin",
      "How an instance is chosen; p2c: the less loaded of two random ones.",
      "负载均衡策略；p2c 为随机两个中取负载较低者。",
    ),
    connections: key(
      kind.integer({ min: 1, max: 1024 }),
      "1",
      "Connections to each instance.",
      "到每个实例的连接数。",
    ),
    connecttimeout: key(
      kind.duration({ minMs: 1 }),
      "2s",
      "An instance that takes longer to connect to counts as down.",
      "建立连接的超时。",
    ),
    maxpending: key(
      count,
      "10000",
      "Calls waiting for an instance; more fail RESOURCE_EXHAUSTED.",
      "等待可用实例的最大调用数，超出则返回 RESOURCE_EXHAUSTED。",
    ),
    grpckeepalive: key(
      kind.duration({ minMs: 5 * 60_000, none: true }),
      "none",
      "Silence on a connection to a gRPC server before a ping is sent; such servers close it when pings come more often than they like.",
      "到 gRPC 服务器的连接静默多久后发送 ping；过于频繁会被服务器断开。",
    ),
    classic: key(
      kind.classicChoice,
      "auto",
      "Call classic C++ providers while none of ours can be, in this dialect if one is given; auto: yes, but no with zookeeper.auth, as anybody can write their znodes.",
      "没有可用的本框架实例时是否调用经典 C++ 服务端，也可指定其方言；auto 表示调用，但设置 zookeeper.auth 时不调用，因为其节点任何人可写。",
      { example: "no,fixbug.UserServiceRpc=varint" },
    ),
    local: key(
      kind.choice(...localChoices),
      "auto",
      "auto: a provider of this process is called without a socket, one of this machine and user by the unix socket it offers; off: as its address says.",
      "auto：同一进程内的服务端不经套接字直接调用，本机同一用户的服务端优先使用其 unix 套接字；off：仅按其地址连接。",
    ),
  },
  limits: {
    header: key(
      kind.size({ min: 64 * KiB, max: 16 * MiB }),
      "64KiB",
      "The largest header (metadata, error texts) of a frame.",
      "帧头的大小上限（元数据、错误信息）。",
    ),
    body: key(
      kind.size({ min: KiB, max: GiB }),
      "4MiB",
      "The largest message, both ways.",
      "单条消息的大小上限（收发两个方向）。",
    ),
    arriving: key(
      kind.integer({ min: 1, max: 65_536 }),
      "64",
      "Large messages (in chunks) that arrive on one connection at a time; the sender lets others wait.",
      "单个连接上同时接收的大消息（分块）数；其余由发送方排队。",
    ),
    arrivingbytes: key(
      kind.size({ min: KiB, max: 64 * GiB }),
      "32MiB",
      "The size these may have together; one alone may have limits.body.",
      "这些大消息的总大小上限；单独一条可达 limits.body。",
    ),
    streambuffer: key(
      kind.size({ min: 64 * KiB, max: 64 * GiB }),
      "64MiB",
      "Messages of streams that may lie on one connection and wait for their readers.",
      "单个连接上等待读取的流消息的总大小上限。",
    ),
    unwritten: key(
      kind.size({ min: 64 * KiB, max: 64 * GiB }),
      "64MiB",
      "Bytes a slow peer may leave unread on one connection before calls fail RESOURCE_EXHAUSTED.",
      "对端读取过慢时单个连接上待发送数据的上限，超出则返回 RESOURCE_EXHAUSTED。",
    ),
  },
  keepalive: {
    interval: key(
      kind.duration({ minMs: 100, none: true }),
      "10s",
      "Ping a connection after this much silence; none: never.",
      "连接静默多久后发送 ping；none 表示不发送。",
    ),
    timeout: key(
      kind.duration({ minMs: 100 }),
      "4s",
      "A ping without an answer for this long: the connection is dead.",
      "ping 多久无应答即视为连接已断。",
    ),
  },
  tls: {
    mode: key(
      kind.optional(kind.choice(...tlsModes)),
      "",
      "What a provider's port takes: bytes in clear (off), both (optional), or TLS only. Default off; a provider with tls.cert, tls.crl or auth.secrets must say it. Channels speak TLS with tls.ca or auth.secrets, or with required.",
      "服务端端口接受的方式：明文（off）、两者皆可（optional）或仅 TLS。默认 off；设置了 tls.cert、tls.crl 或 auth.secrets 的服务端必须写明。设置了 tls.ca、auth.secrets 或 required 时调用端使用 TLS。",
      { example: "required" },
    ),
    cert: key(
      kind.optional(kind.file),
      "",
      "Our certificate in PEM, followed by those between it and the authority; read again when it changes, as all files here.",
      "本端证书（PEM），其后为中间证书；文件变化时自动重新加载（以下文件亦同）。",
      { example: "/etc/mprpc/tls.crt" },
    ),
    key: key(kind.optional(kind.file), "", "Its private key.", "证书的私钥。", {
      example: "/etc/mprpc/tls.key",
    }),
    ca: key(
      kind.optional(kind.file),
      "",
      "The authorities whose certificates are accepted; a channel then speaks TLS and never in clear.",
      "受信任的 CA 证书；设置后调用端只使用 TLS，绝不回退到明文。",
      { example: "/etc/mprpc/ca.crt" },
    ),
    crl: key(
      kind.optional(kind.file),
      "",
      "Lists of revoked certificates, one of each authority.",
      "证书吊销列表，每个 CA 一份。",
      { example: "/etc/mprpc/ca.crl" },
    ),
    minversion: key(
      kind.choice(...tlsVersions),
      "1.2",
      "The oldest version of TLS.",
      "允许的最低 TLS 版本。",
    ),
    ciphers: key(
      kind.optional(kind.text("LIST", "ciphers in OpenSSL's form")),
      "",
      "Ciphers in OpenSSL's form; by default those of Node.js.",
      "OpenSSL 格式的加密套件；默认为 Node.js 的设置。",
      { example: "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256" },
    ),
    passphrase: key(
      kind.optional(kind.secretFile),
      "",
      "Where the passphrase of tls.key is.",
      "私钥口令所在的文件。",
      { example: "file:/etc/mprpc/passphrase", hidesWrong: true },
    ),
    clientauth: key(
      kind.choice(...clientAuthModes),
      "none",
      "Whether callers of a provider show a certificate of tls.ca.",
      "服务端是否要求调用方出示 tls.ca 签发的证书。",
    ),
    peername: key(
      kind.optional(kind.peerName),
      "",
      "Whom channels take for a provider: DNS names (*.example) or SPIFFE IDs (spiffe://domain/ns/*), | between several; by default the address connected to.",
      "调用端认可的服务端身份：DNS 名（*.example）或 SPIFFE ID，以 | 分隔；默认为所连接的地址。",
      { example: "users.example" },
    ),
    trustdomain: key(
      kind.optional(
        kind.text("DOMAIN", "the domain of SPIFFE IDs", (value) => /^[a-z0-9._-]{1,255}$/.test(value)),
      ),
      "",
      "The domain of SPIFFE IDs that callers may have; by default that of our certificate.",
      "调用方 SPIFFE ID 的信任域；默认为本端证书的信任域。",
      { example: "example.org" },
    ),
    handshaketimeout: key(
      kind.duration({ minMs: 100 }),
      "5s",
      "How long a caller may take for its handshake.",
      "调用方完成 TLS 握手的时限。",
    ),
    maxhandshakes: key(
      kind.integer({ min: 1, max: 100_000 }),
      "512",
      "Handshakes under way at a time; the others wait.",
      "同时进行的握手数上限，其余排队。",
    ),
    maxhandshakesperaddress: key(
      kind.integer({ min: 1, max: 100_000 }),
      "64",
      "The same of one address.",
      "单个地址同时进行的握手数上限。",
    ),
  },
  auth: {
    token: key(
      kind.optional(
        kind.text(
          "file:FILE",
          'file:FILE, or in MPRPC_AUTH_TOKEN the token alone, without "Bearer" and blanks',
          (value) => /^(?:file:.+|[!-~]+)$/.test(value),
        ),
      ),
      "",
      "What channels prove themselves with: file:FILE, read again every minute; or the token itself, in MPRPC_AUTH_TOKEN only.",
      "调用端的令牌：file:文件（每分钟重读）；令牌本身只能放在环境变量 MPRPC_AUTH_TOKEN 中。",
      { example: "file:/run/secrets/token", secret: true },
    ),
    allowplain: key(
      kind.yesNo,
      "no",
      "Send tokens on connections that others can read, too.",
      "是否允许在非加密连接上发送令牌。",
    ),
    policy: key(
      kind.optional(kind.text("FILE", "a file")),
      "",
      "Who may call what, in a file of its own instead of [authz]; read again when it changes.",
      "访问策略文件，代替 [authz] 段；修改后自动重读。",
      { example: "authz.conf" },
    ),
    tokens: key(
      kind.optional(kind.text("FILE", "a file", isSecretsFile)),
      "",
      "Tokens a provider accepts, name:token a line; their bearers are token:name. Read again when it changes.",
      "服务端接受的令牌文件，每行 name:token，身份为 token:name；修改后自动重读。",
      { example: "/run/secrets/tokens", hidesWrong: true },
    ),
    jwks: key(
      kind.optional(kind.text("FILE|URL", "a file or an https URL")),
      "",
      "Public keys of the JSON web tokens a provider accepts: a JWKS file, or an https URL; needs the package jose.",
      "服务端接受的 JWT 的公钥：JWKS 文件或 https 地址；需要安装 jose。",
      { example: "https://idp.example.com/jwks.json" },
    ),
    jwksrefresh: key(
      kind.duration({ minMs: 1000, maxMs: 86_400_000 }),
      "5m",
      "How often keys by URL are fetched again: what the issuer has taken out is refused from then on.",
      "URL 形式的公钥多久重新获取一次：签发方移除的密钥此后被拒绝。",
    ),
    jwtissuer: key(
      kind.optional(kind.text("ISSUER", "an issuer without a #", (value) => /^[^#]+$/.test(value))),
      "",
      "Their iss; required with auth.jwks.",
      "JWT 的 iss；设置 auth.jwks 时必填。",
      { example: "https://idp.example.com" },
    ),
    jwtaudience: key(
      kind.optional(kind.text("AUDIENCE", "an audience")),
      "",
      "Their aud; required with auth.jwks.",
      "JWT 的 aud；设置 auth.jwks 时必填。",
      { example: "clouddisk" },
    ),
    jwtalgorithms: key(
      kind.list,
      "",
      "Their alg: asymmetric ones between commas; required with auth.jwks.",
      "JWT 的 alg：非对称算法，以逗号分隔；设置 auth.jwks 时必填。",
      { example: "RS256,ES256" },
    ),
    checktimeout: key(
      kind.duration({ minMs: 1, maxMs: 10_000 }),
      "5s",
      "What checking a token may take before its calls fail UNAVAILABLE.",
      "校验令牌的超时，超时的调用返回 UNAVAILABLE。",
    ),
    secrets: key(
      kind.optional(kind.text("FILE", "a file name", isSecretsFile)),
      "",
      "Lines of name:key (mprpc secret NAME makes one) that callers and providers share instead of certificates; a channel then speaks TLS and never in clear.",
      "共享密钥文件，每行 name:key（由 mprpc secret NAME 生成），可取代证书；设置后调用端只使用 TLS。",
      { example: "/etc/mprpc/secrets", hidesWrong: true },
    ),
    secret: key(
      kind.optional(kind.text("NAME", "the name of a secret", isSecretName)),
      "",
      "The line of auth.secrets that channels prove to know; by default the first.",
      "调用端所使用的密钥名称；默认为第一行。",
      { example: "apigw", hidesWrong: true },
    ),
  },
  zookeeper: {
    sessiontimeout: key(
      kind.duration({ minMs: 1000 }),
      "10s",
      "The entry of a provider that died disappears after it.",
      "会话超时；服务端异常退出后其节点在此时间后消失。",
    ),
    auth: key(
      kind.optional(kind.text("USER:PASSWORD", "user:password", (value) => /^[^:]+:.+$/.test(value))),
      "",
      "Digest credentials, better given as MPRPC_ZOOKEEPER_AUTH than in a file or a flag.",
      "digest 认证信息，建议通过环境变量 MPRPC_ZOOKEEPER_AUTH 提供。",
      { example: "user:password", secret: true },
    ),
    snapshotdir: key(
      kind.optional(kind.directory),
      "",
      "Keep the last good lists here, for a start while ZooKeeper is away.",
      "保存最近一次有效的服务列表，供 ZooKeeper 不可用时启动。",
      { example: "/var/lib/mprpc" },
    ),
  },
} satisfies Sections;

/** A heading for each section. */
export const sectionDocs: Readonly<Record<string, string>> = {
  log: "The log / 日志",
  provider: "Serving calls / 服务端",
  channel: "Making calls / 调用端",
  limits: "Sizes nothing may exceed / 大小限制",
  keepalive: "Noticing dead peers / 连接保活",
  tls: "Securing connections / 连接加密",
  auth: "Proving who calls; who may call what is [authz], see docs/security.md / 身份与令牌；访问策略见 [authz]",
  zookeeper: "Only for registry=zookeeper://... / 仅用于 ZooKeeper 注册中心",
};

type Schema = typeof schema;
type Section = keyof Schema;
type Keys<S extends Section> = keyof Schema[S] & string;

type ValueName<K extends string, U> = U extends "Ms"
  ? `${K}Ms`
  : U extends "Bytes"
    ? K extends `${string}bytes`
      ? K
      : `${K}Bytes`
    : K;
type UnitOf<K> = K extends Key<infer _, infer U> ? U : never;
type ValueOf<K> = K extends Key<infer T, infer _> ? T : never;

/** The values of a section's keys; a name is the key's plus its unit. */
export type ValuesOf<Table> = {
  readonly [K in keyof Table & string as ValueName<K, UnitOf<Table[K]>>]: ValueOf<Table[K]>;
};

/**
 * Every key's value, typed by the table: top-level keys directly (`values.calltimeoutMs`), the others beneath their
 * section (`values.log.level`, `values.limits.bodyBytes`). A name is the key's plus its unit.
 */
export type ConfigValues = ValuesOf<Schema[""]> & {
  readonly [S in Exclude<Section, "">]: ValuesOf<Schema[S]>;
};

/** `calltimeout`, `log.level` ... */
export type KeyName = { [S in Section]: S extends "" ? Keys<S> : `${S}.${Keys<S>}` }[Section];

/** A row of the table with every name it goes by. */
export interface KeyRow extends Key<unknown> {
  /** `log.level`; the flag is `--log.level=`. */
  readonly name: string;
  readonly section: string;
  /** `level` */
  readonly key: string;
  /** `MPRPC_LOG_LEVEL` */
  readonly environment: string;
  /** Its name among the values of its section: `level`, `bodyBytes`. */
  readonly valueName: string;
}

/** The rows of a table, in its order. */
export function toRows(sections: Sections): KeyRow[] {
  return Object.entries(sections).flatMap(([section, keys]) =>
    Object.entries(keys).map(([name, row]) => toRow(section, name, row)),
  );
}

/** The whole of our table, in its order. The cast: a row's name is made of its section and key, as KeyName is. */
export const keyRows = toRows(schema) as ReadonlyArray<KeyRow & { readonly name: KeyName }>;

/** The names of our sections, in their order. */
export const sectionNames: readonly string[] = Object.keys(schema).filter((name) => name !== "");

function toRow(section: string, key: string, row: Key<unknown>): KeyRow {
  const path = section === "" ? [key] : [section, key];
  const { unit } = row.kind;
  return {
    ...row,
    name: path.join("."),
    section,
    key,
    environment: `MPRPC_${path.join("_").toUpperCase().replaceAll(/[-.]/g, "_")}`,
    valueName: unit === "Bytes" && key.endsWith("bytes") ? key : `${key}${unit}`,
  };
}
