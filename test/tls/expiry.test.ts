import { once } from "node:events";
import tls from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../../src/base/clock.js";
import { tlsTransport } from "../../src/transport/tls/tls-transport.js";
import type { Connection } from "../../src/transport/transport.js";
import { FlowService, FlowServiceStub } from "../support/gen/flow.js";
import { RecordingLog } from "../support/log.js";
import { eventually } from "../tools/wait.js";
import { Authority, type Issued } from "./authority.js";
import { failureOf, startTls } from "./support.js";

const name = "users.example";
const dayMs = 86_400_000;
const ended = "TLS connection ended: the other side is not trusted any more: the certificate has expired";
let ca: Authority;
let server: Issued;

beforeAll(async () => {
  ca = await Authority.make();
  server = await ca.issue({ dns: [name] });
});

/** The time of this machine, until it is set. */
class SetClock implements Clock {
  aheadMs = 0;
  now = systemClock.now;
  setTimer = systemClock.setTimer;
  wallNow = (): number => systemClock.wallNow() + this.aheadMs;
}

/** Who was accepted, of whom each says its name or why it was turned away. */
async function listenWith(clock: Clock): Promise<{ port: number; accepted: Connection[] }> {
  const transport = tlsTransport(
    { clock, log: new RecordingLog() },
    { mode: "required", ...server, ca: ca.cert, clientAuth: "require" },
  );
  const accepted: Connection[] = [];
  const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, (connection) => {
    connection.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    accepted.push(connection);
  });
  onTestFinished(async () => {
    for (const connection of accepted) connection.destroy();
    await listener.close();
    transport.close?.();
  });
  return { port: listener.address.port, accepted };
}

describe("a session that goes on", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "is no way around the end of the caller's certificate, or its beginning (%s)",
    async (maxVersion) => {
      const clock = new SetClock();
      const { port, accepted } = await listenWith(clock);
      const caller = await ca.issue({ dns: ["web.example"], from: -1, to: 5 });
      const options = { host: "127.0.0.1", port, ca: ca.cert, servername: name, maxVersion };
      const open = async (session?: Buffer) => {
        const before = accepted.length;
        const socket = tls.connect({ ...options, ...caller, ...(session === undefined ? {} : { session }) });
        onTestFinished(() => void socket.destroy());
        const given = once(socket, "session").catch(() => []);
        await once(socket, "secureConnect");
        // A server of TLS 1.3 is done a moment later.
        await eventually("the connection", async () => accepted.length > before);
        return { socket, given };
      };
      const first = await open();
      const [session] = (await first.given) as [Buffer];
      for (const aheadMs of [0, 6 * dayMs, -2 * dayMs]) {
        clock.aheadMs = aheadMs;
        const { socket } = await open(session);
        expect(socket.isSessionReused()).toBe(true);
      }
      const refusal = (why: string) => `the caller's certificate is not accepted: the certificate ${why}`;
      expect(accepted.map(({ security, turnedAway }) => turnedAway ?? security?.identity)).toEqual([
        "dns:web.example",
        "dns:web.example",
        refusal("has expired"),
        refusal("is not valid yet, by the clock of this machine"),
      ]);
    },
  );
});

describe("an open connection ends with the certificate of the other side", () => {
  const soon = { to: 2500 / dayMs };

  test("at a provider: the caller's streams have their time, and then end as well", async () => {
    const { stub, provider, channel, providerLog } = await startTls(
      { mode: "required", ...server, ca: ca.cert, clientAuth: "require" },
      { ca: ca.cert, peerName: name, ...(await ca.issue({ dns: ["web.example"], ...soon })) },
      {
        moreServices: (one) =>
          one.notifyService(FlowService, {
            async *watch(_, { signal }) {
              yield { number: 1 };
              await once(signal, "abort");
            },
            put: async () => ({}),
            async *chat() {},
            ask: (request) => request,
          }),
      },
    );
    await stub.echo({ text: "x" });
    let got = 0;
    const watched = failureOf(
      (async () => {
        for await (const _ of new FlowServiceStub(channel).watch({})) got++;
      })(),
    );
    await eventually("the first message", async () => got === 1);
    expect(providerLog.at("warn")).toEqual([]);
    expect(await watched).toMatch(/connection lost|reset|closed/);
    await eventually("no connection", async () => provider.connections === 0);
    expect(providerLog.at("warn")).toContain(ended);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("has expired");
  });

  test("at a provider, before it has said a word: it is not served any more", async () => {
    const { port, accepted } = await listenWith(systemClock);
    const caller = await ca.issue({ dns: ["web.example"], ...soon });
    const socket = tls.connect({ host: "127.0.0.1", port, ca: ca.cert, servername: name, ...caller });
    onTestFinished(() => void socket.destroy());
    await eventually("the connection", async () => accepted.length === 1);
    expect(accepted[0]?.turnedAway).toBeUndefined();
    await eventually("the end of the certificate", async () => accepted[0]?.turnedAway !== undefined);
    expect(accepted[0]?.turnedAway).toContain("not trusted any more: the certificate has expired");
  });

  test("at a channel: it leaves the provider, and says why it does not come back", async () => {
    const { stub, provider, callerLog } = await startTls(
      { mode: "required", ...(await ca.issue({ dns: [name], ...soon })) },
      { ca: ca.cert, peerName: name },
    );
    await stub.echo({ text: "x" });
    await eventually("no connection", async () => provider.connections === 0);
    expect(callerLog.at("warn")).toContain(ended);
    expect(await failureOf(stub.echo({ text: "x" }))).toContain("the certificate has expired");
  });
});
