import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { RpcChannel, type RpcError, Status } from "../../src/index.js";
import { createRuntime } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { failure } from "../support/async.js";
import { FixedRegistry } from "../support/fixed-registry.js";
import { FlowServiceStub } from "../support/gen/flow.js";
import { compiled } from "../tools/compiled.js";

const program = new URL("killed-provider.ts", import.meta.url);

test("kill -9 of a provider in the middle: what came is in order, each stream ends as lost, sources are closed", async () => {
  const child = spawn(process.execPath, [compiled(program)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const endpoint = { host: "127.0.0.1", port: Number(line), protocol: "mprpc", weight: 1, attributes: {} };
  const app = createRuntime({
    transport: tcpTransport(systemClock),
    registry: new FixedRegistry([endpoint]),
  });
  const channel = new RpcChannel(app);
  onTestFinished(() => channel.close());
  const stub = new FlowServiceStub(channel);
  let [read, opened, closed] = [0, 0, 0];
  const source = async function* () {
    opened++;
    try {
      for (let number = 0; ; number++) yield { number };
    } finally {
      closed++;
    }
  };
  const reading = async (stream: AsyncIterable<{ number: number }>): Promise<void> => {
    let next = 0;
    for await (const { number } of stream) {
      expect(number).toBe(next++);
      read++;
    }
  };
  const calls = [
    failure(reading(stub.watch({}))),
    failure(stub.put(source(), { timeoutMs: 60_000 })),
    failure(reading(stub.chat(source()))),
  ];
  await expect.poll(() => read).toBeGreaterThan(10_000);
  child.kill("SIGKILL");
  const errors: RpcError[] = await Promise.all(calls);
  expect(errors.map(({ code, executed }) => [code, executed])).toEqual(
    Array(3).fill([Status.UNAVAILABLE, "maybe"]),
  );
  await expect.poll(() => closed).toBe(2);
  expect(opened).toBe(2);
}, 60_000);
