import { readFileSync } from "node:fs";
import { formatAddress } from "../../base/address.js";
import { FileModeCheck } from "../../log/secret-file.js";
import { parseDurationMs } from "../../values/duration.js";
import { consulDefaultPort, parseHostAndPort } from "../../values/hosts.js";
import { redactUrl } from "../../values/url-text.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import { decodedPart } from "../url-part.js";
import type { ConsulRegistryOptions } from "./options.js";

export const consulForms =
  "consul://host:8500,host:8500/prefix, with ?tokenfile=/file, ?dc=NAME, ?ttl=15s, ?start=10s, ?grace=0, ?snapshots=off|/folder, ?tls=yes and ?ca=/file.pem";

/** Below it a busy provider would be taken for dead, ms. */
const ttlMinMs = 1000;

/** What messages call it. */
export function consulName({ agents, prefix }: Pick<ConsulRegistryOptions, "agents" | "prefix">): string {
  return `consul://${agents.map(formatAddress).join(",")}${prefix === undefined ? "" : `/${prefix}`}`;
}

/** Whether `url` could be one. */
export function isConsulUrl(url: string): boolean {
  const places = /^consul:\/\/(?:[^/?]*@)?([^/?]+)/.exec(url)?.[1];
  return places?.split(",").every((text) => parseHostAndPort(text) !== undefined) ?? false;
}

/** What the URL says over `options`. Throws RegistryError `invalid`. */
export function consulOptions(
  url: string,
  options: Omit<ConsulRegistryOptions, "agents">,
): ConsulRegistryOptions {
  const fail = (text: string) =>
    new RegistryError(
      "invalid",
      `registry ${JSON.stringify(redactUrl(url))}: ${text}; allowed: ${consulForms}`,
    );
  const [, user, hosts = "", path = "", search = ""] =
    /^consul:\/\/(?:([^@/?]*)@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(url) ?? [];
  if (user !== undefined) throw fail(noSecrets);
  const agents = hosts.split(",").map((text) => {
    const agent = parseHostAndPort(text);
    if (agent === undefined) throw fail(`${JSON.stringify(text)} is not host:port`);
    return { host: agent.host, port: agent.port ?? consulDefaultPort };
  });
  const result: ConsulRegistryOptions = { ...options, agents };
  const prefix = decodedPart(path.replace(/^\/|\/$/g, ""), "the prefix", fail);
  if (prefix !== "" && !/^(?=.{1,100}$)[\w.-]+(?:\/[\w.-]+)*$/.test(prefix)) {
    throw fail(
      `the prefix ${JSON.stringify(prefix)} is not made of A-Z, a-z, 0-9, "_", ".", "-" with "/" between its parts`,
    );
  }
  if (prefix !== "") result.prefix = prefix;
  for (const [key, value] of new URLSearchParams(search)) setOption(result, key, value, fail);
  return result;
}

const noSecrets =
  "credentials do not belong into the URL, which every process list shows; write the token to a file and name it with tokenfile=/file, or set CONSUL_HTTP_TOKEN in the environment";

function setOption(
  options: ConsulRegistryOptions,
  key: string,
  value: string,
  fail: (text: string) => RegistryError,
): void {
  const time = (leastMs: number) => {
    const ms = parseDurationMs(value);
    if (ms === undefined || ms < leastMs) throw fail(`${key}=${value} is not a time of ${leastMs}ms or more`);
    return ms;
  };
  const file = () => {
    if (!value.startsWith("/")) throw fail(`${key}=${value} is not an absolute file name`);
    return value;
  };
  if (key === "ttl") options.ttlMs = time(ttlMinMs);
  else if (key === "start") options.startTimeoutMs = time(1);
  else if (key === "grace") options.emptyGraceMs = time(0);
  else if (key === "dc" && /^[\w-]+$/.test(value)) options.datacenter = value;
  else if (key === "dc") throw fail(`dc=${value} is not the name of a datacenter`);
  else if (key === "tokenfile") options.token = readToken(file(), options, fail);
  else if (key === "token") throw fail(noSecrets);
  else if (key === "tls" && /^(yes|no)$/.test(value)) options.tls = value === "yes";
  else if (key === "tls") throw fail(`tls=${value} is not yes or no`);
  else if (key === "ca") {
    options.tls = true;
    options.ca = readText(file(), "ca", fail);
  } else if (key === "snapshots" && value === "off") options.snapshotFolder = false;
  else if (key === "snapshots" && value.startsWith("/")) options.snapshotFolder = value;
  else if (key === "snapshots") throw fail(`snapshots=${value} is neither off nor an absolute folder`);
  else {
    const known = "tokenfile, dc, ttl, start, grace, snapshots, tls, ca";
    throw fail(`unknown option ${JSON.stringify(key)} (known: ${known})`);
  }
}

function readText(file: string, key: string, fail: (text: string) => RegistryError): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw fail(`${key}=${file} cannot be read: ${reasonOf(error)}`);
  }
}

function readToken(file: string, deps: RegistryDeps, fail: (text: string) => RegistryError): string {
  new FileModeCheck("tokenfile= of registry", file, fillDeps(deps).log).look();
  const token = readText(file, "tokenfile", fail).trim();
  // It goes into a header.
  if (!/^[!-~]{1,200}$/.test(token)) throw fail(`tokenfile=${file} does not hold one token`);
  return token;
}
