import { type Address, parseAddress } from "../base/address.js";
import { parseDurationMs, redactUrl } from "../values/url.js";
import type { RegistryDeps } from "./deps.js";
import { RegistryError } from "./errors.js";
import { FileRegistry, type FileRegistryOptions } from "./file/registry.js";
import type { Registry } from "./registry.js";
import { StaticRegistry, staticForms } from "./static.js";
import { ZooKeeperRegistry, type ZooKeeperRegistryOptions } from "./zookeeper/registry.js";

/** What the URL need not or should not say; what it does say comes first. */
export interface OpenRegistryOptions
  extends RegistryDeps,
    Pick<
      ZooKeeperRegistryOptions,
      "auth" | "sessionTimeoutMs" | "startTimeoutMs" | "emptyGraceMs" | "snapshotFolder"
    > {}

const zooKeeperForms =
  "zookeeper://host:2181,host:2181/chroot, with ?session=10s, ?start=10s, ?grace=0 and ?snapshots=off|/folder";
const fileForms =
  "file: (a private folder of this user) or file:/absolute/folder, with ?poll=1s and ?events=off";
const forms = [zooKeeperForms, fileForms, staticForms];
const defaultZooKeeperPort = 2181;

/**
 * The registry a URL names. Nothing is connected before the first use, and a driver's library is loaded only then.
 * Throws RegistryError `invalid` with the URL (without secrets), what is wrong and the allowed forms; for `file:` also
 * `unreachable` or `denied` when the folder cannot be used.
 */
export function openRegistry(url: string, options: OpenRegistryOptions = {}): Registry {
  const scheme = /^([a-z]+):/.exec(url)?.[1];
  switch (scheme) {
    case "zookeeper":
      if (url.startsWith("zookeeper://")) return openZooKeeper(url, options);
      break;
    case "file":
      return openFile(url, options);
    case "static":
      if (url.startsWith("static://")) return new StaticRegistry(url, options);
      break;
  }
  const wrong = scheme === undefined ? "it has no scheme" : `it cannot be read as ${scheme}`;
  throw new RegistryError(
    "invalid",
    `registry ${JSON.stringify(redactUrl(url))}: ${wrong}; allowed: ${forms.join("; or ")}`,
  );
}

function openZooKeeper(url: string, options: OpenRegistryOptions): ZooKeeperRegistry {
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
  if (user !== undefined) result.auth = decodePart(user, "the user:password", fail);
  if (result.auth !== undefined && !/^[^:]+:./s.test(result.auth)) throw fail("auth is not user:password");
  const chroot = decodePart(path, "the chroot", fail);
  if (chroot !== "" && !/^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u.test(chroot)) {
    throw fail(`the chroot ${JSON.stringify(chroot)} is not a znode path`);
  }
  if (chroot !== "") result.chroot = chroot;
  for (const [key, value] of new URLSearchParams(search)) setZooKeeperOption(result, key, value, fail);
  return new ZooKeeperRegistry(result);
}

/**
 * The chroot stands behind the last server and goes for all. Behind each server is how many write it, which is the same as
 * long as all are equal; otherwise a server would be lost, or become a part of the chroot.
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
  const address = parseAddress(text) ?? parseAddress(`${text}:${defaultZooKeeperPort}`);
  if (address === undefined || address.port === 0) throw fail(`${JSON.stringify(text)} is not host:port`);
  return address;
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

function openFile(url: string, options: OpenRegistryOptions): FileRegistry {
  const fail = (text: string) =>
    new RegistryError("invalid", `registry ${JSON.stringify(url)}: ${text}; allowed: ${fileForms}`);
  const [, path = "", search = ""] = /^file:(?:\/\/(?=\/|$|\?))?([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  if (path !== "" && !path.startsWith("/")) throw fail(`the folder ${JSON.stringify(path)} is not absolute`);
  const fileOptions: FileRegistryOptions = { ...options };
  if (path !== "") fileOptions.folder = decodePart(path, "the folder", fail);
  for (const [key, value] of new URLSearchParams(search)) {
    if (key === "poll") {
      const pollMs = parseDurationMs(value);
      if (pollMs === undefined || pollMs < 10) throw fail(`poll=${value} is not a time of 10ms or more`);
      fileOptions.pollMs = pollMs;
    } else if (key === "events") {
      if (value !== "on" && value !== "off") throw fail(`events=${value} is not on or off`);
      fileOptions.fileEvents = value === "on";
    } else throw fail(`unknown option ${JSON.stringify(key)} (known: poll, events)`);
  }
  return new FileRegistry(fileOptions);
}

function decodePart(text: string, what: string, fail: (text: string) => RegistryError): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fail(`${what} has a "%" that is no escape; write it as %25`);
  }
}
