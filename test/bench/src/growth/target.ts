import { type CallOptions, openRegistry, RpcChannel, RpcProvider } from "mprpc";
import { defineService, type MethodDefinition, type ServiceDefinition } from "mprpc/codec";
import { LoginRequest } from "../gen/bench.js";
import { loginRequest } from "../login.js";
import { driveCalls } from "../meter.js";
import { initNode, loopbackAddress } from "../node.js";
import type { Caller, Provider, Target } from "../target.js";
import type { GrowthSetting } from "./setting.js";

/** mprpc with many services, methods, endpoints and so on. Every method gives back what it gets, so that a call has as many bytes each way. */

type Echo = MethodDefinition<typeof LoginRequest, typeof LoginRequest, "unary">;

const hangMs = 3_600_000;

/** Limits above the largest step of any axis, so that none of them is what is measured. */
const wideLimits = [
  "provider.maxinflight=1000000",
  "provider.maxinflightperconnection=1000000",
  "channel.maxpending=1000000",
  "limits.body=32MiB",
  "limits.unwritten=4GiB",
  "calltimeout=5m",
];

function servicesOf({ services, methods }: GrowthSetting): ServiceDefinition<Record<string, Echo>>[] {
  return Array.from({ length: services }, (_, index) => {
    const init = Array.from({ length: methods }, (_, method): [string, { name: string } & EchoTypes] => [
      `echo${method}`,
      { name: `Echo${method}`, input: LoginRequest, output: LoginRequest },
    ]);
    return defineService({ typeName: `bench.Growth${index}`, methods: Object.fromEntries(init) });
  });
}

interface EchoTypes {
  input: typeof LoginRequest;
  output: typeof LoginRequest;
}

const hanging = defineService({
  typeName: "bench.Hanging",
  methods: {
    hang: { name: "Hang", input: LoginRequest, output: LoginRequest },
    /** Ends all that hang. */
    release: { name: "Release", input: LoginRequest, output: LoginRequest },
  },
});

async function startProvider(setting: GrowthSetting): Promise<Provider> {
  // One provider at all addresses of the loopback network: each is an endpoint with a connection of its own.
  const host = setting.endpoints > 1 ? "0.0.0.0" : "127.0.0.1";
  const app = await initNode("static://127.0.0.1:1", [
    `rpcserverip=${host}`,
    "rpcserverport=0",
    "advertiseaddress=127.0.0.1",
    ...wideLimits,
  ]);
  let served = 0;
  const echo = (request: LoginRequest) => {
    served += 1;
    return request;
  };
  const provider = new RpcProvider(app);
  for (const service of servicesOf(setting)) {
    const handlers = Object.fromEntries(Object.keys(service.methods).map((name) => [name, echo]));
    provider.notifyService(service, handlers);
  }
  let release = (_request: LoginRequest) => {};
  const released = new Promise<LoginRequest>((resolve) => {
    release = resolve;
  });
  provider.notifyService(hanging, {
    hang: () => released,
    release(request) {
      release(request);
      return request;
    },
  });
  const { port } = await provider.start();
  return {
    endpoint: String(port),
    served: () => served,
    async close() {
      await provider.shutdown();
      await app.close();
    },
  };
}

function metadataOf({ metadataEntries }: GrowthSetting): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: metadataEntries }, (_, index) => [
      `x-entry-${index}`,
      `0123456789abcd${index % 10}`,
    ]),
  );
}

type Turn = [channel: RpcChannel, method: Echo];

/** What is called in turn: every method of every service, over one channel or over each. */
function turnsOf(setting: GrowthSetting, channels: readonly RpcChannel[]): Turn[] {
  const methods = servicesOf(setting).flatMap((service) => Object.values(service.methods));
  return channels.flatMap((channel) => methods.map((method): Turn => [channel, method]));
}

/** Starts calls that hang, and resolves when the provider has all of them: frames are served in the order they come. */
async function hangCalls([channel, echo]: Turn, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    // How they end is no matter.
    channel.call(hanging.methods.hang, loginRequest(20), { timeoutMs: hangMs }).catch(() => {});
  }
  await channel.call(echo, loginRequest(20));
}

async function startCaller(port: number, setting: GrowthSetting): Promise<Caller> {
  const addresses = Array.from(
    { length: setting.endpoints },
    (_, index) => `${loopbackAddress(index)}:${port}`,
  );
  const lists = setting.channels === "one" ? [addresses.join(",")] : addresses;
  const app = await initNode("static://127.0.0.1:1", wideLimits);
  const channels = lists.map((list) => new RpcChannel(app, { registry: openRegistry(`static://${list}`) }));
  const turns = turnsOf(setting, channels);
  // Each connection is up and each method agreed on before anything is measured.
  const rounds = setting.channels === "one" ? setting.endpoints : 1;
  for (let round = 0; round < rounds; round += 1) {
    for (const [channel, method] of turns) await channel.call(method, loginRequest(20));
  }
  const [first] = turns;
  if (first !== undefined) await hangCalls(first, setting.pendingDeadlines);
  return {
    drive(meter, { payloadBytes, inFlight }) {
      const request = payloadBytes === 0 ? {} : loginRequest(payloadBytes);
      const options: CallOptions = {};
      if (setting.metadataEntries > 0) options.metadata = metadataOf(setting);
      let at = 0;
      return driveCalls(meter, inFlight, () => {
        const [channel, method] = turns[at] as Turn;
        at = at + 1 === turns.length ? 0 : at + 1;
        return channel.call(method, request, options);
      });
    },
    openIdle() {
      throw new Error("npm run bench -- connections measures connections");
    },
    async close() {
      await channels[0]?.call(hanging.methods.release, loginRequest(20));
      await Promise.all(channels.map((channel) => channel.close()));
      await app.close();
    },
  };
}

export function growthTarget(setting: GrowthSetting): Target {
  return {
    startProvider: () => startProvider(setting),
    startCaller: (endpoint) => startCaller(Number(endpoint), setting),
  };
}
