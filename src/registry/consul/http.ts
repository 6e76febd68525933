import type { Agent, IncomingMessage } from "node:http";
import type { AgentOptions } from "node:https";
import { type Address, formatAddress } from "../../base/address.js";
import type { Clock } from "../../base/clock.js";
import { PeerTimer } from "../../base/peer-timer.js";
import { reasonOf } from "../errors.js";

/** A list of thousands of instances is far below it. */
const answerMaxBytes = 16 * 1024 * 1024;

export interface ConsulHttpOptions {
  clock: Clock;
  token: string | undefined;
  datacenter: string | undefined;
  tls: boolean;
  /** Certificates of the authorities to trust, PEM; default: the system's. */
  ca: string | undefined;
}

export interface ConsulRequest {
  agent: Address;
  method: "GET" | "PUT" | "POST";
  /** The path under `/v1/`, encoded. */
  path: string;
  query?: Readonly<Record<string, string>>;
  body?: unknown;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface ConsulAnswer {
  status: number;
  /** `X-Consul-Index`; 0 without one. */
  index: number;
  text: string;
}

/** One request to one agent each. It keeps connections open; none of them keeps the process alive. */
export class ConsulHttp {
  readonly #options: ConsulHttpOptions;
  /** Loaded by the first request. */
  #client: Promise<Client> | undefined;
  #closed = false;

  constructor(options: ConsulHttpOptions) {
    this.#options = options;
  }

  /** Ends all connections; running requests reject. */
  close(): void {
    this.#closed = true;
    void this.#client?.then(({ agent }) => agent.destroy());
  }

  /** The answer, whatever its status. Rejects with an Error with a readable text if there is none. */
  async send(request: ConsulRequest): Promise<ConsulAnswer> {
    const { agent, timeoutMs } = request;
    try {
      return await this.#send(request);
    } catch (error) {
      throw new Error(`${formatAddress(agent)}: ${explain(error, this.#options.tls, timeoutMs)}`, {
        cause: error,
      });
    }
  }

  async #send({
    agent,
    method,
    path,
    query = {},
    body,
    timeoutMs,
    signal,
  }: ConsulRequest): Promise<ConsulAnswer> {
    const { token, datacenter, clock } = this.#options;
    this.#client ??= load(this.#options);
    const client = await this.#client;
    if (this.#closed) throw new Error("the registry is closed");
    const search = new URLSearchParams(query);
    if (datacenter !== undefined) search.set("dc", datacenter);
    const headers: Record<string, string> = {};
    if (token !== undefined) headers["X-Consul-Token"] = token;
    const data = body === undefined ? undefined : JSON.stringify(body);
    if (data !== undefined) {
      headers["Content-Type"] = "application/json";
      headers["Content-Length"] = String(Buffer.byteLength(data));
    }
    return new Promise((resolve, reject) => {
      const request = client.request({
        ...{ host: agent.host, port: agent.port, method, headers, agent: client.agent },
        path: `/v1/${path}${search.size === 0 ? "" : `?${search}`}`,
        ...(signal === undefined ? {} : { signal }),
      });
      const timer = new PeerTimer(clock, () => request.destroy(new SilentError()), timeoutMs);
      const settle = <T>(settled: (value: T) => void) => {
        return (value: T) => {
          timer.cancel();
          settled(value);
        };
      };
      request.on("socket", (socket) => socket.unref());
      request.on("error", settle(reject));
      request.on("response", (response) => readAnswer(response).then(settle(resolve), settle(reject)));
      request.end(data);
    });
  }
}

interface Client {
  request: typeof import("node:http").request;
  agent: Agent;
}

async function load({ tls, ca }: ConsulHttpOptions): Promise<Client> {
  if (!tls) {
    const http = await import("node:http");
    return { request: http.request, agent: new http.Agent({ keepAlive: true }) };
  }
  const https = await import("node:https");
  // Said, or else the variable NODE_TLS_REJECT_UNAUTHORIZED would decide who gets our token.
  const options: AgentOptions = {
    keepAlive: true,
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  };
  return { request: https.request, agent: new https.Agent(options) };
}

class SilentError extends Error {}

async function readAnswer(response: IncomingMessage): Promise<ConsulAnswer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > answerMaxBytes) {
      response.destroy();
      throw new Error(`its answer is longer than ${answerMaxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const index = Number(response.headers["x-consul-index"] ?? 0);
  return {
    status: response.statusCode ?? 0,
    index: Number.isSafeInteger(index) && index > 0 ? index : 0,
    text: Buffer.concat(chunks).toString("utf8"),
  };
}

function explain(error: unknown, tls: boolean, timeoutMs: number): string {
  if (error instanceof SilentError) return `no answer within ${timeoutMs} ms`;
  const { code = "" } = error as NodeJS.ErrnoException;
  const text = reasonOf(error);
  if (code.startsWith("HPE_"))
    return `it does not speak HTTP (${text}); name the HTTP port of a Consul agent, which is 8500 by default`;
  if (code === "EPROTO" || /wrong version number/i.test(text))
    return `it does not speak TLS (${text}); name its HTTPS port, or leave tls= and ca= away`;
  if (tls && /certificate|ALTNAME/i.test(text + code))
    return `${text}; name the authority that signed its certificate with ca=/file.pem`;
  return text;
}
