import { describe, expect, test } from "vitest";
import { classicDialects } from "../../src/protocol/classic/classic-wire.js";
import { deferred } from "../support/async.js";
import { framed, login, loginReply, startProvider } from "./classic-support.js";

const replyIn = (dialect: string): Buffer => (dialect === "framed" ? framed(loginReply) : loginReply);

describe.each(classicDialects)("a classic caller (%s), where there is a policy", (dialect) => {
  test.each([
    ["no rule for it", { "fixbug.UserServiceRpc/Register": "any" }],
    ["a rule for everybody with an identity", { "*": "secret:* | jwt:* | token:* | unix:*" }],
    ["a rule for anybody", { "*": "any" }],
  ])("%s: is refused before its request is decoded, and the log says who", async (_, policy) => {
    let served = 0;
    const handlers = { login: () => ({ result: {}, success: ++served > 0 }) };
    const { connect, log, provider } = await startProvider(handlers, {}, { policy });
    const caller = await connect();
    await caller.write(login(dialect));
    expect(await caller.outcome()).toEqual({ reply: Buffer.alloc(0), end: "reset" });
    expect(served).toBe(0);
    expect(log.at("warn").join("\n")).toContain("denied: fixbug.UserServiceRpc/Login to a classic caller");
    expect(provider.inFlight).toBe(0);
  });

  test("is served by a rule that says classic, and only there", async () => {
    const policy = { "*": "none", "fixbug.UserServiceRpc/Login": "secret:web | classic" };
    const { connect } = await startProvider({}, {}, { policy });
    const caller = await connect();
    await caller.write(login(dialect));
    expect((await caller.reply(replyIn(dialect).length)).equals(replyIn(dialect))).toBe(true);
  });
});

test("an authenticator alone leaves classic callers as they are", async () => {
  const seen = deferred<unknown>();
  const handlers = {
    login: (_: unknown, { peer }: { peer: { identities: unknown } }) => {
      seen.resolve(peer.identities);
      return { result: {}, success: true };
    },
  };
  const { connect } = await startProvider(handlers, {}, { authenticators: [async () => undefined] });
  const caller = await connect();
  await caller.write(login("le32"));
  expect((await caller.outcome()).reply).toEqual(loginReply);
  expect(await seen.promise).toEqual({});
});
