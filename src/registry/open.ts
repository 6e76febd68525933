import { redactUrl } from "../values/url-text.js";
import { consulForms, consulName, consulOptions, isConsulUrl } from "./consul/url.js";
import { fillDeps, type RegistryDeps } from "./deps.js";
import { DnsResolver } from "./dns/resolver.js";
import { dnsForms, dnsOptions, isDnsUrl } from "./dns/url.js";
import { RegistryError } from "./errors.js";
import { etcdTransport } from "./etcd/transport.js";
import { etcdForms, etcdName, etcdOptions, isEtcdUrl } from "./etcd/url.js";
import { FileRegistry } from "./file/registry.js";
import { fileForms, fileOptions, isFileUrl } from "./file/url.js";
import { RegistryLater } from "./later.js";
import type { Registry } from "./registry.js";
import { ResolverOnlyRegistry } from "./resolver-only.js";
import { SeveralRegistries } from "./several.js";
import { isStaticUrl, StaticRegistry, staticForms } from "./static.js";
import type { ZooKeeperRegistryOptions } from "./zookeeper/options.js";
import { isZooKeeperUrl, zooKeeperForms, zooKeeperName, zooKeeperOptions } from "./zookeeper/url.js";

/** Options that need not or should not be in the URL. The URL takes precedence. */
export interface OpenRegistryOptions
  extends RegistryDeps,
    Pick<
      ZooKeeperRegistryOptions,
      "auth" | "sessionTimeoutMs" | "startTimeoutMs" | "emptyGraceMs" | "snapshotFolder"
    > {
  /** The ACL token of Consul. Default: `CONSUL_HTTP_TOKEN` of the environment, if it is set. */
  consulToken?: string | undefined;
}

/** A kind of registry, by the scheme of its URL. Add another kind as one more of these. */
interface Scheme {
  /** What its URL looks like, for a conf file's error. */
  readonly brief: string;
  /** The same with every option. */
  readonly forms: string;
  /** Whether the URL could be one; `open` reads it in full. */
  mayBe(url: string): boolean;
  /** The URL when only the scheme is named, as in `--registry=consul`; absent: an address is needed. */
  readonly bare?: string;
  open(url: string, options: OpenRegistryOptions): Registry;
}

const schemes: Readonly<Record<string, Scheme>> = {
  file: {
    brief: "file:[/directory]",
    forms: fileForms,
    mayBe: isFileUrl,
    bare: "file:",
    open: (url, options) => new FileRegistry(fileOptions(url, options)),
  },
  zookeeper: {
    brief: "zookeeper://host:port[,host:port...][/chroot]",
    forms: zooKeeperForms,
    mayBe: isZooKeeperUrl,
    bare: "zookeeper://127.0.0.1:2181",
    open: openZooKeeper,
  },
  consul: {
    brief: "consul://host:port[,host:port...][/prefix]",
    forms: consulForms,
    mayBe: isConsulUrl,
    bare: "consul://127.0.0.1:8500",
    open: openConsul,
  },
  etcd: {
    brief: "etcd://host:port[,host:port...][/prefix]",
    forms: etcdForms,
    mayBe: isEtcdUrl,
    bare: "etcd://127.0.0.1:2379",
    open: openEtcd,
  },
  dns: {
    brief: "dns://name:port",
    forms: dnsForms,
    mayBe: isDnsUrl,
    open: (url, options) => {
      const keeper = "whoever keeps the zone, such as a headless service of Kubernetes";
      return new ResolverOnlyRegistry(
        new DnsResolver(dnsOptions(url, options)),
        keeper,
        fillDeps(options).log,
      );
    },
  },
  static: {
    brief: "static://host:port[,host:port...]",
    forms: staticForms,
    mayBe: isStaticUrl,
    open: (url, options) => new StaticRegistry(url, options),
  },
};

