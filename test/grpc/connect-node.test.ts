import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { Status } from "../../src/error/status.js";
import { Writer } from "../../src/protobuf/writer.js";
import { failure } from "../support/async.js";
import { InteropService, InteropServiceStub } from "./gen/interop.js";
import { grpcChannel, interopProvider } from "./provider.js";

/** The interop service as @bufbuild/protobuf reads it from its descriptor. */
function bufService() {
  const writer = new Writer();
  for (const bytes of InteropService.descriptors) writer.uint32(0x0a).bytes(bytes);
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, writer.finish()));
  const service = registry.getService("interop.InteropService");
  if (service === undefined) throw new Error("the descriptor lacks the service");
  return service;
}

// biome-ignore lint/suspicious/noExplicitAny: made from a descriptor, so that nothing of it has a type.
type Untyped = any;

test("@connectrpc/connect-node calls a provider over gRPC", async () => {
  const { target } = await interopProvider();
  const baseUrl = `http://${target}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  onTestFinished(() => sessionManager.abort());
  const client = createClient(bufService(), createGrpcTransport({ baseUrl, sessionManager })) as Untyped;
  const { payload } = await client.unaryCall({ responseSize: 70_000 });
  expect(payload.body.length).toBe(70_000);
  const sizes: number[] = [];
  for await (const reply of client.streamingOutputCall({ responseSizes: [1, 20, 300] })) {
    sizes.push(reply.payload.body.length);
  }
  expect(sizes).toEqual([1, 20, 300]);
  async function* requests() {
    for (const size of [1, 2, 3]) yield { payload: { body: Buffer.alloc(size) }, responseSizes: [size] };
  }
  expect((await client.streamingInputCall(requests())).aggregatedPayloadSize).toBe(6);
  let count = 0;
  for await (const _ of client.fullDuplexCall(requests())) count++;
  expect(count).toBe(3);
  const responseStatus = { code: 9, message: "nicht jetzt, später" };
  const error = await client.unaryCall({ responseStatus }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "nicht jetzt, später" });
  const late = await client
    .streamingOutputCall({ responseSizes: [1], intervalMs: 60_000 }, { timeoutMs: 50 })
    [Symbol.asyncIterator]()
    .next()
    .catch((thrown: unknown) => thrown);
  expect(late).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a channel calls a server of @connectrpc/connect-node over gRPC", async () => {
  const sized = (size: number) => ({ payload: { body: new Uint8Array(size) } });
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(bufService(), {
          unaryCall({ responseSize, responseStatus }: Untyped) {
            if (responseStatus !== undefined) throw new ConnectError(responseStatus.message, Code.Aborted);
            return sized(responseSize);
          },
          async *streamingOutputCall({ responseSizes }: Untyped) {
            for (const size of responseSizes) yield sized(size);
          },
          async streamingInputCall(requests: AsyncIterable<Untyped>) {
            let aggregatedPayloadSize = 0;
            for await (const { payload } of requests) aggregatedPayloadSize += payload.body.length;
            return { aggregatedPayloadSize };
          },
          async *fullDuplexCall(requests: AsyncIterable<Untyped>) {
            for await (const { responseSizes } of requests)
              for (const size of responseSizes) yield sized(size);
          },
        } as Untyped),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  const stub = new InteropServiceStub(grpcChannel((server.address() as AddressInfo).port));
  expect((await stub.unaryCall({ responseSize: 70_000 })).payload?.body.length).toBe(70_000);
  const sizes: number[] = [];
  for await (const { payload } of stub.streamingOutputCall({ responseSizes: [1, 20, 300] })) {
    sizes.push(payload?.body.length ?? 0);
  }
  expect(sizes).toEqual([1, 20, 300]);
  const requests = [1, 2, 3].map((size) => ({ ...sized(size), responseSizes: [size] }));
  expect(await stub.streamingInputCall(requests)).toEqual({ aggregatedPayloadSize: 6 });
  let count = 0;
  for await (const _ of stub.fullDuplexCall(requests)) count++;
  expect(count).toBe(3);
  const responseStatus = { code: 10, message: "ä" };
  expect(await failure(stub.unaryCall({ responseStatus }))).toMatchObject({
    ...{ code: Status.ABORTED, rawMessage: "ä" },
  });
});
