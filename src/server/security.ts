import type { Accounts } from "../auth/account.js";
import type { Authenticator } from "../auth/authenticator.js";
import { Guard } from "../auth/guard.js";
import { jwtAuthenticator } from "../auth/jwt.js";
import { Policy } from "../auth/policy.js";
import { parseTokens, type StaticTokens, staticTokens } from "../auth/token-file.js";
import { WatchedFile } from "../auth/watched-file.js";
import { messages } from "../error/messages.js";
import type { ServiceDefinition } from "../protobuf/types.js";
import type { Runtime } from "../runtime/runtime.js";
import { type KnownKinds, tellOfChange, tellOfRules } from "./rule-hints.js";

/** A provider's options for identities and policy; they override the conf. */
export interface SecurityOptions {
  readonly authenticators: readonly Authenticator[];
  readonly policy: Policy | undefined;
  /** What the provider serves, its built-in services among them. */
  readonly served: readonly ServiceDefinition[];
}

/** A provider's guard with the files it uses. */
export interface OpenedSecurity {
  readonly guard: Guard;
  close(): void;
}

const everybody = new Policy([]);

/** The initial guard, without authenticators and with an empty policy: everybody may call. */
export function openGuard(
  { clock, log, events, settings }: Runtime,
  accounts: Accounts,
  policy = everybody,
  authenticators: readonly Authenticator[] = [],
): Guard {
  const { checkTimeoutMs } = settings.auth;
  return new Guard({ clock, log, events, accounts, policy, authenticators, checkTimeoutMs });
}

function knownKinds({ transport, settings }: Runtime, authenticators: readonly Authenticator[]): KnownKinds {
  const { tokensFile, jwt } = settings.auth;
  const byFile = [tokensFile === undefined ? [] : ["token"], jwt === undefined ? [] : ["jwt"]].flat();
  return {
    // Every provider may be reached within its process, or by a unix socket.
    proved: new Set(["inproc", "unix", ...(transport.callerKinds ?? []), ...byFile]),
    hasOwnAuthenticators: authenticators.length > 0,
    anyTransport: transport.callerKinds === undefined,
  };
}

/**
 * Reads the policy, the tokens and the keys that the conf names, and again when they change. Rejects for a file that cannot be read or
 * parsed: a provider whose rules cannot be read does not start.
 */
export async function openSecurity(
  runtime: Runtime,
  accounts: Accounts,
  options: SecurityOptions,
): Promise<OpenedSecurity> {
  const { clock, log } = runtime;
  const { policy: source, tokensFile, jwt } = runtime.settings.auth;
  const kinds = knownKinds(runtime, options.authenticators);
  const closers: Array<() => void> = [];
  const opened: { guard?: Guard } = {};
  const onTokens = (): void => opened.guard?.forgetTokens();
  try {
    let { policy } = options;
    if (policy === undefined && source !== undefined) {
      const onPolicy = (changed: Policy): void => {
        if (opened.guard !== undefined) tellOfChange(opened.guard.policy, changed, log);
        tellOfRules(changed, options.served, kinds, log);
        opened.guard?.setPolicy(changed);
      };
      const file = new WatchedFile(
        source.file,
        source.parse,
        { clock, log, setting: source.setting ?? "auth.policy" },
        onPolicy,
      );
      closers.push(() => file.close());
      policy = file.value;
    }
    const authenticators = [...options.authenticators];
    if (tokensFile !== undefined) {
      const parse = (text: string): StaticTokens => parseTokens(text, tokensFile);
      const parts = { clock, log, setting: "auth.tokens", secret: true };
      const file = new WatchedFile(tokensFile, parse, parts, onTokens);
      closers.push(() => file.close());
      authenticators.push(staticTokens(() => file.value));
    }
    if (jwt !== undefined) {
      const { authenticate, close } = await jwtAuthenticator(jwt, runtime, onTokens);
      closers.push(close);
      authenticators.push(authenticate);
    }
    if (policy !== undefined) tellOfRules(policy, options.served, kinds, log);
    else if (tokensFile !== undefined || jwt !== undefined) log.warn(messages.tokensWithoutRules);
    if (options.policy !== undefined && source !== undefined) log.warn(messages.rulesNotUsed(source.file));
    const guard = openGuard(runtime, accounts, policy, authenticators);
    opened.guard = guard;
    closers.push(() => guard.close());
    return { guard, close: () => closers.forEach((close) => void close()) };
  } catch (error) {
    for (const close of closers) close();
    throw error;
  }
}
