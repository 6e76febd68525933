import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { Code, Refusal } from "./codes.js";

export interface RateLimits {
  /** Requests a minute from one address, and as many of one user from wherever. */
  max: number;
  /** The key of the configuration. */
  key: string;
  userOf(request: FastifyRequest): Promise<number>;
  /** Routes nobody is signed in at. */
  withoutUser: readonly string[];
}

/** Limits the routes registered on `http` from here on. Each process counts for itself. */
export async function addRateLimits(
  http: FastifyInstance,
  { max, key, userOf, withoutUser }: RateLimits,
): Promise<void> {
  const tooMany = (what: string, limit: number, afterS: number): Refusal =>
    new Refusal(
      Code.TOO_MANY,
      `too many requests of this ${what}: at most ${limit} a minute (${key}); try again in ${afterS} s`,
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
    keyGenerator: async (request) => `user ${await userOf(request)}`,
  });
  http.addHook("preHandler", async (request, reply) => {
    if (withoutUser.includes(request.routeOptions.url ?? "")) return;
    const state = await ofUser(request);
    if (state.isAllowed || !state.isExceeded) return;
    reply.header("retry-after", String(state.ttlInSeconds));
    throw tooMany("user", max, state.ttlInSeconds);
  });
}
