import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { conf } from "../../src/config/conf.js";
import { ConfigError } from "../../src/config/config-error.js";
import { canary } from "../support/canary.js";
import { load, loadError } from "./load.js";

describe("bad values", () => {
  test("the message names file, line, key, what was expected and what was found", () => {
    const error = loadError({ conf: "# node\n\n[log]\nlevel = verbose\n" });
    expect(error.name).toBe("ConfigError");
    expect(error.message).toBe(
      'mprpc.conf:4: log.level: expected one of trace, debug, info, warn, error, fatal, silent, found "verbose"',
    );
    expect(error.problems).toEqual([
      {
        where: "mprpc.conf:4",
        file: "mprpc.conf",
        line: 4,
        key: "log.level",
        expected: "one of trace, debug, info, warn, error, fatal, silent",
        found: '"verbose"',
      },
    ]);
  });

  test("a policy without rules, which would let everybody call everything", () => {
    expect(loadError({ conf: "[authz]\n# * = none\n" }).message).toBe(
      "mprpc.conf:1: expected rules; to let everybody call everything write * = any, found [authz] without any",
    );
  });

  test.each([
    ["probe.ProbeService/* none", 'pattern = value, found "probe.ProbeService/*" and no "="'],
    ["probe.ProbeService/*: none", 'pattern = value, found "probe.ProbeService/*:" and no "="'],
    ["something", 'pattern = value, found "something"'],
    [
      "[log]\nprobe.ProbeService/Echo = none",
      'the rule for "probe.ProbeService/Echo" beneath [authz], found it beneath [log]',
    ],
    [
      "[service.a.B]\nprobe.* = none",
      'the rule for "probe.*" beneath [authz], found it beneath [service.a.B]',
    ],
    ["[own]\ntopic:a.* = none", 'the rule for "topic:a.*" beneath [authz], found it beneath [own]'],
    ["[app]\nx.Y/* = none", 'the rule for "x.Y/*" beneath [authz], found it beneath [app]'],
    ["[mime]\nx.Y/Z = jwt:* | any", 'the rule for "x.Y/Z" beneath [authz], found it beneath [mime]'],
    ["[authzz]\nx.Y/* = none", 'the rule for "x.Y/*" beneath [authz], found it beneath [authzz]'],
    ["[Authz]\nx.Y/* = none", '[authz] above the rules of who may call what, found "[Authz]"'],
    ["[policy]\nx.* = any", '[authz] above the rules of who may call what, found "[policy]"'],
    ["[ACL]\nx.* = any", '[authz] above the rules of who may call what, found "[ACL]"'],
    ["[authorization]\nx.* = any", '[authz] above the rules of who may call what, found "[authorization]"'],
  ])("what was meant as a rule and is none: %s", (text, told) => {
    const sections = { own: { key: conf.key(conf.yesNo, "yes") } };
    const found = loadError({ conf: `[authz]\n* = any\n${text}\n`, sections });
    expect(found.message).toMatch(/^mprpc\.conf:[34]: expected /);
    expect(found.message).toContain(told);
    expect(loadError({ conf: "* = none\n[log]\n" }).message).toBe(
      'mprpc.conf:1: expected the rule for "*" beneath [authz], found it above the first section',
    );
  });

  test.each([
    ...["auth.policy", "auth.tokens", "auth.jwks", "auth.secrets"],
    ...["tls.ca", "tls.cert", "tls.key", "tls.crl", "tls.passphrase"],
  ])("%s that is given empty, as by a template without its variable", (name) => {
    const [section = "", key = ""] = name.split(".");
    const variable = `MPRPC_${section}_${key}`.toUpperCase();
    const ways = {
      "mprpc.conf:2": { conf: `[${section}]\n${key}=\n` },
      "mprpc.conf:3": { conf: `[${section}]\n\n${key}= ""\n` },
      [variable]: { env: { [variable]: " " } },
      [`--${name}`]: { argv: [`--${name}=`] },
    };
    for (const [where, given] of Object.entries(ways)) {
      const { problems } = loadError(given);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatchObject({ where, key: name, found: "nothing" });
      expect(problems[0]?.expected).toMatch(
        /^(a file.*|file:FILE); to do without it (?:leave the key out|unset the variable)$/,
      );
    }
  });

  test("a variable that is empty leaves what the conf says in force", () => {
    const { values } = load({ conf: "[tls]\nca=/etc/ca.crt\n", env: { MPRPC_TLS_CA: "" } });
    expect(values.tls.ca).toBe("/etc/ca.crt");
  });

  test.each(["[policy]\nretries=3\n", "[acl]\n", "[urls]\n* = any\n", "[routes]\nusers/list = none\n"])(
    "what another program says is no rule: %j",
    (text) => {
      expect(load({ conf: text }).authz).toEqual([]);
    },
  );

  test("sections of other programs may have any keys, and a program's own any name", () => {
    expect(load({ conf: "[app.other]\n* = x\na/b = http://c\n[mime]\ntext/html = html\n" }).authz).toEqual(
      [],
    );
    const sections = { policy: { key: conf.key(conf.yesNo, "yes") } };
    expect(load({ conf: "[policy]\nkey = no\n", sections }).warnings).toEqual([]);
  });

  test("in a variable and in a flag", () => {
    expect(loadError({ env: { MPRPC_RPCSERVERPORT: "http" } }).message).toBe(
      'MPRPC_RPCSERVERPORT: rpcserverport: expected a port from 0 to 65535, 0 for any free one, found "http"',
    );
    expect(loadError({ argv: ["--calltimeout=soon"] }).message).toBe(
      '--calltimeout: expected a duration from 1ms to 24 days such as 5000, 500ms, 5s or 2m, or none, found "soon"',
    );
  });

  test("all of them at once, one a line", () => {
    const error = loadError({
      conf: "rpcserverport=x\n=nonsense\n[limits]\nbody=big",
      env: { MPRPC_LOG_LEVEL: "loud" },
      argv: ["--channel.connections=0", "--nope=1"],
    });
    expect(error.message.split("\n")).toHaveLength(6);
    expect(error.problems.map((problem) => problem.where)).toEqual([
      "mprpc.conf:2",
      "mprpc.conf:1",
      "mprpc.conf:4",
      "MPRPC_LOG_LEVEL",
      "--channel.connections",
      "command line",
    ]);
  });

  test("a file without a single key=value is no conf", () => {
    expect(loadError({ conf: "# a note\nsomething else\n" }).message).toBe(
      'mprpc.conf:2: expected key=value, found "something" and no "="',
    );
  });

  test("thousands of them are cut short", () => {
    const error = loadError({ conf: "nonsense\n".repeat(100_000) });
    expect(error.problems).toHaveLength(20);
    expect(error.message.split("\n").at(-1)).toBe("... and 99980 more");
  });

  test("a key without a value", () => {
    expect(loadError({ conf: "rpcserverport=" }).message).toMatch(
      /^mprpc\.conf:1: rpcserverport: .* found ""$/,
    );
    expect(load({ conf: "advertiseaddress=\nzookeeperip=" }).values.advertiseaddress).toBeUndefined();
  });

  test.each([
    ["tls.passphrase", "hunter2hunter2"],
    ["auth.secret", "web:hunter2hunter2hunter2"],
    ["auth.secrets", "web:hunter2hunter2hunter2"],
    ["auth.tokens", "alice: hunter2hunter2hunter2"],
  ])("a secret in the place of %s, which names what holds it, is not shown", (key, text) => {
    const [section, name] = key.split(".");
    const hidden = "found a value that is not shown because it is secret";
    for (const given of [
      { conf: `[${section}]\n${name}=${text}` },
      { argv: [`--${key}=${text}`] },
      { argv: [`--${key}`, text] },
      { env: { [`MPRPC_${section}_${name}`.toUpperCase()]: text } },
    ]) {
      const { message } = loadError(given);
      if (given.argv?.length !== 2) expect(message).toContain(hidden);
      expect(message).not.toContain("hunter2");
    }
  });

  test.each(["/run/secrets/tokens", "tokens:new", "C:\\mprpc\\tokens-of-the-provider", "a b"])(
    "%s is the name of a file of tokens",
    (file) => {
      expect(load({ conf: `[auth]\ntokens=${file}` }).warnings).toEqual([]);
    },
  );

  test("a secret is repeated nowhere", () => {
    const secret = "hunter2";
    const errors = [
      loadError({ conf: `[zookeeper]\nauth=${secret}` }),
      loadError({ conf: `[zookeeper]\nauth="me:${secret}` }),
      loadError({ conf: `registry=zoo://me:${secret}@h:1` }),
      loadError({ env: { MPRPC_ZOOKEEPER_AUTH: secret } }),
      loadError({ argv: [`--zookeeper.aut=me:${secret}`] }),
      loadError({ argv: [`-zookeeper.auth=me:${secret}`] }),
    ];
    for (const error of errors) expect(error.message).not.toContain(secret);
    expect(load({ conf: `[zookeeper]\nauht=me:${secret}#x` }).warnings.join()).not.toContain(secret);
  });

  test("control characters get neither into a value nor into a message", () => {
    const error = loadError({ conf: '[log]\ndir="a\\u001b[31m\\nb"' });
    expect(error.message).toMatch(/without control characters, found "a\\u001b\[31m\\nb"$/);
  });

  test.each(["Bearer", "two of"])(
    "a token with a word before it is told as such, and not shown: %s",
    (word) => {
      expect(loadError({ env: { MPRPC_AUTH_TOKEN: `${word} ${canary()}` } }).message).toBe(
        'MPRPC_AUTH_TOKEN: auth.token: expected file:FILE, or in MPRPC_AUTH_TOKEN the token alone, without "Bearer" and blanks, found a value that is not shown because it is secret',
      );
    },
  );

  test("a long value is cut in the message", () => {
    expect(loadError({ conf: `rpcserverport=${"9".repeat(5000)}` }).message.length).toBeLessThan(300);
  });
});

