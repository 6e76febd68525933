import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { formatAddress } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status } from "../../src/error/status.js";
import { openRegistry } from "../../src/registry/open.js";
import { RpcProvider } from "../../src/server/provider.js";
import { createRuntime } from "../../src/testing/index.js";
import type { TestApp } from "../../src/testing/runtime.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { type GetFriendListsResponseInput, UserServiceRpc } from "../protobuf/gen/test.js";
import { KindsService } from "./gen/kinds.js";

export interface CliProvider {
  readonly folder: string;
  /** The flag that names the registry it stands in. */
  readonly registry: string;
  readonly runtime: TestApp;
  readonly provider: RpcProvider;
  readonly address: string;
  close(): Promise<void>;
}

/** A provider of two services over TCP, in a registry of its own, for commands to find. */
export async function startCliProvider(): Promise<CliProvider> {
  const folder = await mkdtemp(path.join(tmpdir(), "mprpc-cli-"));
  const registry = `--registry=file:${path.join(folder, "registry")}`;
  const runtime = createRuntime({
    transport: tcpTransport(systemClock),
    registry: openRegistry(`file:${path.join(folder, "registry")}`),
  });
  const provider = new RpcProvider(runtime);
  provider.notifyService(
    UserServiceRpc,
    {
      login({ name, pwd }, { metadata, replyMetadata }) {
        const tenant = metadata.get("tenant");
        if (tenant !== undefined) replyMetadata.set("tenant-seen", tenant);
        return { result: { errcode: 0 }, success: `${name}/${pwd}` === "zhang san/123456" };
      },
      getFriendLists({ userid }): Promise<GetFriendListsResponseInput> | GetFriendListsResponseInput {
        if (userid === 404) {
          throw new RpcError(Status.NOT_FOUND, "no such user", {
            details: [{ type: "fixbug.Hint", value: Buffer.from("ask again") }],
          });
        }
        if (userid === 408) return new Promise(() => {});
        return { friendList: [{ name: "li si", age: 22, sex: 2 }] };
      },
    },
    { attributes: { version: "1.4" }, weight: 2 },
  );
  provider.notifyService(KindsService, { echo: (request) => request, getNothing: () => ({}) });
  const address = formatAddress(await provider.start());
  return {
    ...{ folder, registry, runtime, provider, address },
    async close() {
      await provider.shutdown();
      await runtime.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
