import type { FastifyInstance } from "fastify";
import { answer } from "../common/answer.js";
import { type EntryAddress, entryAddress } from "../common/entry-address.js";
import type { CreatePart } from "../common/part.js";
import { Tickets } from "../common/tickets.js";
import { tracedLogger } from "../common/trace.js";
import { openStore } from "../store/index.js";
import { digestOf } from "./digest.js";
import { DownloadService } from "./gen/download.js";
import { addDownloadRoutes } from "./routes.js";
import { ContentSource } from "./source.js";

/** Gives files to those who hold them. */
export const createDownload: CreatePart = async (host) => {
  const log = tracedLogger(host.app.log, "download");
  const store = await openStore(host.settings);
  const source = new ContentSource(host, store);
  const tickets = new Tickets(host.database, host.settings.secret);
  const entry: EntryAddress = entryAddress(host, "download");
  return {
    name: "download",
    log,
    notify(provider) {
      provider.notifyService(DownloadService, {
        downloadEntry: ({ userId, username }) =>
          answer(async () => {
            const expiresAtMs = Date.now() + host.settings.upload.ticketTtlMs;
            const ticket = await tickets.sign({
              kind: "download",
              userId: Number(userId),
              username,
              expiresAtMs,
            });
            return { entry: entry.url(), ticket, expiresAtMs };
          }),
        digest: (request) => answer(async () => ({ digest: await digestOf(source, request) })),
      });
    },
    async routes(http: FastifyInstance) {
      entry.servedBy(http);
      await addDownloadRoutes(http, { host, source, tickets });
    },
    stop: () => store.close(),
  };
};
