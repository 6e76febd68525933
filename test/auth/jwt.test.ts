import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { type JwtOptions, jwtAuthenticator } from "../../src/auth/jwt.js";
import { systemClock } from "../../src/base/clock.js";
import { Metadata } from "../../src/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { canary } from "../support/canary.js";

const issuer = "https://idp.example.com";
const keys = await generateKeyPair("ES256", { extractable: true });
const others = await generateKeyPair("ES256", { extractable: true });
const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: "k1", alg: "ES256" }] });
const parts = { clock: systemClock, log: silentLogger };
const peer = { address: "127.0.0.1:1", protocol: "mprpc", identities: {} };

function jwksFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "mprpc-jwt-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "jwks.json");
  writeFileSync(file, jwks);
  return file;
}

const options = (more: Partial<JwtOptions> = {}): JwtOptions => ({
  ...{ issuer, audience: "disk", algorithms: ["ES256"], jwks: jwksFile() },
  ...more,
});

interface Claims {
  iss?: string;
  aud?: string;
  exp?: number;
  sub?: string;
  nbf?: number;
}

async function tokenOf(claims: Claims = {}, key = keys.privateKey, kid = "k1"): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: "disk", sub: "alice", exp: now + 60, ...claims };
  return new SignJWT({ ...payload, jti: canary() }).setProtectedHeader({ alg: "ES256", kid }).sign(key);
}

async function ask(token: string, given = options()) {
  const { authenticate, close } = await jwtAuthenticator(given, parts, () => {});
  onTestFinished(close);
  const metadata = new Metadata({ authorization: `Bearer ${token}` });
  return authenticate(metadata, peer, new AbortController().signal);
}

test("a good token is its issuer's subject, until it expires", async () => {
  const exp = Math.floor(Date.now() / 1000) + 30;
  expect(await ask(await tokenOf({ exp }))).toEqual({
    name: "jwt:https://idp.example.com#alice",
    expiresAtMs: (exp + 5) * 1000,
  });
});

test("the keys may come from a URL", async () => {
  let fetched = 0;
  const server = createServer((_request, response) => {
    fetched++;
    response.setHeader("content-type", "application/json").end(jwks);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const given = options({ jwks: `http://127.0.0.1:${port}/jwks` });
  const { authenticate } = await jwtAuthenticator(given, parts, () => {});
  for (let i = 0; i < 3; i++) {
    const metadata = new Metadata({ authorization: `Bearer ${await tokenOf({ sub: `s${i}` })}` });
    expect(await authenticate(metadata, peer, new AbortController().signal)).toMatchObject({
      name: `jwt:${issuer}#s${i}`,
    });
  }
  expect(fetched).toBe(1);
});

const now = Math.floor(Date.now() / 1000);
test.each([
  ["another issuer", { iss: "https://evil.example.com" }],
  ["another audience", { aud: "other" }],
  ["expired", { exp: now - 60 }],
  ["not yet valid", { nbf: now + 600 }],
])("refuses one of %s", async (_what, claims) => {
  await expect(ask(await tokenOf(claims))).rejects.toThrow(/the token is not accepted/);
});

test("refuses a wrong key, an unknown key, no signature and a shared-key algorithm", async () => {
  await expect(ask(await tokenOf({}, others.privateKey))).rejects.toThrow(/not accepted/);
  await expect(ask(await tokenOf({}, others.privateKey, "k2"))).rejects.toThrow(/not accepted/);
  const [, payload] = (await tokenOf()).split(".");
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  await expect(ask(`${none}.${payload}.x`)).rejects.toThrow(/not accepted/);
  const hmac = await new SignJWT({ sub: "alice" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1m")
    .sign(Buffer.from(jwks));
  await expect(ask(hmac)).rejects.toThrow(/not accepted/);
});

test("knows nothing of what is no JWT", async () => {
  expect(await ask("0123456789abcdef")).toBeUndefined();
});

test.each([
  [{ issuer: "" }, /issuer is required/],
  [{ audience: "" }, /audience is required/],
  [{ jwks: "" }, /jwks is required \(auth\.jwks\)/],
  [{ algorithms: [] }, /found none/],
  [{ algorithms: ["HS256"] }, /found "HS256"/],
  [{ algorithms: ["none"] }, /found "none"/],
  [{ issuer: "a#b" }, /"#"/],
  [{ jwks: "http://idp.example.com/jwks" }, /https URL/],
])("does not begin with %j", async (wrong, text) => {
  await expect(jwtAuthenticator(options(wrong), parts, () => {})).rejects.toThrow(text);
});
