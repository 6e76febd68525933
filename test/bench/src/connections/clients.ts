import { openRegistry, RpcChannel, RpcError, Status, type Transport } from "mprpc";
import { loginRequest } from "../login.js";
import { driveCalls, Meter } from "../meter.js";
import { initNode, loopbackAddress } from "../node.js";
import { serveRequests, takeMark } from "../serve.js";
import { wallNow } from "./clock.js";
import type { ClientsAnswers, ClientsRequest, Reconnection } from "./protocol.js";
import { clientsService } from "./service.js";

/** A process of many clients: `clients.js PORT REGISTRY`. */

/** Connections to one address share its ephemeral ports; over so many, nobody runs out of them. */
const addresses = 8;
/** Connections being opened at a time. */
const openingMax = 200;
const hangMs = 3_600_000;
/** A client that is not back after so long will not be. */
const backWithinMs = 110_000;

const [port = "", registry = ""] = process.argv.slice(2);
const { echo, hang } = clientsService.methods;
const request = loginRequest(20);
const attemptsAtMs: number[] = [];
const connectedAtMs: number[] = [];

/** The system's own transport, counting. */
function counting(inner: Transport): Transport {
  return {
    async connect(address, options) {
      attemptsAtMs.push(wallNow());
      const connection = await inner.connect(address, options);
      connectedAtMs.push(wallNow());
      return connection;
    },
    listen: (address, onConnection) => inner.listen(address, onConnection),
    localHostTowards: (address) => inner.localHostTowards(address),
  };
}

const plain = await initNode(registry, []);
// Not public: a program has no need of the transport it was given.
const { transport } = Reflect.get(plain, Symbol.for("mprpc.internals")) as { transport: Transport };
const app = await initNode(registry, [], { transport: counting(transport) });
/** A static list knows nothing but addresses, so that each client can have another one; else the registry says where. */
const own = Array.from({ length: registry.startsWith("static:") ? addresses : 0 }, (_, index) =>
  openRegistry(`static://${loopbackAddress(index)}:${port}`),
);
const channels: RpcChannel[] = [];

async function openOne(): Promise<void> {
  const list = own[channels.length % own.length];
  const channel = new RpcChannel(app, list === undefined ? {} : { registry: list });
  channels.push(channel);
  await channel.call(echo, request, { waitForReady: true, timeoutMs: 30_000 });
}

async function open(count: number): Promise<ClientsAnswers["open"]> {
  const startMs = performance.now();
  let begun = 0;
  const opener = async () => {
    while (begun < count) {
      begun += 1;
      await openOne();
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, openingMax) }, opener));
  return { opened: begun, elapsedMs: performance.now() - startMs };
}

let meter = new Meter();
let driving = Promise.resolve();

function start(inFlight: number): null {
  meter = new Meter();
  let at = 0;
  driving = driveCalls(meter, inFlight, () => {
    const channel = channels[at] as RpcChannel;
    at = at + 1 === channels.length ? 0 : at + 1;
    return channel.call(echo, request);
  });
  // A failure is told by `stop`; until then it must not end the process.
  driving.catch(() => {});
  return null;
}

async function stop(): Promise<ClientsAnswers["stop"]> {
  meter.running = false;
  await driving;
  return { made: meter.completed };
}

let lostAtMs: number[] = [];
let backAtMs: number[] = [];
let failed = 0;
let reconnecting: Promise<unknown> = Promise.resolve();

/** A client with a call under way that is lost with the provider, and the next one to make at once. */
async function surviveRestart(channel: RpcChannel): Promise<void> {
  await channel.call(hang, request, { timeoutMs: hangMs }).catch(() => lostAtMs.push(wallNow()));
  while (!(await isBack(channel))) failed += 1;
  backAtMs.push(wallNow());
}

/** A call that was on its way when its connection ended may have been served, so that it fails; the client makes it again. */
async function isBack(channel: RpcChannel): Promise<boolean> {
  try {
    await channel.call(echo, request, { waitForReady: true, timeoutMs: backWithinMs });
    return true;
  } catch (error) {
    if (error instanceof RpcError && error.code === Status.UNAVAILABLE) return false;
    throw error;
  }
}

async function hangAll(): Promise<ClientsAnswers["hang"]> {
  lostAtMs = [];
  backAtMs = [];
  failed = 0;
  reconnecting = Promise.all(channels.map(surviveRestart));
  reconnecting.catch(() => {});
  // Frames are served in the order they come: when this is answered, the call that hangs has arrived.
  await Promise.all(channels.map((channel) => channel.call(echo, request)));
  attemptsAtMs.length = 0;
  connectedAtMs.length = 0;
  return { hanging: channels.length };
}

async function reconnected(): Promise<Reconnection> {
  await reconnecting;
  return { lostAtMs, attemptsAtMs, connectedAtMs, backAtMs, failed };
}

serveRequests<ClientsRequest>("", async (asked) => {
  switch (asked.kind) {
    case "open":
      return open(asked.count);
    case "start":
      return start(asked.inFlight);
    case "mark":
      return takeMark(meter.completed);
    case "stop":
      return stop();
    case "hang":
      return hangAll();
    case "reconnected":
      return reconnected();
    case "close":
      return null;
  }
});
