import { expect, it } from "vitest";
import { type Conditions, select } from "../../src/download/conditions.js";

const etag = '"abc"';
const none: Conditions = {
  method: "GET",
  range: undefined,
  ifRange: undefined,
  ifMatch: undefined,
  ifNoneMatch: undefined,
};

it.each([
  [{}, { status: 200 }],
  [{ range: "bytes=0-0" }, { status: 206, range: { start: 0, end: 0 } }],
  [{ range: "bytes=2-4" }, { status: 206, range: { start: 2, end: 4 } }],
  [{ range: "bytes=4-" }, { status: 206, range: { start: 4, end: 9 } }],
  [{ range: "bytes=-3" }, { status: 206, range: { start: 7, end: 9 } }],
  [{ range: "bytes=-30" }, { status: 206, range: { start: 0, end: 9 } }],
  [{ range: "bytes=5-300" }, { status: 206, range: { start: 5, end: 9 } }],
  [{ range: "bytes=10-" }, { status: 416 }],
  [{ range: "bytes=-0" }, { status: 416 }],
  [{ range: "bytes=5-4" }, { status: 200 }],
  [{ range: "bytes=0-1,3-4" }, { status: 200 }],
  [{ range: "lines=0-1" }, { status: 200 }],
  [{ range: "bytes=-" }, { status: 200 }],
  [{ range: "bytes=1-2", method: "HEAD" }, { status: 200 }],
  [
    { range: "bytes=1-2", ifRange: etag },
    { status: 206, range: { start: 1, end: 2 } },
  ],
  [{ range: "bytes=1-2", ifRange: '"other"' }, { status: 200 }],
  [{ range: "bytes=1-2", ifRange: `W/${etag}` }, { status: 200 }],
  [{ range: "bytes=1-2", ifRange: "Sat, 21 Nov 2026 00:00:00 GMT" }, { status: 200 }],
  [{ ifNoneMatch: etag }, { status: 304 }],
  [{ ifNoneMatch: `"x", W/${etag}` }, { status: 304 }],
  [{ ifNoneMatch: "*" }, { status: 304 }],
  [{ ifNoneMatch: '"x"' }, { status: 200 }],
  [{ ifMatch: '"x"' }, { status: 412 }],
  [{ ifMatch: `W/${etag}` }, { status: 412 }],
  [{ ifMatch: `"x", ${etag}` }, { status: 200 }],
] satisfies Array<[Partial<Conditions>, object]>)("%j of 10 bytes: %j", (conditions, expected) => {
  expect(select({ ...none, ...conditions }, etag, 10)).toMatchObject(expected);
});

it("has no range of an empty content", () => {
  expect(select({ ...none, range: "bytes=0-" }, etag, 0)).toEqual({ status: 416 });
});
