import { chmodSync, statSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { jwtAuthenticator } from "../../src/auth/jwt.js";
import { systemClock } from "../../src/base/clock.js";
import { passwordOf } from "../../src/broker/url.js";
import { credentialsOf } from "../../src/client/credentials.js";
import { toAuthSettings } from "../../src/config/auth-section.js";
import { loadConfig } from "../../src/config/config.js";
import { RpcProvider } from "../../src/index.js";
import { openFileWarning, openMode, writableFileWarning } from "../../src/log/secret-file.js";
import { openRegistry } from "../../src/registry/open.js";
import { TlsCredentials } from "../../src/transport/tls/credentials.js";
import { loadMaterial } from "../../src/transport/tls/material.js";
import { Cluster } from "../support/cluster.js";
import { RecordingLog } from "../support/log.js";
import { Authority, type Issued, secretLine, writeSecret } from "../tls/authority.js";
import { temporaryFolder } from "../tls/support.js";
import { canary } from "../tools/leaks/secrets.js";

let good: Issued;
beforeAll(async () => {
  good = await (await Authority.make()).issue();
});

/** A file that others may read, only for as long as the test goes on: at its end no secret is found where others can read it. */
function open(text: string, mode = 0o644): string {
  const file = writeSecret(temporaryFolder(), "secret", text);
  chmodSync(file, mode);
  onTestFinished(() => chmodSync(file, 0o600));
  return file;
}

const told = (key: string, file: string, mode = "644"): string =>
  `${key}: ${file} has mode ${mode}, so other users may read or write it: chmod 600 ${file}`;

test.each([
  [0o600, undefined],
  [0o400, undefined],
  [0o700, undefined],
  [0o640, "640"],
  [0o620, "620"],
  [0o604, "604"],
  [0o602, "602"],
  [0o666, "666"],
])("of a file of ours, mode %o is more than needed: %s", (mode, expected) => {
  const file = open("x", mode);
  expect(openMode(file)).toBe(expected);
});

test("no file and a folder have no mode to warn of", () => {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  expect(openMode(folder)).toBeUndefined();
  expect(openMode(path.join(folder, "none"))).toBeUndefined();
});

describe("of another user's file that others may read, the advice keeps the service able to read it", () => {
  const owned = process.getegid?.() ?? 0;
  const cases: ReadonlyArray<[what: string, ofService: number[], group: number]> = [
    ["whose group is none of the service's", [4321, 4322], 4321],
    ["whose group is one of the service's", [4321, owned], owned],
  ];

  test.each(cases)("%s", (_what, ofService, group) => {
    const [file, secrets] = [open("x"), open(`${secretLine("web")}\n`)];
    const { uid } = statSync(file);
    for (const spy of [
      vi.spyOn(process, "geteuid").mockReturnValue(uid + 1),
      vi.spyOn(process, "getegid").mockReturnValue(4321),
      vi.spyOn(process, "getgroups").mockReturnValue(ofService),
    ])
      onTestFinished(() => spy.mockRestore());
    const advice = (of: string): string =>
      `: chgrp ${group} ${of} && chmod 640 ${of}, as it belongs to another user and is read by that group`;
    const text = openFileWarning("auth.token", file);
    expect(text).toBe(`auth.token: ${file} has mode 644, so other users may read or write it${advice(file)}`);
    expect(() => loadMaterial({ secrets }, 0)).toThrow(advice(secrets));
    chmodSync(file, 0o640);
    expect(openFileWarning("auth.token", file)).toBeUndefined();
  });
});

describe("others may read", () => {
  test("the key of a certificate and its passphrase: told at the start, and when it becomes so", () => {
    const [key, passphrase] = [open(good.key), open(canary())];
    const log = new RecordingLog();
    const options = { mode: "required", cert: good.cert, key, passphrase: `file:${passphrase}` } as const;
    const credentials = new TlsCredentials(options, systemClock, log);
    onTestFinished(() => credentials.close());
    const both = [told("tls.key", key), told("tls.passphrase", passphrase)];
    expect(log.at("warn")).toEqual(both);
    credentials.reload();
    expect(log.at("warn")).toEqual(both);
    chmodSync(key, 0o600);
    credentials.reload();
    chmodSync(key, 0o664);
    credentials.reload();
    expect(log.at("warn")).toEqual([...both, told("tls.key", key, "664")]);
  });

  test("shared secrets: the group, told; everybody, refused", () => {
    const secrets = open(`${secretLine("web")}\n`, 0o640);
    const log = new RecordingLog();
    const credentials = new TlsCredentials({ mode: "required", secrets }, systemClock, log);
    onTestFinished(() => credentials.close());
    expect(log.at("warn")).toEqual([told("auth.secrets", secrets, "640")]);
    chmodSync(secrets, 0o644);
    credentials.reload();
    expect(log.at("error").join()).toContain(`${secrets} has mode 644`);
  });

  test("a file of tokens: told at the start of the provider, and when it becomes so", async () => {
    const tokensFile = open(`web:${canary()}\n`);
    const cluster = new Cluster({ settings: { auth: { tokensFile } } });
    const provider = new RpcProvider(cluster.runtime());
    cluster.onClose(() => provider.shutdown());
    await provider.start();
    const warned = (): string[] => cluster.log.at("warn").filter((line) => line.startsWith("auth.tokens"));
    expect(warned()).toEqual([told("auth.tokens", tokensFile)]);
    chmodSync(tokensFile, 0o600);
    await cluster.clock.run(5000);
    chmodSync(tokensFile, 0o666);
    await cluster.clock.run(5000);
    expect(warned()).toEqual([told("auth.tokens", tokensFile), told("auth.tokens", tokensFile, "666")]);
  });

  test("the token of a channel: told once", async () => {
    const file = open(canary());
    const log = new RecordingLog();
    const credentials = credentialsOf({ file }, { clock: systemClock, log });
    await credentials();
    await credentials();
    expect(log.at("warn")).toEqual([told("auth.token", file)]);
  });

  test("passwords and tokens of brokers and registries", () => {
    const file = open(`${canary()}\n`);
    const log = new RecordingLog();
    const url = {
      ...{
        scheme: "redis",
        shown: "redis://h",
        servers: [],
        path: "",
        options: new Map([["passwordfile", file]]),
      },
      fail: (text: string) => new Error(text) as never,
    };
    passwordOf(url, { log, password: undefined });
    for (const registry of [`consul://h?tokenfile=${file}`, `etcd://h?user=a&passwordfile=${file}`])
      openRegistry(registry, { log, snapshotFolder: false });
    expect(log.at("warn")).toEqual([
      told("passwordfile= of broker", file),
      told("tokenfile= of registry", file),
      told("passwordfile= of registry", file),
    ]);
  });

  test("a conf with a secret in it; one that only names files of secrets is nobody's secret", () => {
    const load = (text: string) => loadConfig({ argv: ["-i", open(text)], env: {}, cwd: temporaryFolder() });
    const warned = load(`[zookeeper]\nauth=me:${canary()}\n`);
    expect(warned.warnings).toEqual([told("zookeeper.auth", warned.file ?? "")]);
    const inUrl = load(`registry=zookeeper://me:${canary()}@h1\n`);
    expect(inUrl.warnings).toEqual([told("registry", inUrl.file ?? "")]);
    expect(load("[auth]\ntoken=file:/run/secrets/token\ntokens=/run/secrets/tokens\n").warnings).toEqual([]);
  });
});

describe("every user may write", () => {
  const writable = (key: string, file: string, mode = "666"): string =>
    `${key}: ${file} has mode ${mode}, so every user may change it: chmod o-w ${file}`;

  test.each([
    [0o644, undefined],
    [0o664, undefined],
    [0o646, "646"],
    [0o602, "602"],
  ])("a file that all may read, with mode %o: %s", (mode, told) => {
    const file = open("x", mode);
    expect(writableFileWarning("k", file)).toBe(told === undefined ? undefined : writable("k", file, told));
    expect(writableFileWarning("k", path.join(path.dirname(file), "none"))).toBeUndefined();
    expect(writableFileWarning("k", path.dirname(file))).toBeUndefined();
  });

  test.each(["auth.policy", "[authz]"])(
    "rules, which %s names: told at the start, and when it becomes so",
    async (key) => {
      const file = open("[authz]\n* = any\n");
      const config = {
        argv: key === "[authz]" ? ["-i", file] : [`--auth.policy=${file}`],
        env: {},
        cwd: "/",
      };
      const { policy } = toAuthSettings(loadConfig(config), "/");
      const cluster = new Cluster({ settings: { auth: { policy } } });
      const provider = new RpcProvider(cluster.runtime());
      cluster.onClose(() => provider.shutdown());
      await provider.start();
      const warned = () => cluster.log.at("warn").filter((line) => line.includes("has mode"));
      expect(warned()).toEqual([]);
      chmodSync(file, 0o666);
      await cluster.clock.run(5000);
      expect(warned()).toEqual([writable(key, file)]);
    },
  );

  test("a certificate, and the authorities", () => {
    const [key, cert, ca] = [open(good.key, 0o600), open(good.cert, 0o646), open(good.cert, 0o666)];
    const log = new RecordingLog();
    new TlsCredentials({ mode: "required", cert, key, ca }, systemClock, log).close();
    expect(log.at("warn").sort()).toEqual([writable("tls.ca", ca), writable("tls.cert", cert, "646")].sort());
  });

  test("the keys of JSON web tokens", async () => {
    const jwks = open('{"keys":[]}', 0o666);
    const log = new RecordingLog();
    const options = { issuer: "https://idp", audience: "me", algorithms: ["ES256"], jwks };
    (await jwtAuthenticator(options, { clock: systemClock, log }, () => {})).close();
    expect(log.at("warn")).toEqual([writable("auth.jwks", jwks)]);
  });

  test("a conf that names such files", () => {
    const load = (text: string, mode: number) =>
      loadConfig({ argv: ["-i", open(text, mode)], env: {}, cwd: temporaryFolder() });
    const loaded = load("[auth]\npolicy=/etc/authz.conf\n", 0o666);
    expect(loaded.warnings).toEqual([writable("auth.policy", loaded.file ?? "")]);
    expect(load("[auth]\npolicy=/etc/authz.conf\n", 0o664).warnings).toEqual([]);
    expect(load("[log]\nlevel=info\n", 0o666).warnings).toEqual([]);
  });
});

test("what is for its owner alone is nothing to tell of", async () => {
  const key = writeSecret(temporaryFolder(), "key", good.key);
  expect(statSync(key).mode & 0o777).toBe(0o600);
  const log = new RecordingLog();
  new TlsCredentials({ mode: "required", cert: good.cert, key }, systemClock, log).close();
  expect(log.lines).toEqual([]);
});
