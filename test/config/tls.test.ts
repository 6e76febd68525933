import { expect, test } from "vitest";
import { load, loadError } from "./load.js";

const expected =
  "expected tls.ca, auth.secrets or tls.mode=required with it, without which it has no effect, found none of them";

test.each([
  [{ conf: "[tls]\npeername=users.example\n" }, `mprpc.conf:2: tls.peername: ${expected}`],
  [
    { conf: "[tls]\nmode=optional\ncert=c\nkey=k\npeername=users.example\n" },
    `mprpc.conf:5: tls.peername: ${expected}`,
  ],
  [
    { conf: "[service.fixbug.Users]\ntls.peername=users.example\n" },
    `mprpc.conf:2: service.fixbug.Users.tls.peername: ${expected}`,
  ],
  [{ env: { MPRPC_TLS_PEERNAME: "users.example" } }, `MPRPC_TLS_PEERNAME: tls.peername: ${expected}`],
  [{ argv: ["--tls.peername=users.example"] }, `--tls.peername: ${expected}`],
  [{ argv: ["--service.Users.tls.peername=users.example"] }, `--service.Users.tls.peername: ${expected}`],
])("whom to take for a provider, where channels go in clear: %j", (given, message) => {
  expect(loadError(given).message).toBe(message);
});

test.each(["--tls.ca=ca.crt", "--auth.secrets=apigw.secrets", "--tls.mode=required"])(
  "whom to take for a provider, with %s",
  (flag) => {
    const conf = "[tls]\npeername=users.example\n[service.Users]\ntls.peername=other.example\n";
    const { values, services } = load({ conf, argv: [flag] });
    expect(values.tls.peername).toBe("users.example");
    expect(services).toEqual({ Users: { "tls.peername": "other.example" } });
  },
);

test("a mode that is none is told, and nothing that follows from it", () => {
  const { problems } = loadError({ argv: ["--tls.mode=requierd", "--tls.peername=users.example"] });
  expect(problems.map(({ key }) => key)).toEqual(["tls.mode"]);
});
