import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Authenticate } from "../../src/auth/authenticator.js";
import { type JwtOptions, jwtAuthenticator } from "../../src/auth/jwt.js";
import { systemClock } from "../../src/base/clock.js";
import { Metadata, type RpcError, Status } from "../../src/index.js";
import { silentLogger } from "../../src/log/logger.js";
import { failure } from "../support/async.js";
import { canary } from "../support/canary.js";
import { startGuarded } from "./guarded.js";

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
  sub?: unknown;
  nbf?: number;
}

async function tokenOf(claims: Claims = {}, key = keys.privateKey, kid = "k1"): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: "disk", sub: "alice", exp: now + 60, ...claims };
  return new SignJWT({ ...payload, jti: canary() } as JWTPayload)
    .setProtectedHeader({ alg: "ES256", kid })
    .sign(key);
}

async function ask(token: string, given = options()) {
  const { authenticate, close } = await jwtAuthenticator(given, parts, () => {});
  onTestFinished(close);
  const metadata = new Metadata({ authorization: `Bearer ${token}` });
  return authenticate(metadata, peer, new AbortController().signal);
}

test.each([[["alice"]], [{ name: "alice" }], [5], [null], [true], [""]])(
  "a subject that is no name is refused, whatever it reads like as text: %j",
  async (sub) => {
    const error = await failure(ask(await tokenOf({ sub })) as Promise<unknown>);
    expect(error).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(error.rawMessage).toMatch(/^the token is not accepted: .*"sub" claim must be/);
  },
);

test.each([
  ["a secret, not JSON", "it is not JSON"],
  ["[]", "JSON Web Key Set malformed"],
  ['{"keys":5}', "JSON Web Key Set malformed"],
])("a file that has no keys is named with its setting, and not shown: %s", async (text, reason) => {
  const file = jwksFile();
  writeFileSync(file, text);
  await expect(jwtAuthenticator(options({ jwks: file }), parts, () => {})).rejects.toThrow(
    new Error(`auth.jwks: ${file} has no keys of JSON web tokens (a JSON Web Key Set): ${reason}`),
  );
});

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
  const { authenticate, close } = await jwtAuthenticator(given, parts, () => {});
  onTestFinished(close);
  for (let i = 0; i < 3; i++) {
    const metadata = new Metadata({ authorization: `Bearer ${await tokenOf({ sub: `s${i}` })}` });
    expect(await authenticate(metadata, peer, new AbortController().signal)).toMatchObject({
      name: `jwt:${issuer}#s${i}`,
    });
  }
  expect(fetched).toBe(1);
});

