import type { ConsulAnswer } from "./http.js";

/** Why an agent refuses a request, as a text for people that says what to change. */
export class ConsulRefusal extends Error {
  override readonly name = "ConsulRefusal";
  readonly status: number;
  /** Permissions are missing: it will not pass by itself. */
  readonly denied: boolean;

  constructor(status: number, message: string, denied: boolean) {
    super(message);
    this.status = status;
    this.denied = denied;
  }
}

export function isDenied(error: unknown): boolean {
  return error instanceof ConsulRefusal && error.denied;
}

const tokenAdvice =
  "give it with tokenfile=/file in the registry URL or CONSUL_HTTP_TOKEN in the environment";

/** Throws ConsulRefusal unless the answer is 200. `prefix` is the prefix of service names, with its `/`, or empty. */
export function checkAnswer(answer: ConsulAnswer, prefix: string): void {
  const { status, text } = answer;
  if (status === 200) return;
  const said = text.trim().slice(0, 200) || `status ${status}`;
  if (status === 403) {
    const advice = /ACL not found/i.test(text)
      ? `Consul does not know the token; ${tokenAdvice}`
      : `the token, or the anonymous one without a token, lacks a rule such as ${rules(prefix, "write")}; ${tokenAdvice}`;
    throw new ConsulRefusal(status, `${said}; ${advice}`, true);
  }
  if (status === 429) {
    throw new ConsulRefusal(status, `${said}; raise limits.http_max_conns_per_client of the agent`, false);
  }
  if (/HTTP request to an HTTPS/i.test(text)) {
    throw new ConsulRefusal(status, `${said}; add tls=yes or ca=/file.pem to the registry URL`, false);
  }
  if (/No path to datacenter/i.test(text)) {
    throw new ConsulRefusal(status, `${said}; change dc= in the registry URL`, true);
  }
  throw new ConsulRefusal(status, said, false);
}

/** Consul silently leaves out what may not be read. */
export function hiddenText(prefix: string): string {
  return `permission denied: the token, or the anonymous one without a token, may not read; it needs ${rules(prefix, "read")}; ${tokenAdvice}`;
}

function rules(prefix: string, policy: "read" | "write"): string {
  return `service_prefix "${prefix}" { policy = "${policy}" } and node_prefix "" { policy = "read" }`;
}

/** The JSON of an answer. Throws Error for invalid JSON: then the server is not Consul. */
export function jsonOf({ text, status }: ConsulAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(notConsul(status));
  }
}

export function notConsul(status: number): string {
  return `it answers, status ${status}, but is not the HTTP API of Consul; name the HTTP port of a Consul agent, which is 8500 by default`;
}
