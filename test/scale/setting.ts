import { defineService, type MethodDefinition, type ServiceDefinition } from "../../src/codec.js";
import { MprpcApplication } from "../../src/index.js";
import { Blob } from "../support/gen/probe.js";

/** How a node of a scale run is set up. */
export interface ScaleSetting {
  /** A conf's `registry`; callers of a static one find the port in it. */
  registry: string;
  services: number;
  /** Further flags of a conf, without the dashes. */
  flags: readonly string[];
}

/** Limits that are not what is looked at are out of the way. */
export const wideFlags = [
  "provider.maxconnections=100000",
  "provider.maxinflight=1000000",
  "provider.maxinflightperconnection=1000000",
  "channel.maxpending=1000000",
  "limits.unwritten=1GiB",
  "calltimeout=5m",
] as const;

type BlobMethod = MethodDefinition<typeof Blob, typeof Blob, "unary">;

/** The `index`-th of many services: `echo` answers at once, `hold` when it is told to. */
export function serviceOf(index: number): ServiceDefinition<{ echo: BlobMethod; hold: BlobMethod }> {
  return defineService({
    typeName: `scale.Service${index}`,
    methods: {
      echo: { name: "Echo", input: Blob, output: Blob },
      hold: { name: "Hold", input: Blob, output: Blob },
    },
  });
}

export function initNode({ registry, flags }: ScaleSetting): Promise<MprpcApplication> {
  const all = [`registry=${registry}`, "log.level=error", "rpcserverport=0", "channel.local=off", ...flags];
  // Whoever runs this may have variables and a conf file of his own.
  return MprpcApplication.init([process.execPath, "scale", ...all.map((flag) => `--${flag}`)], {
    env: {},
    cwd: new URL(".", import.meta.url).pathname,
  });
}
