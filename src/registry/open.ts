import { redactUrl } from "../values/url-text.js";
import type { RegistryDeps } from "./deps.js";
import { RegistryError } from "./errors.js";
import { FileRegistry } from "./file/registry.js";
import { fileForms, fileOptions, isFileUrl } from "./file/url.js";
import type { Registry } from "./registry.js";
import { isStaticUrl, StaticRegistry, staticForms } from "./static.js";
import { ZooKeeperRegistry, type ZooKeeperRegistryOptions } from "./zookeeper/registry.js";
import { isZooKeeperUrl, zooKeeperForms, zooKeeperOptions } from "./zookeeper/url.js";

/** What the URL need not or should not say; what it does say comes first. */
export interface OpenRegistryOptions
  extends RegistryDeps,
    Pick<
      ZooKeeperRegistryOptions,
      "auth" | "sessionTimeoutMs" | "startTimeoutMs" | "emptyGraceMs" | "snapshotFolder"
    > {}

/** A kind of registry, by the scheme of its URL. One more is one more of these. */
interface Scheme {
  /** What its URL looks like, for a conf file's error. */
  readonly brief: string;
  /** The same with every option. */
  readonly forms: string;
  /** Whether the URL could be one; `open` reads it in full. */
  mayBe(url: string): boolean;
  open(url: string, options: OpenRegistryOptions): Registry;
}

const schemes: Readonly<Record<string, Scheme>> = {
  file: {
    brief: "file:[/directory]",
    forms: fileForms,
    mayBe: isFileUrl,
    open: (url, options) => new FileRegistry(fileOptions(url, options)),
  },
  zookeeper: {
    brief: "zookeeper://host:port[,host:port...][/chroot]",
    forms: zooKeeperForms,
    mayBe: isZooKeeperUrl,
    open: (url, options) => new ZooKeeperRegistry(zooKeeperOptions(url, options)),
  },
  static: {
    brief: "static://host:port[,host:port...]",
    forms: staticForms,
    mayBe: isStaticUrl,
    open: (url, options) => new StaticRegistry(url, options),
  },
};

function schemeOf(url: string): string | undefined {
  const scheme = /^([a-z]+):/.exec(url)?.[1];
  return scheme !== undefined && Object.hasOwn(schemes, scheme) ? scheme : undefined;
}

const listed = Object.values(schemes);

const briefs = listed.map(({ brief }) => brief);

/** The forms of registry URLs in short, for the error about one that is none of them. */
export const registryForms = `${briefs.slice(0, -1).join(", ")} or ${briefs.at(-1)}`;

/** Whether `text` could be the URL of a registry: its driver still reads the whole of it. */
export function isRegistryUrl(text: string): boolean {
  return !/\s/.test(text) && (schemes[schemeOf(text) ?? ""]?.mayBe(text) ?? false);
}

/**
 * The registry a URL names. Nothing is connected before the first use, and a driver's library is loaded only then.
 * Throws RegistryError `invalid` with the URL (without secrets), what is wrong and the allowed forms; for `file:` also
 * `unreachable` or `denied` when the folder cannot be used.
 */
export function openRegistry(url: string, options: OpenRegistryOptions = {}): Registry {
  const scheme = schemes[schemeOf(url) ?? ""];
  if (scheme !== undefined && (url.startsWith("file:") || url.includes("://")))
    return scheme.open(url, options);
  const named = /^([a-z]+):/.exec(url)?.[1];
  const wrong = named === undefined ? "it has no scheme" : `it cannot be read as ${named}`;
  const forms = listed.map((one) => one.forms).join("; or ");
  throw new RegistryError(
    "invalid",
    `registry ${JSON.stringify(redactUrl(url))}: ${wrong}; allowed: ${forms}`,
  );
}
