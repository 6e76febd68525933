import { RpcError, Status } from "mprpc";
import { expect, test } from "vitest";
import { answer, checked } from "../../src/common/answer.js";
import { Code, Refusal } from "../../src/common/codes.js";

test("a handler's result, refusal, and failure", async () => {
  expect(await answer(async () => ({ token: "t" }))).toEqual({ code: 0, message: "ok", token: "t" });
  expect(
    await answer(async () => {
      throw new Refusal(Code.CONFLICT, "taken");
    }),
  ).toEqual({ code: 10008, message: "taken" });
  const bug = new TypeError("x");
  await expect(answer(() => Promise.reject(bug))).rejects.toBe(bug);
  const internal = new RpcError(Status.INTERNAL, "broken");
  await expect(answer(() => Promise.reject(internal))).rejects.toBe(internal);
});

test.each([Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED])(
  "a service behind it that is away (%i) makes it away, in an error of its own",
  async (code) => {
    const nested = new RpcError(code, "dbproxy is down");
    const error: unknown = await answer(() => Promise.reject(nested)).catch((thrown: unknown) => thrown);
    expect(error).not.toBe(nested);
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, rawMessage: "dbproxy is down" });
  },
);

test("a reply with a code is a refusal to who asked", () => {
  expect(checked({ code: 0, message: "ok", token: "t" }).token).toBe("t");
  expect(() => checked({ code: 10005, message: "no" })).toThrow(expect.objectContaining({ code: 10005 }));
});
