/**
 * A caller of its own, to be killed or stopped: calls that are never answered, one after the other large ones, and calls
 * that are. Arguments: how many are never answered, then a node's.
 */
import { systemClock } from "../../src/base/clock.js";
import { MprpcApplication, RpcChannel, RpcError } from "../../src/index.js";
import { ProbeServiceStub } from "../support/gen/probe.js";

const [node = "", script = "", pending = "", ...args] = process.argv;
const app = await MprpcApplication.init([node, script, ...args]);
const stub = new ProbeServiceStub(new RpcChannel(app));
const large = Buffer.alloc(2 * 1024 ** 2, "large");

let ended = 0;
const counts = new Map<string, number>();
for (let i = 0; i < Number(pending); i++) {
  const call = stub.echo({ text: `held.${i}`, number: -1 }, { timeoutMs: Infinity });
  call.catch((error) => {
    counts.set(error.codeName, (counts.get(error.codeName) ?? 0) + 1);
    if (++ended === Number(pending)) console.log(`held calls ended ${JSON.stringify([...counts])}`);
  });
}

async function callOn(name: string, data: Buffer): Promise<void> {
  let failing = "";
  for (let i = 0; ; i++) {
    try {
      await stub.echo({ text: `${name}.${i}`, data });
      if (i === 3) console.log(`${name} goes on`);
      if (failing !== "") console.log(`${name} is served again`);
      failing = "";
    } catch (error) {
      const { codeName, executed, rawMessage } = RpcError.from(error);
      const fails = `${name} fails ${codeName} ${executed} ${rawMessage}`;
      if (fails !== failing) console.log(fails);
      failing = fails;
      // Asked again below, as a program would; not in a tight loop.
      await new Promise((resolve) => void systemClock.setTimer(() => resolve(undefined), 20, true));
    }
    if (i % 50 === 49) console.log(`${name} is at ${i}`);
  }
}

await Promise.all([callOn("small", Buffer.alloc(10)), callOn("large", large)]);
