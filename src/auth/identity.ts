/** Kinds of identities proved by the transport. Tokens must not claim them. */
export const transportKinds: readonly string[] = ["spiffe", "dns", "secret", "unix", "inproc"];

/** All kinds that a provider can prove by itself: authenticators of a program may give others. */
export const ownKinds: readonly string[] = [...transportKinds, "token", "jwt"];

/** Longer identities are refused, since they are compared, logged and stored. */
export const identityMaxLength = 1024;

const identityPattern = /^[a-z][a-z0-9.-]*:./s;

/** Whether `text` is an identity with its kind: `jwt:https://idp.example.com#alice`. */
export function isIdentity(text: unknown): text is string {
  return typeof text === "string" && text.length <= identityMaxLength && identityPattern.test(text);
}

/** `jwt` of `jwt:https://idp.example.com#alice`. */
export function kindOf(identity: string): string {
  return identity.slice(0, identity.indexOf(":"));
}

/**
 * Whether `pattern`, in which `*` is any run of characters, an empty one included, matches all of `text`. It takes at most
 * pattern length times text length steps.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let from = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (from < text.length) {
    if (at < pattern.length && pattern[at] === "*") {
      starAt = at++;
      resumeAt = from;
    } else if (at < pattern.length && pattern[at] === text[from]) {
      at++;
      from++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      from = ++resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
