import { describe, expect, test } from "vitest";
import { identityOf, isPeerName, matchPeerName } from "../../src/transport/tls/peer-name.js";

const of = (...uris: string[]) => ({ uris, dns: [], ips: [] });
const longest = `spiffe://d/${"a".repeat(2048 - "spiffe://d/".length)}`;

describe("a SPIFFE ID", () => {
  test.each(["spiffe://d/a", "spiffe://a.b-c_d/A.b/.c/..d/-_", longest])("%s is an identity", (id) => {
    expect(identityOf(of(id))).toBe(id);
    if (id !== longest) expect(matchPeerName(of(id), id)).toBe(id);
  });

  test.each([
    ...[
      "spiffe://d",
      "spiffe://d/",
      "spiffe://d/a/",
      "spiffe://d//a",
      "spiffe:///a",
      "spiffe:d/a",
      "spiffe:/d/a",
    ],
    ...["spiffe://d/.", "spiffe://d/..", "spiffe://d/./a", "spiffe://d/a/../b", "spiffe://d/a/.."],
    ...[
      "spiffe://d/a?b",
      "spiffe://d/a#b",
      "spiffe://d/a%2fb",
      "spiffe://d/a*",
      "spiffe://d/a:b",
      "spiffe://d/é",
    ],
    ...["spiffe://D/a", "spiffe://d:1/a", "spiffe://u@d/a", "SPIFFE://d/a", "Spiffe://d/a", `${longest}a`],
  ])("%s is none, and keeps the certificate's DNS name from being one", (id) => {
    expect(identityOf({ ...of(id), dns: ["a.example"] })).toBeUndefined();
    expect(matchPeerName(of(id), "spiffe://d/*|spiffe://d/*/*|spiffe://d/*/*/*")).toBeUndefined();
  });

  test("is one, and stands alone", () => {
    for (const other of ["spiffe://d/b", "SPIFFE://d/b", "https://d/"]) {
      expect(identityOf({ ...of("spiffe://d/a", other), dns: ["a.example"] })).toBeUndefined();
      expect(matchPeerName(of("spiffe://d/a", other), "spiffe://d/*")).toBeUndefined();
    }
    expect(identityOf({ ...of("https://d/"), dns: ["a.example"] })).toBe("dns:a.example");
  });
});

test("whom to expect has no segment that no ID has", () => {
  for (const name of ["spiffe://d/a", "spiffe://d/*/b*", "spiffe://d"]) expect(isPeerName(name)).toBe(true);
  for (const name of ["spiffe://d/..", "spiffe://d/./a", "spiffe://d//a"])
    expect(isPeerName(name)).toBe(false);
});

test("an identity by DNS is the first entry that is a name, and no pattern", () => {
  const dns = [
    "*.a.example",
    "a/b.example",
    "a.example.",
    "10.0.0.1",
    "w*b.example",
    "b.example",
    "c.example",
  ];
  expect(identityOf({ uris: [], ips: [], dns })).toBe("dns:b.example");
});
