import { readFileSync } from "node:fs";
import path from "node:path";
import tls from "node:tls";
import { openRegistry } from "mprpc";
import { Child } from "../child.js";
import type { Window } from "../pair.js";
import type { Answers, Request } from "../protocol.js";
import { median } from "../report.js";

/** What handshakes take: full ones, or resumed by a ticket. */
export interface HandshakeRow {
  kind: "full" | "resumed";
  target: "mprpc-tls" | "raw-tls";
  handshakesPerSecond: number;
  /** Of the provider. */
  cpuUsPerHandshake: number;
}

/** Handshakes at a time; the client is what limits them, with one core for as much work as the provider has. */
const concurrent = 8;
const rounds = 5;

interface Place {
  port: number;
  ca: Buffer;
}

/** Where a provider listens: in the registry of its folder, or what the bare one says. */
async function placeOf(target: HandshakeRow["target"], endpoint: string): Promise<Place> {
  if (target === "raw-tls") {
    const [port, folder = ""] = endpoint.split(" ");
    return { port: Number(port), ca: readFileSync(path.join(folder, "cert.pem")) };
  }
  const registry = openRegistry(`file:${endpoint}`);
  try {
    const [service] = await registry.list();
    return { port: service?.endpoints[0]?.port ?? 0, ca: readFileSync(path.join(endpoint, "cert.pem")) };
  } finally {
    await registry.close();
  }
}

/** Resolves when the handshake is done and the socket closed; with a ticket of the server if `wantsTicket`. */
function shake(
  { port }: Place,
  secureContext: tls.SecureContext,
  session: Buffer | undefined,
  wantsTicket: boolean,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, secureContext };
    const socket = tls.connect(session === undefined ? options : { ...options, session });
    let ticket: Buffer | undefined;
    socket.once("error", reject);
    socket.once("session", (given: Buffer) => {
      ticket = given;
      if (wantsTicket) socket.destroy();
    });
    socket.once("secureConnect", () => {
      if (session !== undefined && !socket.isSessionReused())
        reject(new Error("the ticket was not accepted"));
      if (!wantsTicket) socket.destroy();
    });
    socket.once("close", () => resolve(ticket));
    if (wantsTicket) socket.resume();
  });
}

async function measureOne(
  child: Child<Request, Answers>,
  place: Place,
  kind: HandshakeRow["kind"],
  { warmMs, measureMs }: Window,
): Promise<{ rate: number; cpuUs: number }> {
  const secureContext = tls.createSecureContext({ ca: place.ca });
  const ticket = kind === "full" ? undefined : await shake(place, secureContext, undefined, true);
  let made = 0;
  let going = true;
  const loop = async (): Promise<void> => {
    while (going) {
      await shake(place, secureContext, ticket, false);
      made += 1;
    }
  };
  const loops = Promise.all(Array.from({ length: concurrent }, loop));
  const pause = (ms: number): Promise<unknown> =>
    Promise.race([loops, new Promise((r) => setTimeout(r, ms))]);
  await pause(warmMs);
  const mark = () => child.ask({ kind: "mark", edge: "start", payloadBytes: 0 });
  const [before, madeBefore] = [await mark(), made];
  await pause(measureMs);
  const [after, madeAfter] = [await mark(), made];
  going = false;
  await loops;
  const count = madeAfter - madeBefore;
  return {
    rate: (count * 1000) / (after.timeMs - before.timeMs),
    cpuUs: (after.cpuUs - before.cpuUs) / count,
  };
}

/** Both servers in turns; medians of five rounds. */
export async function measureHandshakes(pin: boolean, window: Window): Promise<HandshakeRow[]> {
  const targets = ["mprpc-tls", "raw-tls"] as const;
  const children = new Map<HandshakeRow["target"], { child: Child<Request, Answers>; place: Place }>();
  const core = pin ? 0 : undefined;
  try {
    for (const target of targets) {
      const args = [JSON.stringify(target), "provider", ""];
      const name = `provider of ${target}`;
      const child = await Child.start<Request, Answers>({ name, program: "worker", args, core });
      children.set(target, { child, place: await placeOf(target, child.endpoint) });
    }
    const taken = new Map<string, Array<{ rate: number; cpuUs: number }>>();
    for (let round = 0; round < rounds; round += 1) {
      for (const kind of ["full", "resumed"] as const) {
        for (const target of round % 2 === 0 ? targets : [...targets].reverse()) {
          const { child, place } = children.get(target) as { child: Child<Request, Answers>; place: Place };
          const key = `${kind} ${target}`;
          taken.set(key, [...(taken.get(key) ?? []), await measureOne(child, place, kind, window)]);
        }
      }
    }
    return [...taken].map(([key, all]) => {
      const [kind, target] = key.split(" ") as [HandshakeRow["kind"], HandshakeRow["target"]];
      return {
        ...{ kind, target },
        handshakesPerSecond: median(all.map(({ rate }) => rate)),
        cpuUsPerHandshake: median(all.map(({ cpuUs }) => cpuUs)),
      };
    });
  } finally {
    for (const { child } of children.values()) {
      await child.ask({ kind: "close" }).catch(() => {});
      child.kill();
    }
  }
}
