import grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { OutgoingStream } from "../../src/call/outgoing-stream.js";
import { Status } from "../../src/error/status.js";
import { deferred, failure } from "../support/async.js";
import {
  InteropService,
  InteropServiceStub,
  MissingServiceStub,
  type StreamRequestInput,
  type StreamResponse,
} from "./gen/interop.js";
import { grpcJsServer } from "./grpc-js.js";
import { echoInitial, echoTrailing } from "./interop-handlers.js";
import { grpcChannel } from "./provider.js";

const sizes = [31_415, 9, 2653, 58_979];
const requestSizes = [27_182, 8, 1828, 45_904];

type Reply = { payload: { body: Buffer } };
// biome-ignore lint/suspicious/noExplicitAny: handlers of theirs are not typed by our service.
type Call = any;

function echoMetadata(call: Call): grpc.Metadata {
  const initial = call.metadata.get(echoInitial)[0];
  if (initial !== undefined) {
    const metadata = new grpc.Metadata();
    metadata.set(echoInitial, initial);
    call.sendMetadata(metadata);
  }
  const trailing = new grpc.Metadata();
  for (const value of call.metadata.get(echoTrailing)) trailing.add(echoTrailing, value);
  return trailing;
}

const handlers: grpc.UntypedServiceImplementation = {
  emptyCall: (_call: Call, done: Call) => done(null, {}),
  unaryCall(call: Call, done: Call) {
    const trailing = echoMetadata(call);
    const { responseStatus, responseSize } = call.request;
    if (responseStatus !== undefined)
      done({ code: responseStatus.code, details: responseStatus.message, metadata: trailing });
    else done(null, { payload: { body: Buffer.alloc(responseSize) } }, trailing);
  },
  streamingInputCall(call: Call, done: Call) {
    let size = 0;
    call.on("data", ({ payload }: Reply) => {
      size += payload.body.length;
    });
    call.on("end", () => done(null, { aggregatedPayloadSize: size }));
  },
  streamingOutputCall(call: Call) {
    for (const size of call.request.responseSizes) call.write({ payload: { body: Buffer.alloc(size) } });
    call.end();
  },
  fullDuplexCall(call: Call) {
    const trailing = echoMetadata(call);
    call.on("data", ({ responseSizes, responseStatus }: Call) => {
      if (responseStatus !== undefined) {
        call.emit("error", { code: responseStatus.code, details: responseStatus.message });
        return;
      }
      for (const size of responseSizes) call.write({ payload: { body: Buffer.alloc(size) } });
    });
    call.on("end", () => call.end(trailing));
  },
};

async function stub(options: { query?: string; handlers?: grpc.UntypedServiceImplementation } = {}) {
  const { port } = await grpcJsServer(InteropService, { ...handlers, ...options.handlers });
  return new InteropServiceStub(grpcChannel(port, {}, options.query));
}

async function sizesOf(stream: AsyncIterable<StreamResponse>): Promise<number[]> {
  const found: number[] = [];
  for await (const { payload } of stream) found.push(payload?.body.length ?? 0);
  return found;
}

test("empty_unary", async () => {
  expect(await (await stub()).emptyCall({})).toEqual({});
});

test("large_unary", async () => {
  const request = { responseSize: 314_159, payload: { body: Buffer.alloc(271_828) } };
  const { payload } = await (await stub()).unaryCall(request);
  expect(payload?.body.length).toBe(314_159);
});

test("client_streaming", async () => {
  const requests = requestSizes.map((size) => ({ payload: { body: Buffer.alloc(size) } }));
  expect(await (await stub()).streamingInputCall(requests)).toEqual({ aggregatedPayloadSize: 74_922 });
});

test("server_streaming", async () => {
  expect(await sizesOf((await stub()).streamingOutputCall({ responseSizes: sizes }))).toEqual(sizes);
});

test("ping_pong", async () => {
  const requests = new OutgoingStream<StreamRequestInput>();
  const replies = (await stub()).fullDuplexCall(requests);
  const found: number[] = [];
  void requests.write({ responseSizes: [sizes[0] ?? 0] });
  for await (const { payload } of replies) {
    found.push(payload?.body.length ?? 0);
    const next = sizes[found.length];
    if (next === undefined) requests.end();
    else
      void requests.write({
        responseSizes: [next],
        payload: { body: Buffer.alloc(requestSizes[found.length] ?? 0) },
      });
  }
  expect(found).toEqual(sizes);
});

test("empty_stream", async () => {
  expect(await sizesOf((await stub()).fullDuplexCall([]))).toEqual([]);
});

