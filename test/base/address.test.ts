import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, formatAddress, isReachable, parseAddress, schemeOf } from "../../src/base/address.js";

test.each([
  ["127.0.0.1:8000", { host: "127.0.0.1", port: 8000 }],
  [" localhost:0 ", { host: "localhost", port: 0 }],
  ["[::1]:65535", { host: "::1", port: 65_535 }],
  ["[fe80::1%eth0]:80", { host: "fe80::1%eth0", port: 80 }],
])("parseAddress(%j)", (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});

test.each([
  "",
  "127.0.0.1",
  ":8000",
  "::1:8000",
  "[::1]",
  "[]:80",
  "[::1:80",
  "host:65536",
  "host:-1",
  "host:8e3",
  "host:80:80",
  "ho st:80",
  "http://host:80",
  "host:80/path",
])("%j is no address", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test("formatAddress and parseAddress are inverse", () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      expect(parseAddress(formatAddress({ host, port }))).toEqual({ host, port });
    }),
  );
});

describe("addresses without ports", () => {
  test.each(["unix:/run/a.sock", "inproc:", "inproc:users-1"])("%s is read and written as it is", (text) => {
    const address = parseAddress(text);
    expect(address).toEqual({ host: text, port: 0 });
    expect(formatAddress(address as Address)).toBe(text);
    expect(isReachable(address as Address)).toBe(true);
  });

  test.each(["unix:///run/a.sock", "unix://run/a.sock", "unix:/run//a.sock"])(
    "%s is unix:/run/a.sock",
    (text) => {
      expect(parseAddress(text)).toEqual({ host: "unix:/run/a.sock", port: 0 });
    },
  );

  test.each([
    "unix:",
    "unix:/",
    "unix://",
    "unix:relative",
    "unix:/a,b",
    "unix:/a b",
    "unix:/a?x",
    "inproc:a/b",
    "unix:/a|b",
  ])("%s is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test.each([
    ["unix:/a", "unix"],
    ["inproc:a", "inproc"],
    ["::1", "tcp"],
    ["unix", "tcp"],
  ])("the scheme of host %s is %s", (host, scheme) => {
    expect(schemeOf({ host, port: 0 })).toBe(scheme);
  });
});
