import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Host } from "../common/part.js";

/** Beside the compiled gateway, or, when that runs from source, where the build puts it all the same. */
export function findWebFolder(): string | undefined {
  return ["../web", "../../dist/web"]
    .map((relative) => fileURLToPath(new URL(relative, import.meta.url)))
    .find((folder) => existsSync(`${folder}/index.html`));
}

/** The page hashes in a worker with WebAssembly, shows previews from blobs, and downloads several large files in hidden frames. */
export function policyOf({ services }: Pick<Host, "services">): string {
  const together = services.includes("upload") && services.includes("download");
  // Split, servers of bodies have addresses that only the registry knows.
  const bodies = together ? "'self'" : "'self' http: https:";
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "font-src 'self' data:",
    `img-src ${bodies} data: blob:`,
    `media-src ${bodies} blob:`,
    `frame-src ${bodies} blob:`,
    `connect-src ${bodies} blob:`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Cloud disk</title>
<h1>The web page is not built</h1>
<p>Run <code>npm run build</code> in example/clouddisk and start it again. The HTTP API works without it: <a href="/openapi.json">/openapi.json</a>.</p>
</html>`;

/** The web page. Its routes are read at the start: a page built later is served after a restart. */
export async function addPages(http: FastifyInstance, host: Host, folder: string | undefined): Promise<void> {
  const csp = policyOf(host);
  // Assets too: a worker has the policy of its own file.
  http.addHook("onRequest", async (_request, reply) => {
    reply.header("content-security-policy", csp);
  });
  const page = (reply: FastifyReply): FastifyReply => {
    reply.headers({
      "cross-origin-opener-policy": "same-origin",
      "cache-control": "no-cache",
    });
    if (folder === undefined) return reply.code(503).type("text/html; charset=utf-8").send(notBuilt);
    return reply.sendFile("index.html", { cacheControl: false });
  };
  if (folder !== undefined) {
    await http.register(fastifyStatic, {
      root: folder,
      wildcard: false,
      index: false,
      cacheControl: false,
      schemaHide: true,
      setHeaders(response, file) {
        if (file.endsWith(".html")) return;
        // Names of assets change with their content.
        const hashed = /[\\/]assets[\\/]/.test(file);
        response.setHeader("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
      },
    });
  }
  for (const url of ["/", "/user/signup", "/user/signin"]) {
    http.get(url, { schema: { hide: true } }, async (_request, reply) => page(reply));
  }
}
