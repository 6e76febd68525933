import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance } from "fastify";
import { Code, Refusal } from "../common/codes.js";
import type { CreatePart, Host } from "../common/part.js";
import { tracedLogger } from "../common/trace.js";
import { addApiRoutes } from "./api-routes.js";
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
        await addLimits(limited, host, gateway);
        addLegacyRoutes(limited, gateway);
        addApiRoutes(limited, gateway, health);
      });
      for (const kind of ["upload", "download"] as const) {
        if (host.services.includes(kind)) continue;
        await http.register(async (redirects) => addRedirects(redirects, gateway, kind));
      }
    },
  };
};

/**
 * So many requests a minute from one address, and as many of one user from wherever. Each gateway counts for itself.
 * Servers of bodies are not limited: a big file has many parts.
 */
async function addLimits(http: FastifyInstance, host: Host, gateway: Gateway): Promise<void> {
  const max = host.settings.apigw.requestsPerMinute;
  const tooMany = (what: string, limit: number, afterS: number): Refusal =>
    new Refusal(
      Code.TOO_MANY,
      `too many requests of this ${what}: at most ${limit} a minute (apigw.requestsperminute); try again in ${afterS} s`,
    );
  await http.register(rateLimit, {
    max,
    timeWindow: 60_000,
    cache: 10_000,
    ipv6Subnet: 64,
    errorResponseBuilder: (_request, { max: limit, ttl }) => tooMany("address", limit, Math.ceil(ttl / 1000)),
  });
  const ofUser = http.createRateLimit({
    max,
    timeWindow: 60_000,
    keyGenerator: async (request) => `user ${(await gateway.user(request)).userId}`,
  });
  http.addHook("preHandler", async (request, reply) => {
    if (["/user/signup", "/user/signin", "/api/signout"].includes(request.routeOptions.url ?? "")) return;
    const state = await ofUser(request);
    if (state.isAllowed || !state.isExceeded) return;
    reply.header("retry-after", String(state.ttlInSeconds));
    throw tooMany("user", max, state.ttlInSeconds);
  });
}
