import type { FastifyRequest } from "fastify";
import type { Host, ServiceName } from "./part.js";

/**
 * The origin clients reach a service at, for what they are told to open: `publicurl` of the service; in a process with the gateway,
 * whose server it shares, that of the gateway; and else what the request says. There X-Forwarded-Proto, -Host and -For count,
 * but only those of `[apigw] trustedproxies` (`createHttp` says so to fastify), and Host for everybody else. All that is made
 * of an origin comes through here.
 */
export function publicOrigin(
  { settings, services }: Host,
  request: FastifyRequest,
  service: Extract<ServiceName, "apigw" | "upload" | "download">,
): string {
  const shared = services.includes("apigw") ? settings.apigw.publicUrl : undefined;
  return settings[service].publicUrl ?? shared ?? `${request.protocol}://${request.host}`;
}

/** Whether browsers come over HTTPS only: the cookie is for nothing else then, and they are told to remember it. */
export function isSecure({ settings }: Host): boolean {
  const { secureCookie, publicUrl } = settings.apigw;
  return secureCookie || publicUrl?.startsWith("https:") === true;
}
