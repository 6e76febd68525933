import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { LoginResponse } from "../../example/caller/src/gen/user.js";
import { encodeMessage } from "../../src/protobuf/types.js";
import { type ClassicDialect, classicDialects } from "../../src/protocol/classic/classic-wire.js";
import { ClassicProvider } from "../interop/classic-provider.js";
import { mprpc } from "./mprpc.js";

const userProto = fileURLToPath(new URL("../../example/proto/user.proto", import.meta.url));

async function classicProvider(
  dialect: ClassicDialect,
): Promise<{ provider: ClassicProvider; address: string }> {
  const provider = await ClassicProvider.start(dialect, () =>
    encodeMessage(LoginResponse, { success: true }),
  );
  onTestFinished(() => provider.stop());
  return { provider, address: `127.0.0.1:${provider.port}` };
}

describe("mprpc call HOST:PORT at a classic provider", () => {
  test.each([
    [
      "that says nothing to what it does not understand",
      true,
      /takes connections and says nothing in mprpc within 1000 ms/,
    ],
    ["that closes on what it does not understand", false, /closes the connection/],
  ])("%s, without --classic: told at once, with what to add", async (_what, silent, text) => {
    const { provider, address } = await classicProvider("le32");
    provider.silent = silent;
    const { code, out, err } = await mprpc([
      "call",
      address,
      "UserServiceRpc.Login",
      "{}",
      "--timeout",
      "60s",
    ]);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(text);
    expect(err).toContain("add --classic (or --classic=DIALECT) and --proto FILE");
  });

  test.each(classicDialects)("--classic=%s speaks that dialect", async (dialect) => {
    const { provider, address } = await classicProvider(dialect);
    const args = [
      "call",
      address,
      "UserServiceRpc.Login",
      "{}",
      `--classic=${dialect}`,
      "--proto",
      userProto,
    ];
    const { code, out } = await mprpc(args);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ success: true });
    expect([provider.connections, provider.aborts]).toEqual([1, 0]);
  });

  test("--classic of no dialect there is", async () => {
    const { code, err } = await mprpc(["call", "127.0.0.1:1", "a.B.C", "--classic=utf8"]);
    expect(code).toBe(2);
    expect(err).toContain('--classic: expected one of le32, be32, varint, framed, got "utf8"');
  });
});

test("nothing listens there: the call says so, as ever", async () => {
  const { provider, address } = await classicProvider("le32");
  await provider.stop();
  const { code, err } = await mprpc(["call", address, "fixbug.UserServiceRpc/Login"]);
  expect(code).toBe(1);
  expect(err).toContain("ECONNREFUSED");
});
