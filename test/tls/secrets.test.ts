import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import tls from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import { parseTokens } from "../../src/auth/token-file.js";
import { MprpcApplication } from "../../src/node/application.js";
import { loadMaterial } from "../../src/transport/tls/material.js";
import type { TlsOptions } from "../../src/transport/tls/options.js";
import { parseSecrets } from "../../src/transport/tls/secrets.js";
import { RecordingLog } from "../support/log.js";
import { canary, watchSecret } from "../tools/leaks/secrets.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued, secretLine, writeSecret } from "./authority.js";
import { failureOf, startTls, temporaryFolder } from "./support.js";

/** A block in PEM whose bytes are none of what it says. */
const broken = (pem: string): string => pem.replace(/(-----\r?\n)[^-]+/, "$1AAAA\n");

function watched(pem: string): string {
  watchSecret(pem.split("\n")[2] as string);
  return pem;
}

function thrownBy(use: () => unknown): Error {
  try {
    use();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not throw");
}

const lines = (...names: string[]): string => `${names.map(secretLine).join("\n")}\n`;

let ca: Authority;
let good: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  good = await ca.issue({ dns: ["users.example"] });
});

describe("a secret instead of certificates", () => {
  test("proves each side to the other, and is the caller's identity", async () => {
    const secrets = lines("apigw", "worker");
    const { stub, identities } = await startTls({ mode: "required", secrets }, { secrets });
    expect((await stub.echo({ text: "x" })).text).toBe("x");
    const second = await startTls({ mode: "required", secrets }, { secrets, secret: "worker" });
    await second.stub.echo({ text: "x" });
    expect([...identities, ...second.identities]).toEqual(["secret:apigw", "secret:worker"]);
  });

  test("stands beside certificates on one port", async () => {
    const secrets = lines("apigw");
    const server = { ...good, mode: "required", secrets } as const;
    const bySecret = await startTls(server, { secrets });
    await bySecret.stub.echo({ text: "x" });
    const byName = await startTls(server, { ca: ca.cert, peerName: "users.example" });
    await byName.stub.echo({ text: "x" });
    expect([...bySecret.identities, ...byName.identities]).toEqual(["secret:apigw", undefined]);
  });

  test.each([false, true])(
    "with another key fails, and both sides say why (a certificate beside it: %s)",
    async (both) => {
      const server = { mode: "required", secrets: lines("apigw"), ...(both ? good : {}) } as const;
      const { stub, providerLog, identities } = await startTls(server, { secrets: lines("apigw") });
      expect(await failureOf(stub.echo({ text: "x" }))).toContain(
        "different keys of this secret (auth.secrets)",
      );
      expect(providerLog.at("warn").join("\n")).toContain("different keys of this secret (auth.secrets)");
      expect(identities).toEqual([]);
    },
  );

  test("that the provider does not have fails, and both sides say why", async () => {
    const { stub, providerLog } = await startTls(
      { mode: "required", secrets: lines("apigw") },
      { secrets: lines("other") },
    );
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("no cipher, certificate or secret in common");
    expect(providerLog.at("warn").join("\n")).toContain("a secret that is not in auth.secrets here");
  });

  test.each([
    ["has others", true],
    ["has none", false],
  ])("that a provider with a certificate does not have (it %s) is told on both sides", async (_, others) => {
    const secrets = others ? { secrets: lines("apigw") } : {};
    const { stub, identities, providerLog } = await startTls(
      { ...good, mode: "required", ...secrets },
      { secrets: lines("other") },
    );
    const error = await failureOf(stub.echo({ text: "x" }));
    expect(error).toContain("the other side does not know the secret other (auth.secrets)");
    expect(error).not.toContain("tls.ca");
    await eventually("a line in the provider's log", async () => providerLog.at("warn").length > 0);
    for (const line of providerLog.at("warn"))
      expect(line).toBe("TLS handshake refused: the caller offers a secret that is not in auth.secrets here");
    expect(identities).toEqual([]);
  });

  test("that is taken out, where the provider has a certificate, is told on both sides", async () => {
    const [apigw, worker] = [secretLine("apigw"), secretLine("worker")];
    const secrets = writeSecret(temporaryFolder(), "secrets", `${apigw}\n${worker}\n`);
    const { stub, providerLog } = await startTls(
      { ...good, mode: "required", secrets },
      { secrets: `${apigw}\n` },
    );
    await stub.echo({ text: "x" });
    writeFileSync(secrets, `${worker}\n`);
    const noted = (part: string) => async () => providerLog.at("warn").some((line) => line.includes(part));
    await eventually("the refusal of a call", async () =>
      (await stub.echo({ text: "x" }).then(() => "", String)).includes("does not know the secret apigw"),
    );
    await eventually("a line in the log", noted("a secret that is not in auth.secrets here"));
    expect(providerLog.at("warn").join("\n")).not.toContain("tls.ca");
  });

  test("that is unknown does not keep out a caller that takes the certificate as well", async () => {
    const { provider, providerLog } = await startTls(
      { ...good, mode: "required", secrets: lines("apigw") },
      {},
    );
    const socket = tls.connect({
      ...{ host: "127.0.0.1", port: provider.address?.port as number, ca: ca.cert, minVersion: "TLSv1.3" },
      ciphers: "TLS_AES_128_GCM_SHA256",
      pskCallback: () => ({ psk: Buffer.alloc(32, 7), identity: "other" }),
      checkServerIdentity: () => undefined,
    });
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    expect(socket.isSessionReused()).toBe(false);
    socket.destroy();
    await eventually("a line in the log", async () => providerLog.at("warn").length > 0);
    expect(providerLog.at("warn").join("\n")).toContain("a secret that is not in auth.secrets here");
  });
});

