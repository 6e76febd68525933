import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as kind from "../../src/config/kinds.js";

/** Every text that must read as the value, and every text that must not read at all. */
function table<T>(
  one: kind.Kind<T>,
  good: ReadonlyArray<readonly [string, T]>,
  bad: readonly string[],
): void {
  test.each(good)("%j reads as %j", (text, value) => {
    expect(one.parse(text)).toEqual({ value });
  });
  test.each(bad.map((text) => [text]))("%j is refused", (text) => {
    expect(one.parse(text)).toBeUndefined();
  });
}

describe("duration", () => {
  table(
    kind.duration({ minMs: 1, none: true }),
    [
      ["5000", 5000],
      ["500ms", 500],
      ["5s", 5000],
      ["5 s", 5000],
      ["1.5s", 1500],
      ["1.1s", 1100],
      ["2m", 120_000],
      ["1h", 3_600_000],
      ["1.5d", 129_600_000],
      ["none", Number.POSITIVE_INFINITY],
      ["2147483647", 2_147_483_647],
    ],
    [
      "",
      "0",
      "0.5ms",
      "-1",
      "5S",
      "5 sec",
      "1e3",
      "Infinity",
      "2147483648",
      "25d",
      "0x10",
      "none.",
      ".5s",
      "5s5",
    ],
  );

  test("none only where it is allowed", () => {
    expect(kind.duration({ minMs: 0 }).parse("none")).toBeUndefined();
    expect(kind.duration({ minMs: 0 }).parse("0")).toEqual({ value: 0 });
  });

  test("longer than a timer waits only where it is allowed", () => {
    const long = kind.duration({ minMs: 0, maxMs: 30 * 86_400_000 });
    expect(long.parse("30d")).toEqual({ value: 2_592_000_000 });
    expect(long.parse("31d")).toBeUndefined();
    expect(long.expected).toContain("from 0 to 30d such as");
    expect(long.format(2_592_000_000)).toBe("30d");
  });
});

describe("size", () => {
  table(
    kind.size({ min: 0, max: 1024 ** 3 }),
    [
      ["65536", 65_536],
      ["64KiB", 65_536],
      ["64 kib", 65_536],
      ["4MiB", 4_194_304],
      ["1GiB", 1024 ** 3],
      ["0", 0],
      ["10B", 10],
      ["1.5KiB", 1536],
    ],
    ["", "64KB", "64K", "-1", "0.5", "2GiB", "1e3", "99999999999999999999", "KiB"],
  );
});

test("a size of terabytes", () => {
  const large = kind.size({ min: 0, max: 1024 ** 5 });
  expect(large.parse("2TiB")).toEqual({ value: 2 * 1024 ** 4 });
  expect(large.format(2 * 1024 ** 4)).toBe("2TiB");
});

describe("integer and port", () => {
  table(
    kind.integer({ min: 1, max: 8 }),
    [
      ["1", 1],
      ["08", 8],
    ],
    ["", "0", "9", "1.0", "1e0", "+1", "-1", "٣", "1 "],
  );
  table(kind.port(1), [["65535", 65_535]], ["0", "65536"]);
});

describe("choice, yesNo and list", () => {
  table(
    kind.choice("p2c", "random"),
    [
      ["p2c", "p2c"],
      ["Random", "random"],
    ],
    ["", "p2", "p2c,random"],
  );
  table(
    kind.choice("EUR", "USD", "ok", "OK"),
    [
      ["EUR", "EUR"],
      ["usd", "USD"],
      ["OK", "OK"],
      ["ok", "ok"],
    ],
    ["Ok", "E"],
  );
  table(
    kind.yesNo,
    [
      ["yes", true],
      ["True", true],
      ["on", true],
      ["1", true],
      ["NO", false],
      ["false", false],
      ["off", false],
      ["0", false],
    ],
    ["", "y", "2", "enabled"],
  );
  table(
    kind.classicChoice,
    [
      ["auto", undefined],
      ["yes", true],
      ["No", false],
      ["no, fixbug.UserServiceRpc=yes", { "*": false, "fixbug.UserServiceRpc": true }],
      ["UserServiceRpc=no,a.B = on", { UserServiceRpc: false, "a.B": true }],
      ["*=yes,a.B=no", { "*": true, "a.B": false }],
    ],
    ["", "maybe", "a.B", "a.B=auto", "yes,", "a.B=maybe", "a-b=yes", "=yes"],
  );
  test.each(["auto", "yes", "no,a.B=yes", "a.B=yes,C=no"])(
    "the choice %s is written as it is read",
    (text) => {
      const { value } = kind.classicChoice.parse(text) ?? {};
      expect(kind.classicChoice.format(value)).toBe(text);
    },
  );
  table(
    kind.list,
    [
      ["", []],
      ["a", ["a"]],
      [" a , b,,c ", ["a", "b", "c"]],
    ],
    [],
  );
});

