import { isOf } from "../../base/thrown.js";
import { RpcError } from "../../error/rpc-error.js";
import { Status } from "../../error/status.js";
import { reasonOf } from "../errors.js";

/** Why etcd does not do what it was asked, for people, with what to change. */
export class EtcdRefusal extends Error {
  override readonly name = "EtcdRefusal";
  /** Permissions are missing: it will not pass by itself. */
  readonly denied: boolean;

  constructor(message: string, denied: boolean, cause?: unknown) {
    super(message, { cause });
    this.denied = denied;
  }
}

const credentialsAdvice = "name a user with user= and a file that holds the password with passwordfile=";

/** `error` of a call, for people. `folder`: what the keys begin with. */
export function explainFailure(error: unknown, folder: string): Error {
  if (!isOf(error, RpcError)) return error instanceof Error ? error : new Error(reasonOf(error));
  const { code, rawMessage: said } = error;
  const text = said.replace(/^etcdserver: /, "") || error.message;
  if (code === Status.PERMISSION_DENIED) {
    const grant = `etcdctl role grant-permission ROLE readwrite --prefix=true ${folder}`;
    return new EtcdRefusal(`${text}; the user lacks a permission, such as ${grant} gives`, true, error);
  }
  if (/authentication failed/.test(said)) {
    const advice = "change user= or the file of passwordfile= in the registry URL";
    return new EtcdRefusal(`${text}; ${advice}`, true, error);
  }
  if (/user name is empty/.test(said))
    return new EtcdRefusal(`etcd asks who you are (${text}); ${credentialsAdvice}`, true, error);
  if (code === Status.UNIMPLEMENTED)
    return new Error(
      `it speaks gRPC but is not etcd (${text}); name the client port of etcd, which is 2379 by default`,
    );
  return new Error(text, { cause: error });
}

/** The token is not known any more: it was not used for long, or that member was started again, or the rules have changed. */
export function isTokenOver(error: unknown): boolean {
  if (!isOf(error, RpcError)) return false;
  return (
    error.code === Status.UNAUTHENTICATED ||
    /revision in header is old|invalid auth token/.test(error.rawMessage)
  );
}

/** The lease a key was to be bound to is gone. */
export function isLeaseGone(error: unknown): boolean {
  const cause = error instanceof Error && isOf(error.cause, RpcError) ? error.cause : error;
  return isOf(cause, RpcError) && cause.code === Status.NOT_FOUND && /lease not found/.test(cause.rawMessage);
}

/** Permissions are missing. */
export function isDenied(error: unknown): boolean {
  return error instanceof EtcdRefusal && error.denied;
}
