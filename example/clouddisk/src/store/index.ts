import path from "node:path";
import type { Settings } from "../common/settings.js";
import { LocalStore } from "./local-store.js";
import type { ObjectStore } from "./store.js";

/**
 * Opens the store `[store] url` names: a folder, or an S3-compatible one, whose client is loaded only then. Throws Error that names the key;
 * a store that is away is not noticed here.
 */
export async function openStore({
  store,
  dataFolder,
}: Pick<Settings, "store" | "dataFolder">): Promise<ObjectStore> {
  if (store.url === "local:" || store.url.startsWith("local:/")) {
    const folder = store.url.slice("local:".length);
    return LocalStore.open(folder === "" ? path.join(dataFolder, "store") : folder);
  }
  if (!/^https?:\/\//.test(store.url)) {
    throw new Error(
      `[store] url: expected local:, local:/folder or http(s)://host:port, found ${JSON.stringify(store.url)}`,
    );
  }
  const { S3Store } = await import("./s3-store.js");
  return new S3Store(store);
}
