import type { CreatePart } from "../common/part.js";
import { tracedLogger } from "../common/trace.js";
import type { Listening } from "../events/disk-events.js";
import { userChanged } from "../events/topics.js";
import { Feed, feedPollMs } from "./feed.js";
import { Files } from "./files.js";
import { FileService, UserService } from "./gen/account.js";
import { Purger } from "./purger.js";
import { Users } from "./users.js";

const stopGraceMs = 1_000;

/** Users, sessions, and the names of their files. */
export const createAccount: CreatePart = (host) => {
  const log = tracedLogger(host.app.log, "account");
  const purger = new Purger(host.database, log);
  const feed = new Feed(host.database, log);
  const users = new Users(host.database, host.settings.account, feed);
  const files = new Files(host.database, purger, feed);
  let listening: Listening | undefined;
  return {
    name: "account",
    log,
    notify(provider) {
      provider.notifyService(UserService, users.handlers());
      provider.notifyService(FileService, files.handlers());
    },
    async start() {
      feed.start();
      listening = host.events?.listen(
        userChanged,
        {},
        ({ userId, sessionEnded }) => feed.changed(Number(userId), sessionEnded),
        (up) => {
          feed.pollMs = up ? host.settings.sweepMs : feedPollMs;
        },
      );
      // dbproxy may come later: the call waits for it, the start does not.
      users.makeOperator().catch((error: unknown) => {
        log.warn("the operator was not made ([account] operator)", { error });
      });
    },
    async stop() {
      await listening?.stop(stopGraceMs);
      await feed.stop();
      await purger.stop();
    },
  };
};
