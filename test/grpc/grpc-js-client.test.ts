import grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { deferred } from "../support/async.js";
import { InteropService, MissingService } from "./gen/interop.js";
import { GrpcJsCaller } from "./grpc-js.js";
import { echoInitial, echoTrailing } from "./interop-handlers.js";
import { interopProvider } from "./provider.js";

const { emptyCall, unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall } =
  InteropService.methods;
const sizes = [31_415, 9, 2653, 58_979];
const requestSizes = [27_182, 8, 1828, 45_904];

const sizesOf = (replies: readonly unknown[]): number[] =>
  replies.map((reply) => (reply as { payload?: { body: Buffer } }).payload?.body.length ?? 0);

test("empty_unary", async () => {
  const { target } = await interopProvider();
  const { code, replies } = await new GrpcJsCaller(target).unary(emptyCall, {});
  expect(code).toBe(grpc.status.OK);
  expect(replies).toEqual([{}]);
});

test("large_unary", async () => {
  const { target } = await interopProvider();
  const request = { responseSize: 314_159, payload: { body: Buffer.alloc(271_828) } };
  const { code, replies } = await new GrpcJsCaller(target).unary(unaryCall, request);
  expect(code).toBe(grpc.status.OK);
  expect(sizesOf(replies)).toEqual([314_159]);
});

test("client_streaming", async () => {
  const { target } = await interopProvider();
  const { call, outcome } = new GrpcJsCaller(target).clientStream(streamingInputCall);
  for (const size of requestSizes) call.write({ payload: { body: Buffer.alloc(size) } });
  call.end();
  const { code, replies } = await outcome;
  expect(code).toBe(grpc.status.OK);
  expect(replies).toMatchObject([{ aggregatedPayloadSize: 74_922 }]);
});

test("server_streaming", async () => {
  const { target } = await interopProvider();
  const { outcome } = new GrpcJsCaller(target).serverStream(streamingOutputCall, { responseSizes: sizes });
  const { code, replies } = await outcome;
  expect(code).toBe(grpc.status.OK);
  expect(sizesOf(replies)).toEqual(sizes);
});

test("ping_pong", async () => {
  const { target } = await interopProvider();
  const { call, outcome } = new GrpcJsCaller(target).bidi(fullDuplexCall);
  let next = 0;
  const ask = (): void => {
    if (next === sizes.length) call.end();
    else {
      call.write({ responseSizes: [sizes[next]], payload: { body: Buffer.alloc(requestSizes[next] ?? 0) } });
      next++;
    }
  };
  call.on("data", ask);
  ask();
  const { code, replies } = await outcome;
  expect(code).toBe(grpc.status.OK);
  expect(sizesOf(replies)).toEqual(sizes);
});

test("empty_stream", async () => {
  const { target } = await interopProvider();
  const { call, outcome } = new GrpcJsCaller(target).bidi(fullDuplexCall);
  call.end();
  const { code, replies } = await outcome;
  expect(code).toBe(grpc.status.OK);
  expect(replies).toEqual([]);
});

test("custom_metadata, of a unary call and of a stream", async () => {
  const { target } = await interopProvider();
  const caller = new GrpcJsCaller(target);
  const metadata = new grpc.Metadata();
  metadata.set(echoInitial, "test_initial_metadata_value");
  metadata.set(echoTrailing, Buffer.from("ababab", "hex"));
  const unary = await caller.unary(unaryCall, { responseSize: 1 }, metadata);
  const { call, outcome } = caller.bidi(fullDuplexCall, metadata);
  call.write({ responseSizes: [1] });
  call.end();
  for (const { code, initial, trailing } of [unary, await outcome]) {
    expect(code).toBe(grpc.status.OK);
    expect(initial.get(echoInitial)).toEqual(["test_initial_metadata_value"]);
    expect(trailing.get(echoTrailing)).toEqual([Buffer.from("ababab", "hex")]);
  }
});

test("status_code_and_message, special_status_message", async () => {
  const { target } = await interopProvider();
  const caller = new GrpcJsCaller(target);
  for (const message of [
    "test status message",
    "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
  ]) {
    const responseStatus = { code: 2, message };
    const unary = await caller.unary(unaryCall, { responseStatus });
    const { call, outcome } = caller.bidi(fullDuplexCall);
    call.write({ responseStatus });
    call.end();
    for (const { code, text } of [unary, await outcome]) {
      expect(code).toBe(grpc.status.UNKNOWN);
      expect(text).toBe(message);
    }
  }
});

