import type { FastifyInstance } from "fastify";
import { RpcError, Status } from "mprpc";
import { answer } from "../common/answer.js";
import { type EntryAddress, entryAddress } from "../common/entry-address.js";
import { NodeAnnouncement, OnNode } from "../common/nodes.js";
import type { CreatePart } from "../common/part.js";
import { Tickets } from "../common/tickets.js";
import { tracedLogger } from "../common/trace.js";
import { openStore } from "../store/index.js";
import { digestOf } from "./digest.js";
import { type DigestRequest, DownloadService } from "./gen/download.js";
import { addDownloadRoutes } from "./routes.js";
import { ContentSource, NotNow } from "./source.js";

/** Gives files to those who hold them. */
export const createDownload: CreatePart = async (host) => {
  const log = tracedLogger(host.app.log, "download");
  const store = await openStore(host.settings);
  const source = new ContentSource(host, store);
  const tickets = new Tickets(host.database, host.settings.secret);
  const entry: EntryAddress = entryAddress(host, "download");
  const announcement = new NodeAnnouncement(host, "download", entry, log);
  const digest = async (request: DigestRequest): Promise<{ digest: string }> => {
    try {
      return { digest: await digestOf(source, request) };
    } catch (error) {
      if (!(error instanceof NotNow || error instanceof OnNode)) throw error;
      throw new RpcError(Status.UNAVAILABLE, error.message, { cause: error });
    }
  };
  return {
    name: "download",
    log,
    notify(provider) {
      provider.notifyService(DownloadService, {
        downloadEntry: ({ userId, username, session }) =>
          answer(async () => {
            const expiresAtMs = Date.now() + host.settings.upload.ticketTtlMs;
            const ticket = await tickets.sign({
              kind: "download",
              userId: Number(userId),
              username,
              expiresAtMs,
              session,
            });
            return { entry: entry.url(), ticket, expiresAtMs };
          }),
        digest: (request) => answer(() => digest(request)),
      });
    },
    async routes(http: FastifyInstance) {
      entry.servedBy(http);
      await addDownloadRoutes(http, { host, source, tickets });
    },
    async start() {
      announcement.start();
      // Nothing hangs on it: what was not stored yet is served without it.
      store.sizeOf("0".repeat(64)).catch((error: unknown) => {
        log.warn(`the store is not reachable ([store] url): ${String(error)}`);
      });
    },
    async stop() {
      await announcement.stop();
      await store.close();
    },
  };
};
