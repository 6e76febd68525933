import type { FastifyInstance } from "fastify";

class Unfit extends Error {
  override readonly name = "Unfit";
  readonly statusCode: 400 | 415;

  constructor(statusCode: 400 | 415, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** One host, by name or address, and its port: nothing else belongs into the URLs that are made of it. */
const hostPattern = /^(\[[\da-f:.]+\]|[\w.~-]+)(:\d{1,5})?$/i;

/** Of heads that different readers would understand differently. */
export function addRequestChecks(http: FastifyInstance): void {
  http.addHook("onRequest", (request, reply, done) => {
    const { headers, rawHeaders } = request.raw;
    const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
    if (hosts > 1 || (headers.host !== undefined && !hostPattern.test(headers.host))) {
      return done(new Unfit(400, "the request must name one host, and nothing but it"));
    }
    const encoding = headers["content-encoding"] ?? "identity";
    if (encoding.trim().toLowerCase() === "identity") return done();
    // Hashes and lengths are of the bytes as they come, and a few of these could become any number of others.
    reply.header("accept-encoding", "identity");
    done(
      new Unfit(
        415,
        `a body is taken as it is: Content-Encoding may be identity only, not ${encoding.slice(0, 40)}`,
      ),
    );
  });
}
