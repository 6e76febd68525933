import grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { Status } from "../../src/error/status.js";
import { failure } from "../support/async.js";
import { InteropService, InteropServiceStub } from "./gen/interop.js";
import { grpcJsServer } from "./grpc-js.js";
import { grpcChannel } from "./provider.js";

/** A server whose first answer is a refusal before its handler ran, with these trailers; all others succeed. */
async function refusingOnce(trailers: Record<string, string>) {
  const seen: unknown[] = [];
  const { port } = await grpcJsServer(InteropService, {
    emptyCall(call: grpc.ServerUnaryCall<unknown, unknown>, done: grpc.sendUnaryData<unknown>) {
      seen.push(call.metadata.get("grpc-previous-rpc-attempts")[0]);
      if (seen.length > 1) {
        done(null, {});
        return;
      }
      const metadata = new grpc.Metadata();
      for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
      done({ code: grpc.status.UNAVAILABLE, details: "full", metadata });
    },
  });
  return { stub: new InteropServiceStub(grpcChannel(port)), seen };
}

const never = { "mprpc-executed": "never" };

test("a server that refuses a call before its handler is asked once more", async () => {
  for (const trailers of [never, { ...never, "grpc-retry-pushback-ms": "1" }]) {
    const { stub, seen } = await refusingOnce(trailers);
    await stub.emptyCall({});
    expect(seen).toEqual([undefined, "1"]);
  }
});

test.each(["-1", "-9999", "soon"])("but not when grpc-retry-pushback-ms is %s", async (text) => {
  const { stub, seen } = await refusingOnce({ ...never, "grpc-retry-pushback-ms": text });
  const error = await failure(stub.emptyCall({}));
  expect(error).toMatchObject({
    code: Status.UNAVAILABLE,
    executed: "never",
    rawMessage: "full",
    attempts: 1,
  });
  expect(error.trailers?.get("grpc-retry-pushback-ms")).toBe(text);
  expect(seen).toHaveLength(1);
});

test("a call that may have run is not tried again, whatever the server says", async () => {
  const { stub, seen } = await refusingOnce({ "grpc-retry-pushback-ms": "1" });
  expect(await failure(stub.emptyCall({}))).toMatchObject({ executed: "maybe", attempts: 1 });
  expect(seen).toHaveLength(1);
});

test("a deadline or a signal that comes first ends the call, which has not run", async () => {
  const { stub, seen } = await refusingOnce({ ...never, "grpc-retry-pushback-ms": "600000" });
  const late = await failure(stub.emptyCall({}, { timeoutMs: 200 }));
  expect(late).toMatchObject({ code: Status.DEADLINE_EXCEEDED, executed: "never" });
  expect(late.rawMessage).toContain("its server asked for 600000 ms before another try");
  expect(late.rawMessage).toContain("full");
  expect(seen).toHaveLength(1);
});
