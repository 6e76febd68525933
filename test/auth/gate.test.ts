import { describe, expect, test } from "vitest";
import { type Address, RpcError, Status } from "../../src/index.js";
import { Health, Reflection } from "../../src/services/builtin.js";
import { failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { startGuarded as start } from "./guarded.js";
import { tokenTests } from "./token-tests.js";

tokenTests("memory");

describe("identities of the transport", () => {
  test("decide, and reach the handler", async () => {
    const policy = { "probe.ProbeService/Echo": "secret:web", "probe.ProbeService/Note": "secret:other" };
    const { stub, served, denied, log } = await start({ policy }, "secret:web");
    expect((await stub.echo({ text: "a" })).text).toBe("a");
    expect(served).toEqual(["Echo secret:web undefined"]);
    const error = await failure(stub.note({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, executed: "never" });
    expect(error.rawMessage).toBe("probe.ProbeService/Note is not allowed to secret:web ([authz])");
    expect(denied).toEqual([`probe.ProbeService/Note ${Status.PERMISSION_DENIED}`]);
    expect(log.at("warn")).toContain("denied: probe.ProbeService/Note to secret:web");
    expect(await failure(stub.relay({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  });

  test("whoever has none is UNAUTHENTICATED, before the request is decoded; health is open, reflection is not", async () => {
    const { cluster, provider, stub, served } = await start({ policy: { "probe.*": "secret:web" } });
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    const address = provider.address as Address;
    const endpoint = { ...address, protocol: "mprpc", weight: 1, attributes: {} };
    const direct = cluster.channel({ registry: new FixedRegistry([endpoint]) });
    expect((await direct.call(Health.methods.check, { service: "" })).status).toBe(1);
    const listed = failure(direct.call(Reflection.methods.listServices, {}));
    expect(await listed).toMatchObject({ code: Status.UNAUTHENTICATED });
    expect(served).toEqual([]);
  });

  test("inproc identities are subject to the policy like all others", async () => {
    const { stub } = await start({ policy: { "*": "secret:web" } }, "inproc:node");
    expect(await failure(stub.echo({}))).toMatchObject({ code: Status.PERMISSION_DENIED });
  });

  test("a flood of denials is counted in the log", async () => {
    const { stub, log, clock } = await start({ policy: { "*": "none" } });
    await Promise.allSettled(Array.from({ length: 100 }, () => stub.echo({})));
    await clock.run(1500);
    const lines = log.at("warn").filter((line) => line.startsWith("denied"));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("denied: 80 more calls");
  });
});

describe("the operator is told", () => {
  test("of rules that name a method which its service does not have, and of services that are not served", async () => {
    const policy = {
      "*": "any",
      "probe.ProbeService/Eco": "none",
      "probe.ProbeService/Echo": "any",
      "probe.ProbeServise/*": "none",
      "grpc.health.v1.Health/Check": "any",
    };
    const { log } = await start({ policy }, "secret:web");
    expect(log.at("warn")).toEqual([
      "policy: the rule for probe.ProbeService/Eco decides nothing: that service has no such method",
    ]);
    expect(log.at("info")).toContain(
      "the policy has rules for services that are not served here: probe.ProbeServise",
    );
  });

  test("of rules that nobody can match here, with what would make it possible", async () => {
    const policy = {
      "*": "none",
      "probe.ProbeService/Echo": "tokn:alice | tokn:bob",
      "probe.ProbeService/Note": "secret:web + jwt:* | token:web",
      "probe.ProbeService/Relay": "secret:web | jwt:*",
      "flow.FlowService/*": "inproc:node",
    };
    const { log } = await start({ policy }, "secret:web");
    expect(log.at("warn")).toEqual([
      "policy: nobody can be tokn:alice or tokn:bob here, so probe.ProbeService/Echo is closed to all, until an authenticator gives such identities",
      "policy: nobody can be jwt:* or token:web here, so probe.ProbeService/Note is closed to all, until auth.jwks, auth.jwtissuer and auth.jwtaudience accept them or auth.tokens names them",
    ]);
    const own = await start({ policy, authenticators: [() => Promise.resolve("tokn:alice")] }, "secret:web");
    expect(own.log.at("warn")).toEqual([]);
  });

  test("that a call was refused for its token before any handler ran", async () => {
    const { stub, app } = await start({ authenticators: [() => Promise.resolve(undefined)] });
    const told: unknown[] = [];
    app.events.on("callDenied", ({ error }) => told.push(error.executed));
    const error = await failure(stub.echo({}, { metadata: { authorization: "Bearer x" } }));
    expect([error.executed, told]).toEqual(["never", ["never"]]);
  });

  test("why a token is not accepted, without the token", async () => {
    const given = `secret-of-${Math.random()}`;
    const refuse = () => {
      throw new RpcError(Status.UNAUTHENTICATED, `this one is of yesterday: ${given}`);
    };
    const { stub, log } = await start({ authenticators: [refuse] }, "secret:web");
    await failure(stub.echo({}, { metadata: { authorization: `Bearer ${given}` } }));
    const line = log.lines.find(({ text }) => text.startsWith("denied: any method"));
    expect(line?.fields?.reason).toContain("this one is of yesterday");
    expect(JSON.stringify(log.lines)).not.toContain(given);
  });

  test("that a name is too long to be one", async () => {
    const { stub } = await start({ authenticators: [() => Promise.resolve(`jwt:x#${"y".repeat(2000)}`)] });
    const error = await failure(stub.echo({}, { metadata: { authorization: "Bearer x" } }));
    expect(error).toMatchObject({ code: Status.UNAUTHENTICATED, executed: "never" });
    expect(error.rawMessage).toBe(
      "the name that the token proves has 2006 characters, over the limit of 1024",
    );
  });
});
