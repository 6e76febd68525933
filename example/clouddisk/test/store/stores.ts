import type { Settings } from "../../src/common/settings.js";
import { SwiftServer } from "../support/swift.js";

interface OpenedStore {
  settings: Settings["store"];
  close: () => Promise<void>;
}

/** The stores the conformance suite runs on. */
export const stores = [
  {
    name: "a store in a folder",
    async open(folder: string): Promise<OpenedStore> {
      const settings = {
        url: `local:${folder}/objects`,
        bucket: "",
        region: "",
        accessKey: "",
        secretKey: "",
      };
      return { settings, close: async () => {} };
    },
  },
  {
    name: "an S3 store",
    async open(): Promise<OpenedStore> {
      const server = await SwiftServer.start();
      return { settings: server.settings("clouddisk"), close: () => server.close() };
    },
  },
];
