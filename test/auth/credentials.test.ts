import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { credentialsOf } from "../../src/client/credentials.js";
import { type Credentials, Status } from "../../src/index.js";
import { deferred, failure } from "../support/async.js";
import { canary, expectNoCanary } from "../support/canary.js";
import { Cluster, type ClusterOptions } from "../support/cluster.js";
import { type Blob, ProbeServiceStub } from "../support/gen/probe.js";
import { RecordingLog } from "../support/log.js";

const [secret, own] = [canary(), canary()];

/** A provider that replies with the token it was sent. */
async function start(credentials: Credentials | undefined, as = true, more: ClusterOptions = {}) {
  const cluster = new Cluster(more);
  await cluster.provider({
    echo: (_request: Blob, { metadata }) => ({ text: metadata.getText("authorization") ?? "none" }),
  });
  const runtime = cluster.runtime(as ? { transport: cluster.network.as(undefined) } : {});
  const channel = cluster.channel(credentials === undefined ? {} : { credentials }, runtime);
  return { cluster, runtime, stub: new ProbeServiceStub(channel), clock: cluster.clock };
}

describe("the token of a channel", () => {
  test.each([
    ["Bearer before it", `Bearer ${secret}\n`],
    ["a line behind it", `${secret}\n${own}\n`],
    ["nothing", "\n"],
  ])("is alone in its file, which is named otherwise: %s", async (_, text) => {
    const folder = mkdtempSync(path.join(tmpdir(), "mprpc-token-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, "token");
    writeFileSync(file, text, { mode: 0o600 });
    const log = new RecordingLog();
    const { stub } = await start(credentialsOf({ file }, { clock: systemClock, log }));
    const error = await failure(stub.echo({}));
    expect(error.code).toBe(Status.UNAUTHENTICATED);
    expect(error.message).toContain(
      `${file} does not hold a token: the token alone belongs there, without "Bearer", blanks and further lines`,
    );
    expectNoCanary(error.message);
  });

  test("is asked for once, and sent with every call", async () => {
    let asked = 0;
    const { stub, runtime } = await start(async () => {
      asked++;
      return { token: secret };
    });
    const seen: unknown[] = [];
    runtime.events.on("clientStart", ({ call }) => seen.push(call.metadata?.toJSON()));
    const replies = await Promise.all(Array.from({ length: 20 }, () => stub.echo({})));
    expect(new Set(replies.map(({ text }) => text))).toEqual(new Set([`Bearer ${secret}`]));
    expect(asked).toBe(1);
    expectNoCanary(JSON.stringify(seen));
    const reply = await stub.echo({}, { metadata: { authorization: `Bearer ${own}` } });
    expect(reply.text).toBe(`Bearer ${own}`);
  });

  test("is renewed before it expires, without a call that waits", async () => {
    let asked = 0;
    let clock = { wallNow: () => 0 };
    const pair = await start(() => ({ token: `${secret}${++asked}`, expiresAtMs: clock.wallNow() + 10_000 }));
    clock = pair.clock;
    pair.clock.advance(1);
    await pair.stub.echo({});
    await pair.clock.run(7000);
    const before = asked;
    expect((await pair.stub.echo({})).text).toBe(`Bearer ${secret}${before}`);
    await pair.clock.run(1500);
    await pair.stub.echo({});
    expect(asked).toBe(before + 1);
    expect((await pair.stub.echo({})).text).toBe(`Bearer ${secret}${before + 1}`);
  });

  test("that cannot be had fails the calls UNAUTHENTICATED, never, and is asked for again later", async () => {
    let good = false;
    let asked = 0;
    const { stub, clock } = await start(async () => {
      asked++;
      if (!good) throw new Error("the identity provider is away");
      return { token: secret };
    });
    const error = await failure(stub.echo({}));
    expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never", attempts: 0 });
    expect(error.rawMessage).toBe(
      "there is no token for the call (credentials): the identity provider is away",
    );
    await failure(stub.echo({}));
    expect(asked).toBe(1);
    good = true;
    await clock.run(1000);
    expect((await stub.echo({})).text).toBe(`Bearer ${secret}`);
  });

  test("that takes too long lets the deadline say what was waited for", async () => {
    const gate = deferred<{ token: string }>();
    const { stub, clock } = await start(() => gate.promise);
    const late = failure(stub.echo({}, { timeoutMs: 500 }));
    await clock.run(600);
    expect((await late).rawMessage).toContain("the channel has no token yet (credentials)");
    expect((await late).executed).toBe("never");
    gate.resolve({ token: secret });
    expect((await stub.echo({})).text).toBe(`Bearer ${secret}`);
  });

  test("is not sent where others can read it, unless it may be", async () => {
    const refused = await failure((await start(() => ({ token: secret }), false)).stub.echo({}));
    expect(refused).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(refused.rawMessage).toContain("is not confidential");
    const open = await start(() => ({ token: secret }), false, { settings: { auth: { allowPlain: true } } });
    expect((await open.stub.echo({})).text).toBe(`Bearer ${secret}`);
  });

  test.each([
    [{ token: `two ${secret}` }],
    [{ token: "" }],
    [{ token: `line\n${secret}` }],
    [{}],
    [{ token: secret, expiresAtMs: 1 }],
  ])("must be one: example %#", async (given) => {
    const { stub } = await start(() => given as { token: string });
    const error = await failure(stub.echo({}));
    expect(error.code).toBe(Status.UNAUTHENTICATED);
    expectNoCanary(error.message);
  });
});
