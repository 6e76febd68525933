import { parseDurationMs } from "../../values/duration.js";
import { RegistryError } from "../errors.js";
import { decodedPart } from "../url-part.js";
import type { FileRegistryOptions } from "./registry.js";

export const fileForms =
  "file: (a private folder of this user) or file:/absolute/folder, with ?poll=1s and ?events=off";

export function isFileUrl(url: string): boolean {
  return /^file:(?:\/\/)?(?:[/?]|$)/.test(url);
}

/** What the URL says over `options`. Throws RegistryError `invalid`. */
export function fileOptions(url: string, options: FileRegistryOptions): FileRegistryOptions {
  const fail = (text: string) =>
    new RegistryError("invalid", `registry ${JSON.stringify(url)}: ${text}; allowed: ${fileForms}`);
  const [, path = "", search = ""] = /^file:(?:\/\/(?=\/|$|\?))?([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  if (path !== "" && !path.startsWith("/")) throw fail(`the folder ${JSON.stringify(path)} is not absolute`);
  const result: FileRegistryOptions = { ...options };
  if (path !== "") result.folder = decodedPart(path, "the folder", fail);
  for (const [key, value] of new URLSearchParams(search)) {
    if (key === "poll") {
      const pollMs = parseDurationMs(value);
      if (pollMs === undefined || pollMs < 10) throw fail(`poll=${value} is not a time of 10ms or more`);
      result.pollMs = pollMs;
    } else if (key === "events") {
      if (value !== "on" && value !== "off") throw fail(`events=${value} is not on or off`);
      result.fileEvents = value === "on";
    } else throw fail(`unknown option ${JSON.stringify(key)} (known: poll, events)`);
  }
  return result;
}