test("unimplemented_method, unimplemented_service", async () => {
  const { target } = await interopProvider();
  const caller = new GrpcJsCaller(target);
  const missing = MissingService.methods.unimplementedCall;
  const noMethod = { ...InteropService.methods.emptyCall, name: "NoSuchCall" };
  expect((await caller.unary(noMethod, {})).code).toBe(grpc.status.UNIMPLEMENTED);
  expect((await caller.unary(missing, {})).code).toBe(grpc.status.UNIMPLEMENTED);
});

test("cancel_after_begin: the handler is told", async () => {
  const cancelled = deferred<void>("the handler's signal");
  const begun = deferred<void>("the handler");
  const { target, provider } = await interopProvider({
    async streamingInputCall(requests, { signal }) {
      signal.addEventListener("abort", () => cancelled.resolve());
      begun.resolve();
      for await (const _ of requests);
      return {};
    },
  });
  const { call, outcome } = new GrpcJsCaller(target).clientStream(streamingInputCall);
  await begun.promise;
  call.cancel();
  expect((await outcome).code).toBe(grpc.status.CANCELLED);
  await cancelled.promise;
  await expect.poll(() => provider.inFlight).toBe(0);
});

test("cancel_after_first_response", async () => {
  const { target, provider } = await interopProvider();
  const { call, outcome } = new GrpcJsCaller(target).bidi(fullDuplexCall);
  call.on("data", () => call.cancel());
  call.write({ responseSizes: [31_415] });
  const { code, replies } = await outcome;
  expect(code).toBe(grpc.status.CANCELLED);
  expect(sizesOf(replies)).toEqual([31_415]);
  await expect.poll(() => provider.inFlight).toBe(0);
});

test("timeout_on_sleeping_server: our deadline ends the handler as well", async () => {
  const ended = deferred<unknown>("the handler's signal");
  const { target } = await interopProvider({
    async *fullDuplexCall(_requests, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.resolve(signal.reason);
      yield* [];
    },
  });
  const caller = new GrpcJsCaller(target);
  await caller.unary(emptyCall, {});
  const { call, outcome } = caller.bidi(fullDuplexCall, undefined, { deadline: Date.now() + 50 });
  call.write({});
  expect((await outcome).code).toBe(grpc.status.DEADLINE_EXCEEDED);
  expect(await ended.promise).toBeInstanceOf(RpcError);
});

test("gzip both ways", async () => {
  const seen: number[] = [];
  const { target } = await interopProvider({
    unaryCall: ({ payload, responseSize }) => {
      seen.push(payload?.body.length ?? 0);
      return { payload: { body: Buffer.alloc(responseSize) } };
    },
  });
  const gzip = { "grpc.default_compression_algorithm": 2 };
  const caller = new GrpcJsCaller(target, gzip);
  const request = { responseSize: 100_000, payload: { body: Buffer.alloc(200_000) } };
  const { code, replies } = await caller.unary(unaryCall, request);
  expect(code).toBe(grpc.status.OK);
  expect(seen).toEqual([200_000]);
  expect(sizesOf(replies)).toEqual([100_000]);
  const { call, outcome } = caller.bidi(fullDuplexCall);
  for (const size of sizes) call.write({ responseSizes: [size], payload: { body: Buffer.alloc(5000) } });
  call.end();
  expect(sizesOf((await outcome).replies)).toEqual(sizes);
});

test("a message over limits.body, sent or inflated, is refused", async () => {
  const { target } = await interopProvider({}, { limits: { bodyMaxBytes: 65_536 } });
  const large = { payload: { body: Buffer.alloc(70_000) } };
  expect((await new GrpcJsCaller(target).unary(unaryCall, large)).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  const gzip = new GrpcJsCaller(target, { "grpc.default_compression_algorithm": 2 });
  const { code, text } = await gzip.unary(unaryCall, large);
  expect(code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(text).toContain("inflated");
});

test("an error's details come as google.rpc.Status; what is thrown besides RpcError is not told", async () => {
  const { target } = await interopProvider({
    emptyCall: () => {
      const details = [{ type: "interop.Payload", value: Buffer.from([0x0a, 1, 7]) }];
      throw new RpcError(9, "not now", { details, trailers: new Metadata({ "x-more": "1" }) });
    },
    unaryCall: () => {
      throw new Error("secret");
    },
  });
  const caller = new GrpcJsCaller(target);
  const { code, text, trailing } = await caller.unary(emptyCall, {});
  expect([code, text]).toEqual([9, "not now"]);
  expect(trailing.get("x-more")).toEqual(["1"]);
  const packed = trailing.get("grpc-status-details-bin")[0] as Buffer;
  expect(packed.toString("latin1")).toContain("type.googleapis.com/interop.Payload");
  const hidden = await caller.unary(unaryCall, {});
  expect(hidden.code).toBe(grpc.status.UNKNOWN);
  expect(hidden.text).not.toContain("secret");
});
