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
  // One of them was given and is no value, which is told already.
  if (findings.problems.some(({ key }) => key !== undefined && securing.includes(key))) return;
  const secret = settings.get("auth.secret");
  if (secret?.value !== undefined && !isSet("auth.secrets")) {
    const expected = "auth.secrets with it, without which it has no effect";
    findings.fail({ where: secret.where, key: "auth.secret", expected, found: "none" });
  }
  if (isSet("tls.ca") || isSet("auth.secrets") || settings.get("tls.mode")?.value === "required") return;
  for (const [key, { where, value }] of settings) {
    if (value === undefined || !isPeerNameKey(key)) continue;
    const expected = "tls.ca, auth.secrets or tls.mode=required with it, without which it has no effect";
    findings.fail({ where, key, expected, found: "none of them" });
  }
}

function isPeerNameKey(key: string): boolean {
  return key === "tls.peername" || (key.startsWith("service.") && key.endsWith(".tls.peername"));
}
