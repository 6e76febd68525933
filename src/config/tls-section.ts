import type { Findings } from "./findings.js";

/** A value with the place it came from. */
interface Placed {
  readonly where: string;
  readonly value: unknown;
}

/** Each may make channels speak TLS. */
const securing = ["tls.ca", "auth.secrets", "tls.mode"];

/** Whoever names the providers to accept means them to prove it: a call in clear to anybody is a mistake. */
export function checkTls(settings: ReadonlyMap<string, Placed>, findings: Findings): void {
  const isSet = (name: string): boolean => settings.get(name)?.value !== undefined;
  const secured = isSet("tls.ca") || isSet("auth.secrets") || settings.get("tls.mode")?.value === "required";
  // One of them was given and is no value, which is told already.
  const mistaken = findings.problems.some(({ key }) => key !== undefined && securing.includes(key));
  if (secured || mistaken) return;
  for (const [key, { where, value }] of settings) {
    if (value === undefined || !isPeerNameKey(key)) continue;
    const expected = "tls.ca, auth.secrets or tls.mode=required with it, without which it has no effect";
    findings.fail({ where, key, expected, found: "none of them" });
  }
}

function isPeerNameKey(key: string): boolean {
  return key === "tls.peername" || (key.startsWith("service.") && key.endsWith(".tls.peername"));
}
