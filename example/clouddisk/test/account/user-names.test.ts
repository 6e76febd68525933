import { expect, test } from "vitest";
import { checkUsername } from "../../src/account/users.js";
import { userKey } from "../../src/common/user-names.js";
import { password, startDisk } from "../support/disk.js";

test.each([
  ["Zhang", "zHANG"],
  ["stra\u00dfe", "STRASSE"],
  ["\uff41dmin", "admin"],
  ["\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"],
])("%s and %s are one user", (one, other) => {
  expect(userKey(one)).toBe(userKey(other));
});

test.each(["\u0430dmin", "adm\u0456n", "\u03b1dmin", "Zh\u0251ng\u0441"])(
  "a disguise is refused: %s",
  (name) => {
    expect(() => checkUsername(name)).toThrow(/scripts that look alike/);
  },
);

test.each([
  "\u5f20\u4e09",
  "zhang\u4e09",
  "\u043c\u0430\u0448\u0430",
  "\u0939\u093f\u0928\u094d\u0926\u0940",
])("a name: %s", (name) => {
  expect(checkUsername(name)).toBe(name);
});

test("a name in other letters is taken, signs in as the same user, and counts as the same for failures", async () => {
  const disk = await startDisk({
    services: ["dbproxy", "account", "apigw"],
    conf: { "account.failures": "2" },
  });
  await disk.signup("Zhang", password);
  expect((await disk.post("/user/signup", { username: "zhang", password })).code).toBe(10_003);
  const reply = await disk.post("/user/signin", { username: "ZHANG", password });
  expect(reply.data).toMatchObject({ Username: "Zhang" });
  for (const username of ["zhang", "ZHang"]) {
    expect((await disk.post("/user/signin", { username, password: "wrong-one" })).code).toBe(10_004);
  }
  expect((await disk.post("/user/signin", { username: "ZhanG", password: "wrong-one" })).code).toBe(10_010);
});
