import { type Address, formatAddress } from "../../base/address.js";
import { parseDurationMs } from "../../values/duration.js";
import { parseHostAndPort, zookeeperDefaultPort } from "../../values/hosts.js";
import { redactUrl } from "../../values/url-text.js";
import { RegistryError } from "../errors.js";
import { decodedPart } from "../url-part.js";
import type { ZooKeeperRegistryOptions } from "./options.js";

export const zooKeeperForms =
  "zookeeper://host:2181,host:2181/chroot, with ?session=10s, ?start=10s, ?grace=0 and ?snapshots=off|/folder";

/** What messages call it. */
export function zooKeeperName({
  servers,
  chroot = "",
}: Pick<ZooKeeperRegistryOptions, "servers" | "chroot">): string {
  return `zookeeper://${servers.map(formatAddress).join(",")}${chroot}`;
}

/** Whether `url` could be one: behind each server there may be a chroot. */
export function isZooKeeperUrl(url: string): boolean {
  const places = /^zookeeper:\/\/(?:[^/?]*@)?([^?]+)/.exec(url)?.[1];
  return (
    places?.split(",").every((text) => parseHostAndPort(text.split("/", 1)[0] ?? "") !== undefined) ?? false
  );
}

/** What the URL says over `options`. Throws RegistryError `invalid`. */
export function zooKeeperOptions(
  url: string,
  options: Omit<ZooKeeperRegistryOptions, "servers">,
): ZooKeeperRegistryOptions {
  const fail = (text: string) =>
    new RegistryError(
      "invalid",
      `registry ${JSON.stringify(redactUrl(url))}: ${text}; allowed: ${zooKeeperForms}`,
    );
  const [, user, places = "", search = ""] =
    /^zookeeper:\/\/(?:([^@/?]*)@)?([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  const { hosts, path } = splitChroot(places, fail);
  const result: ZooKeeperRegistryOptions = {
    ...options,
    servers: hosts.map((host) => parseServer(host, fail)),
  };
  if (user !== undefined) result.auth = decodedPart(user, "the user:password", fail);
  if (result.auth !== undefined && !/^[^:]+:./s.test(result.auth)) throw fail("auth is not user:password");
  const chroot = decodedPart(path, "the chroot", fail);
  if (chroot !== "" && !/^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u.test(chroot)) {
    throw fail(`the chroot ${JSON.stringify(chroot)} is not a znode path`);
  }
  if (chroot !== "") result.chroot = chroot;
  for (const [key, value] of new URLSearchParams(search)) setZooKeeperOption(result, key, value, fail);
  return result;
}

/**
 * The chroot is after the last server and applies to all. Many write it after each server, which is accepted if all are
 * equal; otherwise a server would be lost, or become a part of the chroot.
 */
function splitChroot(
  places: string,
  fail: (text: string) => RegistryError,
): { hosts: string[]; path: string } {
  const parts = places.split(",").map((text) => {
    const slash = text.indexOf("/");
    const host = slash === -1 ? text : text.slice(0, slash);
    return { host, path: slash === -1 ? "" : text.slice(slash).replace(/\/$/, "") };
  });
  const path = parts.at(-1)?.path ?? "";
  const other = parts.find((part) => part.path !== "" && part.path !== path);
  if (other !== undefined) {
    const [one, two] = [other.path, path || "none"].map((text) => JSON.stringify(text));
    throw fail(
      `the servers have different chroots, ${one} and ${two}: write one behind the last server, for all of them (a comma in it as %2C)`,
    );
  }
  return { hosts: parts.map(({ host }) => host), path };
}

function parseServer(text: string, fail: (text: string) => RegistryError): Address {
  const server = parseHostAndPort(text);
  if (server === undefined) throw fail(`${JSON.stringify(text)} is not host:port`);
  return { host: server.host, port: server.port ?? zookeeperDefaultPort };
}

function setZooKeeperOption(
  options: ZooKeeperRegistryOptions,
  key: string,
  value: string,
  fail: (text: string) => RegistryError,
): void {
  const time = (leastMs: number) => {
    const ms = parseDurationMs(value);
    if (ms === undefined || ms < leastMs) throw fail(`${key}=${value} is not a time of ${leastMs}ms or more`);
    return ms;
  };
  if (key === "session") options.sessionTimeoutMs = time(1000);
  else if (key === "start") options.startTimeoutMs = time(1);
  else if (key === "grace") options.emptyGraceMs = time(0);
  else if (key === "snapshots" && value === "off") options.snapshotFolder = false;
  else if (key === "snapshots" && value.startsWith("/")) options.snapshotFolder = value;
  else if (key === "snapshots") throw fail(`snapshots=${value} is neither off nor an absolute folder`);
  else throw fail(`unknown option ${JSON.stringify(key)} (known: session, start, grace, snapshots)`);
}
