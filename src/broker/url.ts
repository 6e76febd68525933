import { readFileSync } from "node:fs";
import { textOf } from "../base/thrown.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status } from "../error/status.js";
import { FileModeCheck } from "../log/secret-file.js";
import { parseDurationMs } from "../values/duration.js";
import { parseHostAndPort } from "../values/hosts.js";
import { redactUrl } from "../values/url-text.js";
import type { DriverDeps } from "./driver.js";

/** What the URLs of brokers have in common, read. */
export interface BrokerUrl {
  /** Without anything secret. */
  readonly shown: string;
  readonly scheme: string;
  readonly servers: ReadonlyArray<{ readonly host: string; readonly port: number }>;
  /** Behind the servers, without its `/`. */
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
  /** An RpcError INVALID_ARGUMENT that shows the URL and its forms. */
  fail(reason: string): RpcError;
}

export interface UrlForm {
  /** What the URL looks like, with every option. */
  readonly form: string;
  readonly defaultPort: number;
  /** Names of the options. */
  readonly options: readonly string[];
}

/**
 * `scheme://host:port,host:port/path?option=value`. Throws RpcError INVALID_ARGUMENT for anything else, and for credentials in it: a URL is
 * in the list of processes and in logs.
 */
export function readBrokerUrl(url: string, { form, defaultPort, options: known }: UrlForm): BrokerUrl {
  const shown = redactUrl(url);
  const fail = (reason: string): RpcError =>
    new RpcError(Status.INVALID_ARGUMENT, messages.brokerUrlInvalid(JSON.stringify(shown), reason, form));
  const [, scheme = "", places = "", path = "", search = ""] =
    /^([a-z]+):(?:\/\/([^/?]*)(?:\/([^?]*))?)?(?:\?(.*))?$/s.exec(url) ?? [];
  if (scheme === "") throw fail("it is no URL");
  if (places.includes("@")) {
    throw fail(
      "a user and a password do not belong there, where the list of processes shows them: use user= and passwordfile=, or the variable MPRPC_BROKERPASSWORD",
    );
  }
  const servers = (places === "" ? [] : places.split(",")).map((text) => {
    const server = parseHostAndPort(text);
    if (server === undefined) throw fail(`${JSON.stringify(text)} is not host:port`);
    return { host: server.host, port: server.port ?? defaultPort };
  });
  const options = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === "password")
      throw fail(
        "password= would be seen in the list of processes: use passwordfile=, or the variable MPRPC_BROKERPASSWORD",
      );
    if (!known.includes(name)) {
      throw fail(`unknown option ${JSON.stringify(name)} (known: ${known.join(", ") || "none"})`);
    }
    if (options.has(name)) throw fail(`the option ${name} is given twice`);
    options.set(name, value);
  }
  return { shown, scheme, servers, path, options, fail };
}

/** The whole number of an option; `undefined` when it is not given. Throws RpcError. */
export function countOption(url: BrokerUrl, name: string, min: number, max = 1e12): number | undefined {
  const text = url.options.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw url.fail(`${name}=${text} is no whole number from ${min} to ${max}`);
}

/** The time of an option, ms; `undefined` when it is not given. Throws RpcError. */
export function durationOption(url: BrokerUrl, name: string): number | undefined {
  const text = url.options.get(name);
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw url.fail(`${name}=${text} is no time (30s, 1h, 7d)`);
}

/** What stands before the names of everything that is kept; `fallback` when it is not given. Throws RpcError. */
export function prefixOption(url: BrokerUrl, fallback: string): string {
  const prefix = url.options.get("prefix") ?? fallback;
  if (/^[\w-]{0,64}$/.test(prefix)) return prefix;
  throw url.fail('prefix= has up to 64 characters of A-Z, a-z, 0-9, "_" and "-"');
}

/** The password: the first line of `passwordfile=`, or what the environment or the conf said. Throws RpcError. */
export function passwordOf(
  url: BrokerUrl,
  { password: given, log }: Pick<DriverDeps, "password" | "log">,
): string | undefined {
  const file = url.options.get("passwordfile");
  if (file === undefined) return given;
  new FileModeCheck("passwordfile= of broker", file, log).look();
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new RpcError(
      Status.INVALID_ARGUMENT,
      messages.brokerPasswordFile(url.shown, JSON.stringify(file), textOf(error)),
      { executed: "never", cause: error },
    );
  }
  const [password = ""] = text.split(/\r?\n/, 1);
  if (password !== "") return password;
  const reason = "its first line is empty";
  throw new RpcError(
    Status.INVALID_ARGUMENT,
    messages.brokerPasswordFile(url.shown, JSON.stringify(file), reason),
  );
}
