import { UsageError } from "./command.js";
import { type ProviderAddress, parseProviderAddress } from "./provider-address.js";

/** What a command is to call, as it was typed. */
export interface Target {
  /** Ask this provider instead of the registry. */
  readonly address: ProviderAddress | undefined;
  readonly service: string;
  readonly method: string;
  /** SERVICE and METHOD when they were one word: it may be all a service's name. */
  readonly word: string | undefined;
}

const identifier = /^[A-Za-z_]\w*$/;
const jsonWords: ReadonlySet<string> = new Set(["true", "false", "null"]);

/**
 * `[HOST:PORT] SERVICE METHOD ...`, where SERVICE and METHOD may be one word with a `.` or a `/` between them; what follows
 * is left. Throws `UsageError`.
 */
export function readTarget(positionals: readonly string[]): { target: Target; rest: readonly string[] } {
  const [first = "", ...others] = positionals;
  const address = parseProviderAddress(first);
  const words = address === undefined ? positionals : others;
  const [word = "", second, third] = words;
  if (word === "")
    throw new UsageError("expected [HOST:PORT] SERVICE METHOD [JSON], or SERVICE.METHOD in one word");
  if (second !== undefined && identifier.test(second) && !jsonWords.has(second)) {
    if (address === undefined && third !== undefined && identifier.test(third) && !jsonWords.has(third)) {
      throw new UsageError(
        `the request is not JSON: ${third}; if that is METHOD, before SERVICE comes HOST:PORT, such as 127.0.0.1:8000, not ${JSON.stringify(word)}`,
      );
    }
    return { target: { address, service: word, method: second, word: undefined }, rest: words.slice(2) };
  }
  if (address === undefined && second !== undefined && /^[A-Za-z_][\w.]*[./]\w+$/.test(second)) {
    throw new UsageError(
      `before SERVICE.METHOD comes HOST:PORT, such as 127.0.0.1:8000, not ${JSON.stringify(word)}`,
    );
  }
  const split = splitMethod(word);
  if (split === undefined) {
    const [, where, what] = /^([^/]+:\d+)\/(.+)$/.exec(word) ?? [];
    if (where !== undefined && what !== undefined) {
      throw new UsageError(`HOST:PORT is a word of its own: write ${where} ${what}`);
    }
    throw new UsageError(
      `METHOD is missing: write SERVICE METHOD, SERVICE.METHOD or SERVICE/METHOD, not ${JSON.stringify(word)}`,
    );
  }
  return { target: { address, ...split, word }, rest: words.slice(1) };
}

/** `fixbug.UserServiceRpc/Login` or `fixbug.UserServiceRpc.Login`, also with gRPC's `/` before it. */
export function splitMethod(text: string): { service: string; method: string } | undefined {
  const [, service, method] = /^\/?([\w.]+)[./](\w+)$/.exec(text) ?? [];
  return service === undefined || method === undefined ? undefined : { service, method };
}
