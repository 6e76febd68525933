import path from "node:path";
import { fileURLToPath } from "node:url";
import type grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { ServerReflectionAlpha } from "../../src/services/builtin.js";
import { ReflectionHandlers } from "../../src/services/grpc-reflection.js";
import { mprpc } from "../cli/mprpc.js";
import { InteropService } from "./gen/interop.js";
import { grpcJsServer, serviceOf } from "./grpc-js.js";
import { interopProvider } from "./provider.js";

const proto = path.join(path.dirname(fileURLToPath(import.meta.url)), "protos/interop.proto");
// biome-ignore lint/suspicious/noExplicitAny: handlers of theirs are not typed by our service.
type Call = any;

const handlers: grpc.UntypedServiceImplementation = {
  emptyCall: (_call: Call, done: Call) => done(null, {}),
  unaryCall: ({ request }: Call, done: Call) =>
    done(null, { payload: { body: Buffer.alloc(request.responseSize, "x") } }),
  streamingOutputCall(call: Call) {
    for (const size of call.request.responseSizes) call.write({ payload: { body: Buffer.alloc(size, "y") } });
    call.end();
  },
};

/** A server of @grpc/grpc-js that tells its messages as many old ones do: by v1alpha alone. */
async function reflectingServer(): Promise<string> {
  const { port, server } = await grpcJsServer(InteropService, handlers);
  const reflection = new ReflectionHandlers(() => [InteropService, ServerReflectionAlpha]);
  server.addService(serviceOf(ServerReflectionAlpha), {
    async serverReflectionInfo(call: Call) {
      for await (const response of reflection.serverReflectionInfo(call)) call.write(response);
      call.end();
    },
  });
  return `127.0.0.1:${port}`;
}

test("call, list and describe ask a gRPC server by its reflection, with and without grpc://", async () => {
  const address = await reflectingServer();
  for (const where of [`grpc://${address}`, address]) {
    const called = await mprpc([
      "call",
      where,
      "InteropService",
      "UnaryCall",
      '{"responseSize": 3}',
      "--text",
    ]);
    expect(called).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(called.out)).toEqual({ payload: { body: "xxx" } });
  }
  const streamed = await mprpc([
    ...["call", `grpc://${address}`, "interop.InteropService/StreamingOutputCall"],
    ...['{"responseSizes": [1, 2]}', "--text"],
  ]);
  expect(streamed.out).toBe('{"payload":{"body":"y"}}\n{"payload":{"body":"yy"}}\n');
  const listed = await mprpc(["list", `grpc://${address}`]);
  expect(listed.out).toContain("interop.InteropService");
  expect(listed.out).toContain("FullDuplexCall(stream interop.StreamRequest)");
  expect(listed.out).not.toContain("reflection");
  const described = await mprpc(["describe", `grpc://${address}`, "InteropService", "UnaryCall"]);
  expect(described.out).toContain("int32 response_size = 1;");
});

test("call takes the messages of --proto for a gRPC server without reflection", async () => {
  const { port } = await grpcJsServer(InteropService, handlers);
  const args = [
    "call",
    `grpc://127.0.0.1:${port}`,
    "InteropService",
    "UnaryCall",
    '{"responseSize": 2}',
    "--text",
  ];
  const unasked = await mprpc(args);
  expect(unasked.code).toBe(1);
  const called = await mprpc([...args, "--proto", proto]);
  expect(JSON.parse(called.out)).toEqual({ payload: { body: "xx" } });
  // Nothing that is asked of it besides may fail unheard.
  const method = args.with(3, "Nope");
  const unknown = await mprpc([...method, "--proto", proto]);
  expect(unknown).toMatchObject({ code: 1, out: "" });
  expect(unknown.err).toMatch(/^\[unimplemented\] .*\n {2}executed: \w+\n$/);
});

test("health of a provider that speaks nothing but gRPC", async () => {
  const { target, provider } = await interopProvider({}, { provider: { protocols: ["grpc"] } });
  expect(await mprpc(["health", target])).toMatchObject({ code: 0, out: "SERVING\n" });
  provider.setServing("interop.InteropService", false);
  const asked = await mprpc(["health", `grpc://${target}`, "interop.InteropService"]);
  expect(asked).toMatchObject({ code: 3, out: "NOT_SERVING\n" });
  const called = await mprpc(["call", target, "InteropService", "EmptyCall"]);
  expect(called).toMatchObject({ code: 0, out: "{}\n" });
});
