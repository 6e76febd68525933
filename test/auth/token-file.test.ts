import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { parseTokens, staticTokens } from "../../src/auth/token-file.js";
import { Metadata } from "../../src/index.js";

const many = Array.from({ length: 20_000 }, (_, at) => `user${at}:${"x".repeat(16)}${at}`);
const nobody = { address: "", protocol: "mprpc", identities: {} } as const;

/** Whose token it is. */
async function ask(tokens: ReturnType<typeof parseTokens>, token: string) {
  const metadata = new Metadata({ authorization: `Bearer ${token}` });
  return staticTokens(() => tokens)(metadata, nobody, new AbortController().signal);
}

test("as many tokens as a file may hold are read, and each is found, without holding up the calls", async () => {
  const before = process.cpuUsage();
  const tokens = parseTokens(many.join("\n"), "tokens");
  for (let at = 0; at < 20_000; at += 10) {
    expect(await ask(tokens, `${"x".repeat(16)}${at}`)).toBe(`token:user${at}`);
    expect(await ask(tokens, `${"y".repeat(16)}${at}`)).toBeUndefined();
  }
  const { user, system } = process.cpuUsage(before);
  // Compared one with another they take 20 s and more.
  expect((user + system) / 1e6).toBeLessThan(4);
});

test("a token that two names have is refused by its line and not shown", () => {
  const text = `${many.slice(0, 5).join("\n")}\neve:${"x".repeat(16)}3`;
  expect(() => parseTokens(text, "tokens")).toThrow(/^tokens:6: its token is another's as well$/);
});

test("what is kept of a token is neither itself nor a hash that others can make", () => {
  const token = "0123456789abcdef";
  const kept = JSON.stringify([...parseTokens(`eve:${token}`, "tokens")]);
  expect(kept).not.toContain(token);
  for (const form of ["base64", "hex"] as const) {
    expect(kept).not.toContain(createHash("sha256").update(token).digest(form));
  }
});