describe("host", () => {
  const good = [
    "localhost",
    "127.0.0.1",
    "0.0.0.0",
    "::",
    "::1",
    "fe80::1%eth0",
    "zk-1.example.com",
    "my_service",
    "a.b.",
  ];
  table(
    kind.host,
    good.map((text) => [text, text] as const),
    [
      "",
      "127.0.0.256",
      "127.1",
      "1234",
      "127.0.0.1:80",
      "[::1]",
      "host:80",
      "a b",
      "-a",
      "a..b",
      "http://a",
      "::g",
      "1:2",
      "fe80::1%",
      "a/b",
      "x".repeat(254),
    ],
  );

  test("every domain, IPv4 and IPv6 address", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), (text) => {
        expect(kind.host.parse(text)).toEqual({ value: text });
      }),
    );
  });
});

describe("advertisedAddress", () => {
  table(
    kind.advertisedAddress,
    [
      ["10.0.0.1", { host: "10.0.0.1", port: undefined }],
      ["10.0.0.1:8000", { host: "10.0.0.1", port: 8000 }],
      ["node.example:1", { host: "node.example", port: 1 }],
      ["::1", { host: "::1", port: undefined }],
      ["[::1]", { host: "::1", port: undefined }],
      ["[::1]:8000", { host: "::1", port: 8000 }],
    ],
    [
      "",
      "0.0.0.0",
      "0.0.0.0:80",
      "::",
      "[::]:80",
      "0:0:0:0:0:0:0:0",
      "*",
      "*:80",
      ":80",
      "h:0",
      "h:65536",
      "[h]",
      "[h",
      "h:80:80",
      "[127.0.0.1]:80x",
    ],
  );
});

describe("registryUrl", () => {
  const good = [
    "file:",
    "file:/var/run/mprpc",
    "file:///var/run/mprpc?poll=1s",
    "file:?events=off",
    "static://127.0.0.1:8000",
    "static://[::1]:8000,h:1*2?protocol=classic",
    "static://User=h:1|h:2",
    "zookeeper://h:2181",
    "zookeeper://h1:2181,h2:2181/chroot/x",
    "zookeeper://h1,h2",
    "zookeeper://h1:2181/c,h2:2181/c",
    "zookeeper://user:password@h:2181",
    "zookeeper://[::1]:2181/a?b=c",
    "zookeeper",
    "consul",
    "consul://h",
    "consul://h1:8500,[::1]:8500/team/app?dc=east&ttl=10s",
    "dns://users:8000",
    "dns:///users.svc:8000?refresh=5s&server=127.0.0.1:53",
    "zookeeper://h1,h2/c consul://h:8500  file:",
  ];
  table(
    kind.registryUrl,
    good.map((text) => [text, text] as const),
    [
      "",
      "etcdx",
      "zookeeper consul",
      "zookeeper://h http://h:1",
      "consul://",
      "consul:///prefix",
      "consul://h:0",
      "dns:///",
      "zookeeper:h:1",
      "zookeeper://",
      "zookeeper:///x",
      "zookeeper://h:0",
      "zookeeper://h:1,,h:2",
      "zookeeper://h:1/c,/c",
      "zookeeper://h 1",
      "static://",
      "static://h",
      "file:relative",
      "http://h:1",
      "127.0.0.1:2181",
    ],
  );
});

describe("format is the inverse of parse", () => {
  test("durations and sizes", () => {
    const duration = kind.duration({ minMs: 0, none: true });
    const size = kind.size({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const ms = fc.oneof(
      fc.integer({ min: 0, max: 2_147_483_647 }),
      fc
        .tuple(fc.integer({ min: 0, max: 500 }), fc.constantFrom(1, 1000, 60_000, 3_600_000))
        .map(([n, u]) => n * u),
      fc.constant(Number.POSITIVE_INFINITY),
    );
    const bytes = fc.tuple(
      fc.integer({ min: 0, max: 10_000 }),
      fc.constantFrom(1, 1024, 1024 ** 2, 1024 ** 3),
    );
    fc.assert(
      fc.property(ms, (value) => {
        expect(duration.parse(duration.format(value))).toEqual({ value });
      }),
    );
    fc.assert(
      fc.property(bytes, ([n, unit]) => {
        const value = n * unit;
        expect(size.parse(size.format(value))).toEqual({ value });
      }),
    );
  });

  test.each([
    [5000, "5s"],
    [500, "500ms"],
    [120_000, "2m"],
    [90_000, "90s"],
    [0, "0"],
    [Number.POSITIVE_INFINITY, "none"],
  ])("%d ms is shown as %s", (ms, text) => {
    expect(kind.duration({ minMs: 0, none: true }).format(ms)).toBe(text);
  });

  test("everything else", () => {
    const cases: ReadonlyArray<readonly [kind.Kind<unknown>, string]> = [
      [kind.yesNo, "no"],
      [kind.list, "a,b"],
      [kind.advertisedAddress, "[::1]:80"],
      [kind.advertisedAddress, "h"],
      [kind.optional(kind.host), ""],
      [kind.optional(kind.host), "h"],
      [kind.port(0), "8000"],
    ];
    for (const [one, text] of cases) {
      const parsed = one.parse(text);
      expect(parsed && one.format(parsed.value)).toBe(text);
    }
  });
});