describe("the trap: a known name, a wrong key, and a certificate to fall back to", () => {
  test("a caller that offers a secret with a wrong key and one cipher is nobody", async () => {
    const secrets = lines("apigw");
    const { provider, identities, providerLog } = await startTls(
      { ...good, mode: "required", secrets, ca: ca.cert, clientAuth: "request" },
      { secrets },
    );
    for (const ciphers of [
      "TLS_AES_128_GCM_SHA256",
      "TLS_AES_256_GCM_SHA384",
      "TLS_CHACHA20_POLY1305_SHA256",
    ]) {
      const socket = tls.connect({
        host: "127.0.0.1",
        port: provider.address?.port as number,
        ...{ ciphers, rejectUnauthorized: false, minVersion: "TLSv1.3", ALPNProtocols: ["mprpc/2"] },
        pskCallback: () => ({ psk: Buffer.alloc(32, 7), identity: "apigw" }),
        checkServerIdentity: () => undefined,
      });
      const ended = await new Promise<string>((resolve) => {
        socket.once("secureConnect", () => resolve("let in"));
        socket.once("error", () => resolve("refused"));
      });
      socket.destroy();
      expect(ended).toBe("refused");
    }
    expect(identities).toEqual([]);
    expect(providerLog.at("warn").length).toBeGreaterThan(0);
  });

  test("a ticket of another connection beside the name is not taken for the key", async () => {
    const secrets = lines("apigw");
    const { provider, identities } = await startTls({ ...good, mode: "required", secrets }, { secrets });
    const port = provider.address?.port as number;
    const first = tls.connect({ host: "127.0.0.1", port, ca: ca.cert, checkServerIdentity: () => undefined });
    const session = await new Promise<Buffer>((resolve) => first.once("session", resolve));
    first.destroy();
    const second = tls.connect({
      ...{ host: "127.0.0.1", port, session, minVersion: "TLSv1.3", rejectUnauthorized: false },
      ciphers: "TLS_AES_128_GCM_SHA256",
      pskCallback: () => ({ psk: Buffer.alloc(32, 7), identity: "apigw" }),
      checkServerIdentity: () => undefined,
    });
    const reused = await new Promise<boolean | string>((resolve) => {
      second.once("secureConnect", () => resolve(second.isSessionReused()));
      second.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    });
    second.destroy();
    expect(reused).not.toBe(true);
    expect(identities).toEqual([]);
  });

  test("a provider that proves itself by a certificate does not prove the secret", async () => {
    const { stub } = await startTls({ ...good, mode: "required" }, { secrets: lines("apigw") });
    await expect(stub.echo({ text: "x" })).rejects.toThrow(/TLS handshake/);
  });
});

