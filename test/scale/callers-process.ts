import { type MprpcApplication, RpcChannel, RpcError, Status } from "../../src/index.js";
import { serveRequests } from "../bench/src/serve.js";
import { takeMemory, timed } from "./memory.js";
import type { CallersAnswers, CallersRequest, Settled } from "./protocol.js";
import { initNode, serviceOf } from "./setting.js";

/** A process of callers in a scale run. */

/** Connections being opened at a time. */
const openingMax = 200;

let app: MprpcApplication | undefined;
let services: ReturnType<typeof serviceOf>["methods"][] = [];
let channels: RpcChannel[] = [];
const { echo, hold } = serviceOf(0).methods;

async function inTurn(count: number, atOnce: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, worker));
}

async function open(count: number): Promise<object> {
  const node = app;
  if (node === undefined) throw new Error("nothing has begun");
  await inTurn(count, openingMax, async () => {
    const channel = new RpcChannel(node);
    channels.push(channel);
    while (!(await isOpen(channel)));
  });
  return {};
}

/** On a busy machine a connection may end before its first call is served; whoever owns the call makes it again. */
async function isOpen(channel: RpcChannel): Promise<boolean> {
  try {
    await channel.call(echo, { text: "zhang san", number: 1 }, { waitForReady: true });
    return true;
  } catch (error) {
    if (error instanceof RpcError && error.code === Status.UNAVAILABLE) return false;
    throw error;
  }
}

async function use(callsEach: number): Promise<{ answered: number }> {
  let answered = 0;
  await inTurn(channels.length, 256, async (index) => {
    for (let call = 0; call < callsEach; call++) {
      const reply = await (channels[index] as RpcChannel).call(echo, { number: call });
      if (reply.number === call) answered++;
    }
  });
  return { answered };
}

let settling: Promise<Omit<Settled, "elapsedMs">> = Promise.resolve({ answered: 0, failed: {} });

function holdCalls(calls: number, channelCount: number): void {
  const failed: Record<string, number> = {};
  const some = channels.slice(0, channelCount);
  let answered = 0;
  let left = calls;
  settling = new Promise((resolve) => {
    const onEnd = (): void => {
      if (--left === 0) resolve({ answered, failed });
    };
    for (let call = 0; call < calls; call++) {
      const channel = some[call % some.length] as RpcChannel;
      channel
        .call(hold, { number: call })
        .then(
          (reply) => {
            if (reply.number === call) answered++;
          },
          (error: unknown) => {
            const text = error instanceof RpcError ? `${error.codeName} ${error.executed}` : String(error);
            failed[text] = (failed[text] ?? 0) + 1;
          },
        )
        .then(onEnd);
    }
  });
}

async function resolveAll(): Promise<{ answered: number }> {
  let answered = 0;
  await Promise.all(
    services.map(async (methods, number) => {
      const reply = await (channels[0] as RpcChannel).call(methods.echo, { number }, { waitForReady: true });
      if (reply.number === number) answered++;
    }),
  );
  return { answered };
}

async function end(): Promise<null> {
  await Promise.all(channels.map((channel) => channel.close()));
  await app?.close();
  [app, channels, services] = [undefined, [], []];
  return null;
}

serveRequests<CallersRequest>("", async (asked): Promise<CallersAnswers[keyof CallersAnswers]> => {
  switch (asked.kind) {
    case "begin":
      app = await initNode(asked.setting);
      services = Array.from({ length: asked.setting.services }, (_, index) => serviceOf(index).methods);
      return null;
    case "memory":
      return takeMemory();
    case "open":
      return timed(() => open(asked.channels));
    case "use":
      return timed(() => use(asked.callsEach));
    case "hold":
      holdCalls(asked.calls, asked.channels);
      return null;
    case "settled":
      return timed(() => settling);
    case "resolve":
      return timed(resolveAll);
    case "end":
    case "close":
      return end();
  }
});