describe("registry", () => {
  test.each([
    ["zookeeperip=10.0.0.1", "zookeeper://10.0.0.1:2181"],
    ["zookeeperip=10.0.0.1\nzookeeperport=2182", "zookeeper://10.0.0.1:2182"],
    ["zookeeperip=zk.example\nzookeeperport = 02181", "zookeeper://zk.example:2181"],
    ["zookeeperip=::1", "zookeeper://[::1]:2181"],
  ])("the classic keys: %j", (conf, registry) => {
    const { values, origins, warnings } = load({ conf });
    expect(values.registry).toBe(registry);
    expect(origins.registry).toEqual({ source: "file", where: "mprpc.conf:1, zookeeperip" });
    expect(warnings).toEqual([]);
  });

  test("from two places", () => {
    const { values, origins } = load({ conf: "zookeeperport=2182", env: { MPRPC_ZOOKEEPERIP: "10.0.0.1" } });
    expect(values.registry).toBe("zookeeper://10.0.0.1:2182");
    expect(origins.registry).toEqual({ source: "env", where: "MPRPC_ZOOKEEPERIP" });
  });

  test("registry wins over zookeeperip, wherever each stands, and says so", () => {
    const { values, warnings } = load({
      conf: "registry=static://h:1\nzookeeperip=10.0.0.1\nzookeeperport=2181",
      argv: ["--zookeeperip=10.0.0.2"],
    });
    expect(values.registry).toBe("static://h:1");
    expect(warnings).toEqual([
      "--zookeeperip: zookeeperip is ignored, because registry is set (mprpc.conf:1)",
    ]);
    expect(load({ conf: "registry=file:\nzookeeperport=2181" }).warnings).toEqual([
      "mprpc.conf:2: zookeeperport is ignored, because registry is set (mprpc.conf:1)",
    ]);
  });

  test("a bad zookeeperip is told once", () => {
    expect(loadError({ conf: "zookeeperip=10.0.0.1:2181\n" }).message).toBe(
      'mprpc.conf:1: zookeeperip: expected a host name, an IPv4 or an IPv6 address, without a port, found "10.0.0.1:2181"',
    );
    expect(loadError({ conf: "zookeeperip=h\nzookeeperport=0" }).problems).toMatchObject([
      { key: "zookeeperport" },
    ]);
  });
});

test("random bytes as a conf file: it loads or it is a ConfigError", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string({ unit: "binary", maxLength: 200 }).map((text) => Buffer.from(text)),
    fc
      .array(
        fc.constantFrom(
          "[",
          "]",
          "=",
          "#",
          ";",
          '"',
          "'",
          "\\",
          "\n",
          "\r",
          " ",
          "log",
          "level",
          "registry",
          "file:",
          "zookeeperip",
          "::",
          "%",
          "__proto__",
          "1e9",
          "\0",
        ),
        { maxLength: 60 },
      )
      .map((parts) => Buffer.from(parts.join(""))),
  );
  fc.assert(
    fc.property(bytes, (conf) => {
      try {
        load({ conf });
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as ConfigError).problems.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 2000 },
  );
});

test("random arguments: they load or they are a ConfigError", () => {
  const part = fc.constantFrom("-", "--", "i", "=", "log.level", "debug", ".", "registry", "file:", "x", " ");
  const argument = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 5 }), (argv) => {
      try {
        load({ argv });
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
    { numRuns: 1000 },
  );
});
