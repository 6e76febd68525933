import type { RegistryDeps } from "./deps.js";
import { RegistryError } from "./errors.js";
import { FileRegistry, type FileRegistryOptions } from "./file/registry.js";
import type { Registry } from "./registry.js";
import { StaticRegistry, staticForms } from "./static.js";
import { parseDurationMs, redactUrl } from "./url.js";

/** What the URL itself does not say. */
export interface OpenRegistryOptions extends RegistryDeps {
  /**
   * Where the last good lists are kept for a start without the registry server; false keeps none. Default:
   * `$XDG_CACHE_HOME/mprpc` or `~/.cache/mprpc`. ZooKeeper only.
   */
  snapshotFolder?: string | false;
}

const fileForms =
  "file: (a private folder of this user) or file:/absolute/folder, with ?poll=1s and ?events=off";
const forms = [fileForms, staticForms];

/**
 * The registry a URL names. Nothing is connected before the first use, and a driver's library is loaded only then.
 * Throws RegistryError `invalid` with the URL (without secrets), what is wrong and the allowed forms; for `file:` also
 * `unreachable` or `denied` when the folder cannot be used.
 */
export function openRegistry(url: string, options: OpenRegistryOptions = {}): Registry {
  const scheme = /^([a-z]+):/.exec(url)?.[1];
  switch (scheme) {
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

function openFile(url: string, options: OpenRegistryOptions): FileRegistry {
  const fail = (text: string) =>
    new RegistryError("invalid", `registry ${JSON.stringify(url)}: ${text}; allowed: ${fileForms}`);
  const [, path = "", search = ""] = /^file:(?:\/\/(?=\/|$|\?))?([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  if (path !== "" && !path.startsWith("/")) throw fail(`the folder ${JSON.stringify(path)} is not absolute`);
  const fileOptions: FileRegistryOptions = { ...options };
  if (path !== "") fileOptions.folder = decodePath(path, fail);
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

function decodePath(path: string, fail: (text: string) => RegistryError): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw fail(`the folder ${JSON.stringify(path)} has a "%" that is no escape; write it as %25`);
  }
}
