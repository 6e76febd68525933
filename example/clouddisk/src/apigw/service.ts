import { Code } from "../common/codes.js";
import type { CreatePart } from "../common/part.js";
import { addRateLimits } from "../common/rate-limits.js";
import { tracedLogger } from "../common/trace.js";
import { addApiRoutes } from "./api-routes.js";
import { addEventRoutes } from "./events.js";
import { Gateway } from "./gateway.js";
import { addLegacyRoutes } from "./legacy-routes.js";
import { addPages, findWebFolder } from "./pages.js";
import { addRedirects } from "./redirects.js";
import { checkedBy } from "./schemas.js";
import { ServiceHealth } from "./services.js";

/** What browsers and programs talk to: the API, the web page, and the way to the servers of bodies. */
export const createApigw: CreatePart = (host) => {
  const log = tracedLogger(host.app.log, "apigw");
  const gateway = new Gateway(host, log);
  const health = new ServiceHealth(host);
  return {
    name: "apigw",
    log,
    notify() {},
    async routes(http) {
      http.get("/healthz", checkedBy.health, async () => ({ code: Code.DONE, msg: "ok" }));
      http.get("/openapi.json", { schema: { hide: true } }, async () => http.swagger());
      await http.register((pages) => addPages(pages, host, findWebFolder()));
      await http.register(async (limited) => {
        await addRateLimits(limited, {
          max: host.settings.apigw.requestsPerMinute,
          key: "apigw.requestsperminute",
          userOf: async (request) => (await gateway.user(request)).userId,
          withoutUser: ["/user/signup", "/user/signin", "/api/signup", "/api/signout"],
        });
        addLegacyRoutes(limited, gateway);
        addApiRoutes(limited, gateway, health);
        addEventRoutes(limited, gateway);
      });
      for (const kind of ["upload", "download"] as const) {
        if (host.services.includes(kind)) continue;
        await http.register(async (redirects) => addRedirects(redirects, gateway, kind));
      }
    },
  };
};
