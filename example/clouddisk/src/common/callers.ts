import { type CallContext, RpcError, type ServerInterceptor, Status } from "mprpc";
import type { ServiceName } from "./part.js";

/** The services that may call each RPC service, by its name without the package. */
const mayCall: Readonly<Record<string, readonly ServiceName[]>> = {
  DBProxyService: ["account", "apigw", "upload", "download", "transfer"],
  UserService: ["apigw", "upload", "download"],
  FileService: ["apigw", "upload", "download"],
  UploadService: ["apigw", "upload"],
  DownloadService: ["apigw", "download"],
  TransferService: ["upload", "download", "apigw"],
};

/** Those that sign or check tickets and URLs, and so may have the secret that signs them. */
const mayReadSecrets: readonly ServiceName[] = ["apigw", "upload", "download"];

/** Who may call, besides the services of this disk; `[clouddisk] callers`. */
export type Callers = "services" | "any";

/**
 * Whether the other end is one of `services`. A process of this user on this machine, in this process or on a unix socket that only
 * this user can open, may be any of them; one that has proved a service's secret is that service; any other is a stranger.
 */
function isOneOf(services: readonly ServiceName[], identity: string | undefined): boolean {
  if (identity === undefined) return false;
  if (identity === "inproc:node" || identity.startsWith("unix:")) return true;
  return services.some((name) => identity === `secret:${name}`);
}

function refusal(what: string, { peer }: CallContext): RpcError {
  const who = peer.identities.transport ?? `nobody in particular (${peer.address})`;
  return new RpcError(Status.PERMISSION_DENIED, `${who} may not call ${what} ([clouddisk] callers)`);
}

/** Refuses whoever is no service of this disk, or one that has no business here. */
export function onlyServices(callers: Callers): ServerInterceptor {
  return (next) => (call) => {
    if (callers === "any") return next(call);
    const { method, peer } = call.context;
    const services = mayCall[method.service.split(".").at(-1) ?? ""] ?? [];
    if (!isOneOf(services, peer.identities.transport)) throw refusal(method.fullName, call.context);
    return next(call);
  };
}

/** Throws PERMISSION_DENIED for an action that the caller may not ask dbproxy for. */
export function checkActions(names: readonly string[], callers: Callers, context: CallContext): void {
  if (callers === "any") return;
  const secret = names.find((name) => name.startsWith("secret."));
  if (secret === undefined || isOneOf(mayReadSecrets, context.peer.identities.transport)) return;
  throw refusal(secret, context);
}