describe("a file of secrets", () => {
  test("has one name and one key of 32 bytes a line", () => {
    const text = `# comment\n\n${lines("a", "b.c-d_e")}hex:${"ab".repeat(32)}\r\n`;
    expect([...parseSecrets(text, "f").keys()]).toEqual(["a", "b.c-d_e", "hex"]);
    expect(parseSecrets(text, "f").get("hex")?.length).toBe(32);
  });

  test.each([
    ["a:c2hvcnQ", /f:1: the key, behind .* has 5 bytes, at least 32.*mprpc secret NAME/],
    ["nokey", /f:1: expected name:key/],
    ["bad name:x", /f:1: expected name:key/],
    [`a:${"%".repeat(44)}`, /f:1: the key is not 32 to 64 bytes/],
    [`a:${"cd".repeat(32)}\na:${"ab".repeat(32)}`, /f:2: a is given twice/],
    ["# nothing", /f has no secret/],
  ])("%s is refused, without the key in the message", (text, expected) => {
    expect(() => parseSecrets(text, "f")).toThrow(expected);
    expect(() => parseSecrets(text, "f")).not.toThrow(/c2hvcnQ|%%%|abab|cdcd/);
  });

  test("of which a line is the wrong way round: neither part is shown", () => {
    const key = canary();
    expect(() => parseSecrets(`${key}:apigw`, "f")).toThrow(
      /^f:1: the key, behind the name and ":", has 3 bytes/,
    );
    expect(() => parseSecrets(`${key}:apigw!`, "f")).toThrow(/^f:1: the key is not 32 to 64 bytes/);
    expect(() => parseTokens(`${key}:alice`, "f")).toThrow(
      'f:1: the token, behind the name and ":", has 5 characters, at least 16 are needed',
    );
  });

  test("is not one of its lines, and a name is not a line either: neither is shown", () => {
    const line = secretLine("apigw");
    const shown = (options: TlsOptions): string => {
      try {
        loadMaterial(options, 0);
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    };
    expect(shown({ secrets: line })).toMatch(/^auth.secrets: a file name, or lines that each end/);
    expect(shown({ secrets: `${line}\n`, secret: line })).toBe(
      "auth.secret: there is no such name in auth.secrets",
    );
  });

  test("that others may read is refused", () => {
    const folder = temporaryFolder();
    const file = writeSecret(folder, "secrets", lines("apigw"));
    expect(loadMaterial({ secrets: file }, 0).secretName).toBe("apigw");
    chmodSync(file, 0o644);
    expect(() => loadMaterial({ secrets: file }, 0)).toThrow(/mode 644.*chmod 600/);
    chmodSync(file, 0o600);
  });

  test("that is missing, or lacks the name that channels are to use, is refused", () => {
    const folder = temporaryFolder();
    const missing = path.join(folder, "none");
    expect(() => loadMaterial({ secrets: missing }, 0)).toThrow(/auth.secrets: cannot read .*none/);
    const file = writeSecret(folder, "secrets", lines("apigw"));
    expect(() => loadMaterial({ secrets: file, secret: "worker" }, 0)).toThrow(
      /auth.secret: there is no worker/,
    );
  });
});

test.each([
  ["tls.cert", (file: string) => ({ cert: file, key: good.key })],
  ["tls.key", (file: string) => ({ cert: good.cert, key: file })],
  ["tls.passphrase", (file: string) => ({ ...good, passphrase: `file:${file}` })],
  ["tls.ca", (file: string) => ({ ca: file })],
  ["tls.crl", (file: string) => ({ crl: file })],
  ["auth.secrets", (file: string) => ({ secrets: file })],
])("%s that cannot even be looked at is named with its key", (key, options) => {
  // A link to itself: root may enter every folder.
  const file = path.join(temporaryFolder(), "loop");
  symlinkSync(file, file);
  expect(() => loadMaterial(options(file), 0)).toThrow(`${key}: cannot read ${file}: ELOOP`);
});

describe("files of certificates", () => {
  test("that cannot be used are named with their keys", () => {
    const folder = temporaryFolder();
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text, { mode: 0o600 });
      return path.join(folder, name);
    };
    const cert = file("cert", good.cert);
    const key = file("key", good.key);
    const empty = file("empty", "nothing");
    expect(() => loadMaterial({ cert }, 0)).toThrow(/tls.cert is set without tls.key/);
    const brokenKey = file("broken.key", broken(good.key));
    const brokenCert = file("broken.crt", broken(good.cert));
    const relative = path.relative(process.cwd(), empty);
    const failures: ReadonlyArray<readonly [TlsOptions, string]> = [
      [{ cert, key: empty }, `tls.key: ${empty} has no block "BEGIN PRIVATE KEY"`],
      [{ cert, key: brokenKey }, `tls.key: ${brokenKey} is no key that can be used: error`],
      [{ cert, key: broken(good.key) }, "tls.key is no key that can be used: error"],
      [{ cert: brokenCert, key }, `the settings of TLS cannot be used (tls.cert: ${brokenCert}): `],
      [{ cert: broken(good.cert), key }, "the settings of TLS cannot be used (tls.cert): "],
      [{ ca: broken(ca.cert) }, "the settings of TLS cannot be used (tls.ca): "],
      [{ ca: brokenCert }, `the settings of TLS cannot be used (tls.ca: ${brokenCert}): `],
      [{ cert: empty, key }, `tls.cert: ${empty} has no block "BEGIN CERTIFICATE"`],
      [{ ca: relative }, `tls.ca: ${empty} has no block "BEGIN CERTIFICATE"`],
      [{ ca: `${relative}.not-there` }, `tls.ca: cannot read ${empty}.not-there: ENOENT`],
      [{ crl: cert }, `tls.crl: ${cert} has no block "BEGIN X509 CRL"`],
      [{ cert, key, ciphers: "NONSENSE" }, 'tls.ciphers: OpenSSL knows no cipher of "NONSENSE"'],
    ];
    for (const [options, text] of failures) {
      const error = thrownBy(() => loadMaterial(options, 0));
      expect(error.message.slice(0, text.length)).toBe(text);
    }
  });

  test("in DER are told how to become PEM", () => {
    const folder = temporaryFolder();
    const der = (name: string, bytes: Buffer): string => {
      writeFileSync(path.join(folder, name), bytes, { mode: 0o600 });
      return path.join(folder, name);
    };
    const cert = der("cert.der", new X509Certificate(good.cert).raw);
    const key = der("key.der", createPrivateKey(good.key).export({ type: "pkcs8", format: "der" }));
    const text = (where: string, command: string): string =>
      `${where} is no PEM, but binary, as DER is: openssl ${command} -inform DER -in FILE -out FILE.pem converts it`;
    expect(() => loadMaterial({ ca: cert }, 0)).toThrow(text(`tls.ca: ${cert}`, "x509"));
    expect(() => loadMaterial({ cert, key: good.key }, 0)).toThrow(text(`tls.cert: ${cert}`, "x509"));
    expect(() => loadMaterial({ cert: good.cert, key }, 0)).toThrow(text(`tls.key: ${key}`, "pkey"));
    expect(() => loadMaterial({ crl: cert }, 0)).toThrow(text(`tls.crl: ${cert}`, "crl"));
  });

  test("of a conf count from the folder in which the application starts", async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, "a.conf"), "[tls]\nca=ca.crt\n");
    const init = (): Promise<unknown> =>
      MprpcApplication.init(["node", "x", "-i", "a.conf"], { cwd: folder, env: {}, log: new RecordingLog() });
    await expect(init()).rejects.toThrow(`tls.ca: cannot read ${path.join(folder, "ca.crt")}: ENOENT`);
    writeFileSync(path.join(folder, "ca.crt"), ca.cert);
    await ((await init()) as MprpcApplication).close();
  });

  test("need their own key, of the same kind too", async () => {
    const other = await ca.issue();
    const together = /^tls.cert and tls.key do not belong together/;
    const folder = temporaryFolder();
    const named = { cert: path.join(folder, "a.crt"), key: path.join(folder, "b.key") };
    writeFileSync(named.cert, good.cert);
    writeFileSync(named.key, other.key, { mode: 0o600 });
    expect(() => loadMaterial(named, 0)).toThrow(
      `tls.cert: ${named.cert} and tls.key: ${named.key} do not belong together`,
    );
    expect(() => loadMaterial({ cert: good.cert, key: other.key }, 0)).toThrow(together);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = watched(rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    expect(() => loadMaterial({ cert: good.cert, key }, 0)).toThrow(together);
  });

  test.each(["pkcs8", "sec1"] as const)("name the passphrase of an encrypted key only (%s)", async (type) => {
    const passphrase = canary();
    const key = createPrivateKey(good.key)
      .export({ ...{ type, format: "pem", cipher: "aes-256-cbc", passphrase } })
      .toString();
    const { cert } = good;
    const locked = /^tls.key cannot be decrypted by this passphrase \(tls.passphrase\): /;
    const missing = /^tls.key is encrypted, and no passphrase is given \(tls.passphrase\)$/;
    expect(() => loadMaterial({ cert, key }, 0)).toThrow(missing);
    expect(() => loadMaterial({ cert, key, passphrase: "wrong" }, 0)).toThrow(locked);
    expect(loadMaterial({ cert, key, passphrase }, 0).hasCertificate).toBe(true);
  });
});