test("custom_metadata, of a unary call and of a stream", async () => {
  const caller = await stub();
  const metadata = new Metadata({
    [echoInitial]: "test_initial_metadata_value",
    [echoTrailing]: Buffer.from("ababab", "hex"),
  });
  let initial: Metadata | undefined;
  await caller.unaryCall(
    { responseSize: 1 },
    {
      metadata,
      onMetadata: (came) => {
        initial = came;
      },
    },
  );
  expect(initial?.get(echoInitial)).toBe("test_initial_metadata_value");
  const replies = caller.fullDuplexCall([{ responseSizes: [1] }], { metadata });
  expect(await sizesOf(replies)).toEqual([1]);
  expect((await replies.metadata).get(echoInitial)).toBe("test_initial_metadata_value");
  expect((await replies.trailers).get(echoTrailing)).toEqual(Buffer.from("ababab", "hex"));
});

test("status_code_and_message, special_status_message", async () => {
  const caller = await stub();
  for (const message of [
    "test status message",
    "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
  ]) {
    const responseStatus = { code: 2, message };
    for (const error of [
      await failure(caller.unaryCall({ responseStatus })),
      await failure(sizesOf(caller.fullDuplexCall([{ responseStatus }]))),
    ]) {
      expect(error).toMatchObject({ code: Status.UNKNOWN, rawMessage: message, executed: "maybe" });
    }
  }
});

test("unimplemented_method, unimplemented_service", async () => {
  const { port } = await grpcJsServer(InteropService, handlers);
  const channel = grpcChannel(port);
  const method = await failure(new InteropServiceStub(channel).unimplementedCall({}));
  const service = await failure(new MissingServiceStub(channel).unimplementedCall({}));
  expect([method.code, service.code]).toEqual([Status.UNIMPLEMENTED, Status.UNIMPLEMENTED]);
});

test("cancel_after_begin: the server is told", async () => {
  const begun = deferred<void>("the handler");
  const cancelled = deferred<void>("its cancellation");
  const caller = await stub({
    handlers: {
      streamingInputCall(call: Call) {
        call.on("cancelled", () => cancelled.resolve());
        begun.resolve();
      },
    },
  });
  const abort = new AbortController();
  const requests = new OutgoingStream<StreamRequestInput>();
  const outcome = failure(caller.streamingInputCall(requests, { signal: abort.signal }));
  await begun.promise;
  abort.abort();
  expect((await outcome).code).toBe(Status.CANCELLED);
  await cancelled.promise;
});

test("cancel_after_first_response", async () => {
  const requests = new OutgoingStream<StreamRequestInput>();
  const replies = (await stub()).fullDuplexCall(requests);
  void requests.write({ responseSizes: [31_415] });
  const found = failure(
    (async () => {
      for await (const { payload } of replies) {
        expect(payload?.body.length).toBe(31_415);
        replies.cancel();
      }
    })(),
  );
  expect((await found).code).toBe(Status.CANCELLED);
});

test("timeout_on_sleeping_server", async () => {
  const caller = await stub({ handlers: { unaryCall: () => {} } });
  await caller.emptyCall({});
  const error = await failure(caller.unaryCall({}, { timeoutMs: 50 }));
  expect(error.code).toBe(Status.DEADLINE_EXCEEDED);
});

test("gzip both ways", async () => {
  const caller = await stub({ query: "?protocol=grpc&compression=gzip" });
  const request = { responseSize: 100_000, payload: { body: Buffer.alloc(200_000) } };
  expect((await caller.unaryCall(request)).payload?.body.length).toBe(100_000);
  expect(
    await sizesOf(caller.fullDuplexCall([{ responseSizes: sizes, payload: { body: Buffer.alloc(9000) } }])),
  ).toEqual(sizes);
});

test("a call may be oneway: it is sent, and its reply let go", async () => {
  const came = deferred<void>("the call");
  const { port } = await grpcJsServer(InteropService, {
    ...handlers,
    emptyCall: (_call: Call, done: Call) => {
      came.resolve();
      done(null, {});
    },
  });
  await grpcChannel(port).oneway(InteropService.methods.emptyCall, {});
  await came.promise;
});

test("more calls than a server takes on a connection go on another one", async () => {
  const waiting: Call[] = [];
  const peers = new Set<string>();
  const { port } = await grpcJsServer(
    InteropService,
    {
      ...handlers,
      emptyCall: (call: Call, done: Call) => {
        peers.add(call.getPeer());
        waiting.push(done);
      },
    },
    { "grpc.max_concurrent_streams": 2 },
  );
  const caller = new InteropServiceStub(grpcChannel(port));
  const first = caller.emptyCall({});
  await expect.poll(() => waiting.length).toBe(1);
  const calls = [first, ...Array.from({ length: 5 }, () => caller.emptyCall({}))];
  await expect.poll(() => waiting.length).toBe(6);
  expect(peers.size).toBe(3);
  for (const done of waiting) done(null, {});
  expect(await Promise.all(calls)).toHaveLength(6);
});
