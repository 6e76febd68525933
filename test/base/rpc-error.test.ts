import { describe, expect, test } from "vitest";
import { Metadata } from "../../src/base/metadata.js";
import { RpcError } from "../../src/error/rpc-error.js";
import { Status, statusName, toStatusCode } from "../../src/error/status.js";

describe("Status", () => {
  test("gRPC's seventeen codes, by their numbers", () => {
    expect(Object.values(Status)).toEqual(Array.from({ length: 17 }, (_, i) => i));
    for (const [name, code] of Object.entries(Status)) expect(statusName(code)).toBe(name);
  });

  test.each([-1, 17, 1.5, Number.NaN])("%d is outside the set and reads as UNKNOWN", (code) => {
    expect(statusName(code)).toBe("UNKNOWN");
    expect(toStatusCode(code)).toBe(Status.UNKNOWN);
  });
});

describe("RpcError", () => {
  test("its message begins with the code and says nothing it does not know", () => {
    const error = new RpcError(Status.NOT_FOUND, "no such user");
    expect(error.message).toBe("[not_found] no such user");
    expect(error.rawMessage).toBe("no such user");
    expect(error.codeName).toBe("NOT_FOUND");
    expect(error.name).toBe("RpcError");
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: 5, details: [], executed: "maybe", metadata: undefined });
    expect("cause" in error).toBe(false);
  });

  test.each([
    [{ method: "fixbug.User.login" }, "(fixbug.User.login)"],
    [{ endpoint: "h:1" }, "(at h:1)"],
    [{ phase: "connect", attempts: 1 }, "(phase connect, 1 attempt)"],
    [
      { method: "a.B.c", endpoint: "h:1", phase: "wait", elapsedMs: 12.345, attempts: 2 },
      "(a.B.c at h:1, phase wait, after 12.3 ms, 2 attempts)",
    ],
  ] as const)("%o ends the message with %s", (facts, end) => {
    expect(new RpcError(Status.UNAVAILABLE, "down", {}, facts).message).toBe(`[unavailable] down ${end}`);
  });

  test("with() adds facts, keeps everything else and the stack of the first", () => {
    const cause = new Error("ECONNREFUSED");
    const metadata = new Metadata({ a: "1" });
    const details = [{ type: "x.Y", value: new Uint8Array([1]) }];
    const first = new RpcError(Status.UNAVAILABLE, "down $& $1", {
      cause,
      details,
      metadata,
      executed: "never",
    });
    const second = first.with({ method: "a.B.c" }).with({ endpoint: "h:1", elapsedMs: 3 });
    expect(second).toMatchObject({
      method: "a.B.c",
      endpoint: "h:1",
      elapsedMs: 3,
      executed: "never",
      code: 14,
    });
    expect(second.cause).toBe(cause);
    expect(second.details).toBe(details);
    expect(second.metadata).toBe(metadata);
    expect(second.message).toBe("[unavailable] down $& $1 (a.B.c at h:1, after 3.0 ms)");
    expect(second.stack?.split("\n").slice(1)).toEqual(first.stack?.split("\n").slice(1));
    expect(second.stack?.startsWith(`RpcError: ${second.message}`)).toBe(true);
    expect(first.method).toBeUndefined();
  });

  test("with() replaces a fact, and an undefined one does not erase it", () => {
    const error = new RpcError(Status.INTERNAL, "x", {}, { attempts: 1, phase: "send" });
    expect(error.with({ attempts: 2 }, "yes")).toMatchObject({ attempts: 2, phase: "send", executed: "yes" });
  });

  test("from(): itself, an error, an abort, anything", () => {
    const own = new RpcError(Status.ABORTED, "x");
    expect(RpcError.from(own)).toBe(own);

    const plain = new TypeError("boom");
    expect(RpcError.from(plain)).toMatchObject({ code: Status.UNKNOWN, rawMessage: "boom", cause: plain });

    const aborted = new DOMException("stop", "AbortError");
    expect(RpcError.from(aborted)).toMatchObject({
      code: Status.CANCELLED,
      rawMessage: "stop",
      cause: aborted,
    });

    expect(RpcError.from("text")).toMatchObject({ code: Status.UNKNOWN, rawMessage: "text", cause: "text" });
    expect(RpcError.from(undefined).rawMessage).toBe("undefined");
  });

  test("from() survives values made to break it", () => {
    expect(RpcError.from(Object.create(null)).rawMessage).toBe("a thrown value that has no text form");
    expect(RpcError.from(Symbol("s")).rawMessage).toBe("Symbol(s)");
    const strange = Object.assign(new Error("x"), { message: undefined });
    expect(RpcError.from(strange).rawMessage).toBe("undefined");
  });
});

test("a code that was changed to none since reads as UNKNOWN where the error is handed on", () => {
  const changed = Object.assign(new RpcError(Status.ABORTED, "again"), { code: 99 });
  expect(changed.with({ method: "a.B.C" })).toMatchObject({ codeName: "UNKNOWN", rawMessage: "again" });
});
