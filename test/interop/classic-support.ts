import { onTestFinished } from "vitest";
import { FriendServiceRpc } from "../../example/callee/src/gen/friend.js";
import {
  LoginRequest,
  UserServiceRpc,
  type UserServiceRpcHandler,
} from "../../example/callee/src/gen/user.js";
import { systemClock } from "../../src/base/clock.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { type ClassicDialect, writeClassicRequest } from "../../src/protocol/classic/classic-wire.js";
import { type ProviderOptions, RpcProvider } from "../../src/server/provider.js";
import { createRuntime, type SettingsInit } from "../../src/testing/index.js";
import { tcpTransport } from "../../src/transport/tcp.js";
import { RecordingLog } from "../support/log.js";
import { ClassicCaller } from "./classic-caller.js";

/** As captured from a running C++ peer (WIRE.md). */
export const captured = {
  login: {
    request:
      "190000000a0e557365725365727669636552706312054c6f67696e18130a095a68616e672053616e1206313233343536",
    reply: "0a001001",
  },
  register: {
    request:
      "1c0000000a0e557365725365727669636552706312085265676973746572181808d00f120c5a68616e672044756f64756f1a053636363636",
    reply: "0a001001",
  },
  friends: {
    request: "240000000a10467269656e6453657276696365527063120e476574467269656e64734c69737418020801",
    reply: "0a0012097a68616e672073616e12056c69207369120777616e67207775",
  },
} as const;
export const framedLogin =
  "0000002f000000190a0e557365725365727669636552706312054c6f67696e18120a087a68616e6773616e1206313233343536";
export const varintLogin =
  "190a0e557365725365727669636552706312054c6f67696e18120a087a68616e6773616e1206313233343536";

export const bytesOf = (hex: string): Buffer => Buffer.from(hex, "hex");
export const loginReply = bytesOf(captured.login.reply);

export async function startProvider(
  handlers: Partial<UserServiceRpcHandler> = {},
  settings: SettingsInit = {},
  options: ProviderOptions = {},
) {
  const log = new RecordingLog();
  const runtime = createRuntime({
    transport: tcpTransport(systemClock),
    log,
    settings: { ...settings, provider: { drainTimeoutMs: 100, ...settings.provider } },
  });
  const ends: string[] = [];
  runtime.events.on("serverEnd", ({ call }) => void ends.push(call.method.fullName.replace("fixbug.", "")));
  const provider = new RpcProvider(runtime, options);
  provider.notifyService(UserServiceRpc, {
    login: () => ({ result: {}, success: true }),
    register: () => ({ result: {}, success: true }),
    uploadAvatar: () => ({}),
    ...handlers,
  });
  provider.notifyService(FriendServiceRpc, {
    getFriendsList: () => ({ result: {}, friends: ["zhang san", "li si", "wang wu"] }),
    watchFriends: () => [],
  });
  const { port } = await provider.start();
  onTestFinished(() => provider.shutdown());
  const connect = async () => {
    const caller = await ClassicCaller.connect(port);
    onTestFinished(() => caller.destroy());
    return caller;
  };
  return { provider, log, port, connect, ends };
}

export function request(dialect: ClassicDialect, service: string, method: string, body: Buffer): Buffer {
  return writeClassicRequest(dialect, service, method, (writer) => {
    writer.ensure(body.length);
    body.copy(writer.buffer, writer.position);
    writer.position += body.length;
  });
}

export const login = (dialect: ClassicDialect, name = "zhangsan"): Buffer =>
  request(dialect, "UserServiceRpc", "Login", encodeMessage(LoginRequest, { name, pwd: "123456" }));

export const framed = (body: Buffer): Buffer => {
  const lead = Buffer.alloc(4);
  lead.writeUInt32BE(body.length);
  return Buffer.concat([lead, body]);
};