function openZooKeeper(url: string, given: OpenRegistryOptions): Registry {
  const options = zooKeeperOptions(url, given);
  const facts = { name: zooKeeperName(options), authenticated: options.auth !== undefined };
  return new RegistryLater(facts, async () => {
    const { ZooKeeperRegistry } = await import("./zookeeper/registry.js");
    return new ZooKeeperRegistry(options);
  });
}

function openConsul(url: string, given: OpenRegistryOptions): Registry {
  const { auth: _, consulToken = process.env.CONSUL_HTTP_TOKEN, ...others } = given;
  const options = consulOptions(url, { ...others, token: consulToken || undefined });
  const { agents, token } = options;
  const facts = { name: consulName(options), authenticated: token !== undefined, servers: agents };
  return new RegistryLater(facts, async () => {
    const { ConsulRegistry } = await import("./consul/registry.js");
    return new ConsulRegistry(options);
  });
}

function openEtcd(url: string, { auth: _, consulToken: __, ...others }: OpenRegistryOptions): Registry {
  const options = etcdOptions(url, others);
  // Files that cannot be used are reported now, and read again by the driver.
  etcdTransport(options).close?.();
  const { members, user } = options;
  const facts = { name: etcdName(options), authenticated: user !== undefined, servers: members };
  return new RegistryLater(facts, async () => {
    const { EtcdRegistry } = await import("./etcd/registry.js");
    return new EtcdRegistry(options);
  });
}

function schemeOf(url: string): string | undefined {
  const scheme = /^([a-z]+):/.exec(url)?.[1];
  return scheme !== undefined && Object.hasOwn(schemes, scheme) ? scheme : undefined;
}

const listed = Object.values(schemes);

const briefs = listed.map(({ brief }) => brief);

/** The forms of registry URLs in short, for the error about one that is none of them. */
export const registryForms = `${briefs.slice(0, -1).join(", ")} or ${briefs.at(-1)}, or several with blanks between them`;

/** Whether `text` could be the URL of a registry, or of several: their drivers still read the whole of it. */
export function isRegistryUrl(text: string): boolean {
  const urls = splitUrls(text);
  return urls.every((url) => !/\s/.test(url) && (schemes[schemeOf(url) ?? ""]?.mayBe(url) ?? false));
}

/** Whether `text` is a scheme alone, which goes with an address of its own: `--registry=consul --registry_address=h:8500`. */
export function isRegistryScheme(text: string): boolean {
  return Object.hasOwn(schemes, text);
}

/**
 * The URL that a scheme and an address make; without an address, the scheme's usual one on this machine. The address is the part after
 * `//` in the URL. `undefined`: no such scheme, or one that needs an address.
 */
export function registryUrlOf(scheme: string, address: string | undefined): string | undefined {
  if (!isRegistryScheme(scheme)) return undefined;
  return address === undefined ? schemes[scheme]?.bare : `${scheme}://${address}`;
}

/**
 * The registry a URL names, or with blanks between several URLs all of these together. Nothing is connected before the first
 * use, and a driver and its library are loaded only then.
 * Throws RegistryError `invalid` with the URL (without secrets), what is wrong and the allowed forms; for `file:` also
 * `unreachable` or `denied` when the folder cannot be used.
 */
export function openRegistry(url: string, options: OpenRegistryOptions = {}): Registry {
  const urls = splitUrls(url);
  if (urls.length < 2) return openOne(urls[0] ?? url, options);
  const twice = urls.find((one, i) => urls.indexOf(one) !== i);
  if (twice !== undefined)
    throw new RegistryError("invalid", `registry ${JSON.stringify(redactUrl(twice))} is given twice`);
  return new SeveralRegistries(
    urls.map((one) => openOne(one, options)),
    options,
  );
}

function splitUrls(text: string): string[] {
  // A blank without a scheme after it is an error within a URL; its driver reports it.
  return text.trim().split(/\s+(?=[a-z]+:)/);
}

function openOne(url: string, options: OpenRegistryOptions): Registry {
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
