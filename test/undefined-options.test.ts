import { expect, expectTypeOf, test } from "vitest";
import {
  type ApplicationParts,
  type CallFacts,
  type CallOptions,
  type ChannelOptions,
  type ConnectOptions,
  type conf,
  type createLogger,
  type JsonCallOptions,
  type LoggerOptions,
  MprpcApplication,
  type OpenRegistryOptions,
  openRegistry,
  type ProviderOptions,
  type Registration,
  RpcChannel,
  RpcError,
  type RpcErrorOptions,
  RpcProvider,
  type ServiceOptions,
  Status,
} from "../src/index.js";
import type { CreateOptions } from "../src/registry/zookeeper/connection.js";
import { defaultSettings } from "../src/runtime/runtime.js";
import {
  type BreakOptions,
  createRuntime,
  type HostOptions,
  type memoryRegistry,
  type NetworkOptions,
  type PartitionOptions,
  type RuntimeParts,
  type SettingsInit,
  type SimulateOptions,
  Simulation,
  type SimulationOptions,
} from "../src/testing/index.js";
import { ProbeService, ProbeServiceStub } from "./support/gen/probe.js";

/** Each property of `T` that may be left out, as `undefined`. */
type AllUndefined<T> = { [K in keyof T as Record<never, never> extends Pick<T, K> ? K : never]: undefined };

/** Where the compiler tells "left out" from "undefined" (`exactOptionalPropertyTypes`), as it does here. */
type Takes<T> = AllUndefined<T> extends Pick<T, keyof AllUndefined<T> & keyof T> ? true : false;

test("every options interface takes undefined for what is left out", () => {
  expectTypeOf<Takes<ApplicationParts>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<BreakOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<CallFacts>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<CallOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<ChannelOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<ConnectOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<HostOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<JsonCallOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<LoggerOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<NetworkOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<OpenRegistryOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<PartitionOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<ProviderOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<Registration>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<RpcErrorOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<RuntimeParts>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<ServiceOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<SettingsInit>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<NonNullable<SettingsInit["channel"]>>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<SimulateOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<SimulationOptions>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<NonNullable<Parameters<typeof memoryRegistry>[0]>>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<Parameters<typeof conf.load>[0]>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<Parameters<typeof conf.duration>[0]>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<NonNullable<Parameters<typeof conf.key>[2]>>>().toEqualTypeOf<true>();
  expectTypeOf<Takes<NonNullable<Parameters<typeof createLogger>[1]>>>().toEqualTypeOf<true>();
  // One of ours that is not public, to show that the check can fail.
  expectTypeOf<Takes<CreateOptions>>().toEqualTypeOf<false>();
});

const undefinedFor = <T extends object>(...names: ReadonlyArray<keyof T & string>): T =>
  Object.fromEntries(names.map((name) => [name, undefined])) as T;

test("undefined counts as not given", async () => {
  const settings = undefinedFor<SettingsInit>("callTimeoutMs", "limits", "unwrittenMaxBytes");
  const runtime = createRuntime({
    ...undefinedFor<RuntimeParts>("clock", "transport", "registry", "random"),
    settings: { ...settings, channel: { balancer: undefined }, provider: { drainTimeoutMs: undefined } },
  });
  expect(runtime.settings).toEqual(defaultSettings);
  const provider = new RpcProvider(runtime, { interceptors: undefined });
  const service = undefinedFor<ServiceOptions>("classic", "attributes", "weight");
  provider.notifyService(
    ProbeService,
    { echo: (request) => request, relay: (request) => request, note: (request) => request },
    service,
  );
  await provider.start();
  const options = undefinedFor<ChannelOptions>(
    ...([
      "timeoutMs",
      "balancer",
      "waitForReady",
      "classic",
      "interceptors",
      "registry",
      "descriptors",
    ] as const),
  );
  const channel = new RpcChannel(runtime, options);
  const call = undefinedFor<CallOptions>(
    ...(["timeoutMs", "signal", "metadata", "onMetadata", "waitForReady", "idempotencyKey"] as const),
  );
  expect(await new ProbeServiceStub(channel).echo({ text: "x" }, call)).toMatchObject({ text: "x" });
  expect(
    await channel.callJson("probe.ProbeService", "Echo", { text: "x" }, { ...call, bytes: undefined }),
  ).toMatchObject({ text: "x" });
  await channel.close();
  await provider.shutdown();
  await runtime.close();
  const facts = undefinedFor<CallFacts>("method", "endpoint", "phase", "elapsedMs", "attempts");
  const error = new RpcError(
    Status.NOT_FOUND,
    "x",
    undefinedFor<RpcErrorOptions>("details", "executed", "metadata"),
    facts,
  );
  expect(error).toMatchObject({ message: "[not_found] x", executed: "maybe", details: [] });
  await openRegistry(
    "static://127.0.0.1:1",
    undefinedFor<OpenRegistryOptions>("clock", "log", "random"),
  ).close();
  const app = await MprpcApplication.init(
    ["node", "x"],
    undefinedFor<ApplicationParts>("env", "cwd", "sections", "log", "registry"),
  );
  await app.close();
  expect(
    () =>
      new Simulation(undefinedFor<SimulationOptions>("seed", "network", "sessionTimeoutMs", "traceLines")),
  ).not.toThrow();
});
