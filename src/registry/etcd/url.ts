import { readFileSync } from "node:fs";
import { formatAddress } from "../../base/address.js";
import { FileModeCheck } from "../../log/secret-file.js";
import { parseDurationMs } from "../../values/duration.js";
import { etcdDefaultPort, parseHostAndPort } from "../../values/hosts.js";
import { redactUrl } from "../../values/url-text.js";
import { fillDeps, type RegistryDeps } from "../deps.js";
import { RegistryError, reasonOf } from "../errors.js";
import { decodedPart } from "../url-part.js";
import type { EtcdRegistryOptions } from "./options.js";

export const etcdForms =
  "etcd://host:2379,host:2379/prefix, with ?user=NAME&passwordfile=/file, ?ttl=15s, ?start=10s, ?grace=0, ?snapshots=off|/folder, ?tls=yes, ?ca=/file.pem and ?cert=/file.pem&key=/file.pem";

/** etcd itself takes no shorter time, ms. */
const ttlMinMs = 2000;

/** The prefix of the keys when the URL has none. */
export const etcdDefaultPrefix = "mprpc";

/** What messages call it. */
export function etcdName({
  members,
  prefix = etcdDefaultPrefix,
}: Pick<EtcdRegistryOptions, "members" | "prefix">): string {
  return `etcd://${members.map(formatAddress).join(",")}/${prefix}`;
}

/** Whether `url` could be one. */
export function isEtcdUrl(url: string): boolean {
  const places = /^etcd:\/\/(?:[^/?]*@)?([^/?]+)/.exec(url)?.[1];
  return places?.split(",").every((text) => parseHostAndPort(text) !== undefined) ?? false;
}

type Fail = (text: string) => RegistryError;

/** What the URL says over `options`. Throws RegistryError `invalid`. */
export function etcdOptions(url: string, options: Omit<EtcdRegistryOptions, "members">): EtcdRegistryOptions {
  const fail: Fail = (text) =>
    new RegistryError(
      "invalid",
      `registry ${JSON.stringify(redactUrl(url))}: ${text}; allowed: ${etcdForms}`,
    );
  const [, credentials, hosts = "", path = "", search = ""] =
    /^etcd:\/\/(?:([^@/?]*)@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(url) ?? [];
  if (credentials !== undefined) throw fail(noSecrets);
  const members = hosts.split(",").map((text) => {
    const member = parseHostAndPort(text);
    if (member === undefined) throw fail(`${JSON.stringify(text)} is not host:port`);
    return { host: member.host, port: member.port ?? etcdDefaultPort };
  });
  const result: EtcdRegistryOptions = { ...options, members };
  const prefix = decodedPart(path.replace(/^\/|\/$/g, ""), "the prefix", fail);
  if (prefix !== "" && !/^(?=.{1,100}$)[\w.-]+(?:\/[\w.-]+)*$/.test(prefix)) {
    throw fail(
      `the prefix ${JSON.stringify(prefix)} is not made of A-Z, a-z, 0-9, "_", ".", "-" with "/" between its parts`,
    );
  }
  if (prefix !== "") result.prefix = prefix;
  for (const [key, value] of new URLSearchParams(search)) setOption(result, key, value, fail);
  if ((result.user === undefined) !== (result.password === undefined))
    throw fail("user= and passwordfile= go together");
  if ((result.cert === undefined) !== (result.key === undefined)) throw fail("cert= and key= go together");
  return result;
}

const noSecrets =
  "credentials do not belong into the URL, which every process list shows; name the user with user= and write the password to a file that passwordfile=/file names";

function setOption(options: EtcdRegistryOptions, key: string, value: string, fail: Fail): void {
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
  else if (key === "user" && value !== "") options.user = value;
  else if (key === "user") throw fail("user= names nobody");
  else if (key === "passwordfile") options.password = readPassword(file(), options, fail);
  else if (key === "password") throw fail(noSecrets);
  else if (key === "tls" && /^(yes|no)$/.test(value)) options.tls = value === "yes";
  else if (key === "tls") throw fail(`tls=${value} is not yes or no`);
  else if (key === "ca" || key === "cert" || key === "key") {
    options.tls = true;
    options[key] = file();
  } else if (key === "snapshots" && value === "off") options.snapshotFolder = false;
  else if (key === "snapshots" && value.startsWith("/")) options.snapshotFolder = value;
  else if (key === "snapshots") throw fail(`snapshots=${value} is neither off nor an absolute folder`);
  else {
    const known = "user, passwordfile, ttl, start, grace, snapshots, tls, ca, cert, key";
    throw fail(`unknown option ${JSON.stringify(key)} (known: ${known})`);
  }
}

function readPassword(file: string, deps: RegistryDeps, fail: Fail): string {
  new FileModeCheck("passwordfile= of registry", file, fillDeps(deps).log).look();
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw fail(`passwordfile=${file} cannot be read: ${reasonOf(error)}`);
  }
  const password = text.replace(/\r?\n$/, "");
  if (password === "" || /[\r\n]/.test(password)) throw fail(`passwordfile=${file} does not hold one line`);
  return password;
}
