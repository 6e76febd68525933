import { RpcError, Status } from "mprpc";
import { expect, test } from "vitest";
import { Code, Refusal } from "../../src/common/codes.js";
import { toErrorReply } from "../../src/common/http-errors.js";
import { OnNode } from "../../src/common/nodes.js";
import { Code as PageCode } from "../../web/src/codes.js";
import { dictionaries } from "../../web/src/i18n/translate.js";
import { knownRefusals, reasonOf } from "../../web/src/refusals.js";
import { findRefusals } from "./refusals-found.js";

/** What the services say, and what the page makes of it, in Chinese above all. */

const outcomes: readonly number[] = [Code.DONE, Code.OK, Code.UPLOAD_NORMALLY, Code.RETRY];
const found = findRefusals().filter(({ code }) => !outcomes.includes(code));

test("the source of the services is read: some of what they say is in it", () => {
  const said = found.map(({ code, message }) => `${code} ${message}`);
  expect(said).toEqual(
    expect.arrayContaining([
      "10001 the file name may not contain / or \\",
      "10002 the server's disk is full ([clouddisk] data)",
      "10008 a folder cannot be moved into itself",
      "10009 the file is larger than 7 bytes ([upload] filemax)",
      "10010 too many requests of this 7: at most 7 a minute (7); try again in 7 s",
    ]),
  );
  expect(found.length).toBeGreaterThan(50);
});

test("every refusal has a Chinese text, and nothing English in it", () => {
  for (const { code, message, file } of found) {
    const reason = reasonOf(code, message);
    expect(reason, `${file}: ${code} ${message}`).toBeDefined();
    const text = dictionaries.zh[reason?.key ?? "app.name"];
    expect(text, message).toMatch(/\p{Script=Han}{4}/u);
    expect(text.replace(/\{\w+\}/g, ""), message).not.toMatch(/[a-z]{3}/i);
    for (const [, name] of text.matchAll(/\{(\w+)\}/g)) {
      const given = { ...reason?.parameters, size: reason?.parameters.bytes };
      expect(given[name as keyof typeof given], `${file}: {${name}} of ${message}`).toBeTruthy();
    }
  }
});

test("what a visitor can bring about has a text of its own", () => {
  // Parameters, but for names, the page gets right by itself.
  const mayBeGeneral: readonly number[] = [Code.PARAMETER];
  const without = found
    // The page shows nobody what the change feed refuses: it goes on without the feed.
    .filter(({ file }) => !file.endsWith("apigw/events.ts"))
    .filter(({ code, message }) => !mayBeGeneral.includes(code) && !reasonOf(code, message)?.special)
    .map(({ code, message }) => `${code} ${message}`);
  expect([...new Set(without)].sort()).toEqual([
    // The database's, passed on; and of a class with a message of its own. Both are tried below.
    "10002 7",
    "10002 7, which is away; try again when it is back",
    "10002 the server failed; its log says why",
  ]);
});

test("no text is for what nobody says any more", () => {
  const also = [
    toErrorReply(new OnNode("one", "upload", "the upload")),
    toErrorReply(Object.assign(new Error("full"), { code: "ENOSPC" })),
    toErrorReply(new Refusal(Code.FULL, "the database's disk is full")),
    toErrorReply({ statusCode: 413, message: "Request body is too large" }),
    { body: { code: Code.SERVER, msg: "the store does not give the file right now; try again in a moment" } },
  ].map(({ body }) => ({ code: body.code, message: body.msg }));
  for (const [code, pattern] of knownRefusals) {
    const match = [...found, ...also].some((one) => one.code === code && pattern.test(one.message));
    expect(match, `${code} ${pattern}`).toBe(true);
  }
});

test("errors of HTTP and of the services behind it have a Chinese text too", () => {
  const errors: unknown[] = [
    new Refusal(Code.FORBIDDEN, "the cookie is taken from the disk's own pages only: of another"),
    new OnNode("one", "upload", "the upload"),
    new RpcError(Status.UNAVAILABLE, "away"),
    Object.assign(new Error("full"), { code: "ENOSPC" }),
    { validation: [], message: "body/name must be string" },
    { statusCode: 413, message: "Request body is too large" },
    { statusCode: 415, message: "Unsupported Media Type" },
    new Error("a bug"),
  ];
  for (const error of errors) {
    const { body } = toErrorReply(error);
    const reason = reasonOf(body.code, body.msg);
    expect(dictionaries.zh[reason?.key ?? "app.name"], body.msg).toMatch(/\p{Script=Han}{4}/u);
  }
  const { body } = toErrorReply(new OnNode("disk-2", "upload", "the upload"));
  expect(reasonOf(body.code, body.msg)).toMatchObject({
    key: "refusal.node",
    parameters: { node: "disk-2" },
  });
});

test("the page knows the codes of the services, each by the same number", () => {
  const { NETWORK, ...codes } = PageCode;
  expect(codes).toEqual(Code);
  expect(Object.values(Code)).not.toContain(NETWORK);
  for (const code of Object.values(Code).filter((one) => !outcomes.includes(one))) {
    expect(reasonOf(code, "something new"), String(code)).toBeDefined();
  }
  expect(reasonOf(12_345, "something new")).toBeUndefined();
});