describe("keys of a URL", () => {
  const clients = { alice: keys, bob: others };
  type Name = keyof typeof clients;
  const jwkOf = async (name: Name) => ({
    ...(await exportJWK(clients[name].publicKey)),
    ...{ kid: name, alg: "ES256" },
  });

  /** An issuer whose keys are those of `names`; `down`: it answers 503. */
  async function issuerOf(...names: Name[]) {
    const state = { names, down: false, fetched: 0 };
    const server = createServer(async (_request, response) => {
      state.fetched++;
      const set = { keys: await Promise.all(state.names.map(jwkOf)) };
      response.writeHead(state.down ? 503 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(set));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    return { state, url: `http://127.0.0.1:${port}/jwks?tenant=${canary()}` };
  }

  /** A provider for their tokens, whose clock stands still. `more`: other authenticators. */
  async function served(url: string, more: readonly Authenticate[] = []) {
    const jwt = options({ jwks: url, refreshMs: 60_000 });
    const pair = await startGuarded({ policy: { "*": "jwt:*" }, authenticators: more }, undefined, {
      settings: { auth: { jwt } },
    });
    const tokens = async (name: Name) => ({
      metadata: { authorization: `Bearer ${await tokenOf({ sub: name }, clients[name].privateKey, name)}` },
    });
    /** An open stream: how its next reply ends. */
    const watching = async (name: Name) => {
      const replies = pair.flow.watch({}, await tokens(name))[Symbol.asyncIterator]();
      await replies.next();
      return { next: replies.next() as Promise<unknown> };
    };
    return { ...pair, tokens, watching };
  }

  test("that are taken out are refused within the interval, on open connections and streams too", async () => {
    const { state, url } = await issuerOf("alice", "bob");
    const pair = await served(url);
    const [alice, bob] = [await pair.tokens("alice"), await pair.tokens("bob")];
    await pair.stub.echo({}, alice);
    await pair.stub.echo({}, bob);
    const aliceEnds = failure((await pair.watching("alice")).next);
    (await pair.watching("bob")).next.catch(() => {});
    expect(pair.provider.inFlight).toBe(2);
    state.names = ["bob"];
    await pair.clock.run(59_000);
    await pair.stub.echo({}, alice);
    expect(state.fetched).toBe(1);
    await pair.clock.run(1000);
    expect(await aliceEnds).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(await failure(pair.stub.echo({}, alice))).toMatchObject({
      ...{ code: Status.UNAUTHENTICATED, executed: "never" },
    });
    await pair.stub.echo({}, bob);
    expect(state.fetched).toBe(2);
    expect(pair.provider.inFlight).toBe(1);
    expect(pair.provider.connections).toBe(1);
    expect(pair.log.at("info").join()).toContain("/jwks has other keys");
  });

  test("that are added, or the same as before, void no answer", async () => {
    const { state, url } = await issuerOf("alice");
    const asked: string[] = [];
    const note: Authenticate = async (metadata) => {
      asked.push(metadata.getText("authorization") ?? "");
      return undefined;
    };
    const pair = await served(url, [note]);
    const alice = await pair.tokens("alice");
    await pair.stub.echo({}, alice);
    await pair.clock.run(60_000);
    await expect.poll(() => state.fetched).toBe(2);
    state.names = ["alice", "bob"];
    await pair.clock.run(60_000);
    await expect.poll(() => state.fetched).toBe(3);
    await pair.stub.echo({}, alice);
    expect(asked).toHaveLength(1);
  });

  test("are looked at once for each fetch, however many tokens are checked, forged ones too", async () => {
    const { state, url } = await issuerOf("alice");
    const pair = await served(url);
    const { x } = await jwkOf("alice");
    const written = vi.spyOn(JSON, "stringify");
    onTestFinished(() => written.mockRestore());
    // The issuer writes them as well, as an object.
    const looks = (): number =>
      written.mock.results.filter(({ value }) => /^\[\[/.test(value) && value.includes(x)).length;
    for (let at = 0; at < 10; at++) {
      const forged = await tokenOf({ sub: `s${at}` }, others.privateKey, "alice");
      const options = { metadata: { authorization: `Bearer ${forged}` } };
      expect(await failure(pair.stub.echo({}, options))).toMatchObject({ code: Status.UNAUTHENTICATED });
      await pair.stub.echo({}, await pair.tokens("alice"));
    }
    expect([state.fetched, looks()]).toEqual([1, 1]);
    await pair.clock.run(60_000);
    await expect.poll(() => state.fetched).toBe(2);
    await expect.poll(looks).toBe(2);
  });

  test("that are seen to be gone when a token of an unknown key comes are refused at once", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const { state, url } = await issuerOf("alice");
    const pair = await served(url);
    const [alice, bob] = [await pair.tokens("alice"), await pair.tokens("bob")];
    await pair.stub.echo({}, alice);
    state.names = ["bob"];
    // The keys are not fetched for every unknown one.
    vi.setSystemTime(Date.now() + 31_000);
    await pair.stub.echo({}, bob);
    expect(await failure(pair.stub.echo({}, alice))).toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  test("stay in force while they cannot be fetched, which is told once, and are fetched again soon", async () => {
    const { state, url } = await issuerOf("alice");
    const pair = await served(url);
    const alice = await pair.tokens("alice");
    await pair.stub.echo({}, alice);
    state.down = true;
    await pair.clock.run(60_000);
    await expect.poll(() => pair.log.at("error").length).toBe(1);
    await pair.clock.run(30_000);
    await expect.poll(() => state.fetched).toBe(3);
    await pair.stub.echo({}, alice);
    expect(pair.log.at("error")).toEqual([
      expect.stringMatching(/jwks cannot be fetched, the last ones stay in force: /),
    ]);
    state.down = false;
    state.names = ["bob"];
    await pair.clock.run(30_000);
    await expect
      .poll(() => pair.stub.echo({}, alice).catch((error: RpcError) => error.codeName))
      .toBe("UNAUTHENTICATED");
  });

  test("are not fetched before a token has come, and no more when the provider has ended", async () => {
    const { state, url } = await issuerOf("alice");
    const pair = await served(url);
    await pair.clock.run(200_000);
    expect(state.fetched).toBe(0);
    await pair.stub.echo({}, await pair.tokens("alice"));
    const ended = pair.provider.shutdown();
    await pair.clock.run(200_000);
    await ended;
    expect(state.fetched).toBe(1);
  });
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
  [{ refreshMs: 0 }, /refreshMs above 0/],
  [{ jwks: "http://idp.example.com/jwks" }, /https URL/],
])("does not begin with %j", async (wrong, text) => {
  await expect(jwtAuthenticator(options(wrong), parts, () => {})).rejects.toThrow(text);
});

test.each([
  ["hunter2 is no key", "it is not JSON"],
  ['{"keys":"hunter2"}', "JSON Web Key Set malformed"],
])("does not begin with a file of %s, and does not show it", async (text, found) => {
  const file = jwksFile();
  writeFileSync(file, text);
  const error = await jwtAuthenticator(options({ jwks: file }), parts, () => {}).then(() => {}, String);
  expect(error).toBe(
    `Error: auth.jwks: ${file} has no keys of JSON web tokens (a JSON Web Key Set): ${found}`,
  );
});
