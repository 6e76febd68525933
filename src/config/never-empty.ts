const file = "a file";

/**
 * Given empty, as by a template whose variable is not set, each of these would leave a provider open or in clear without a word. By their
 * names, with what is expected.
 */
const neverEmpty: Readonly<Record<string, string>> = {
  "auth.policy": file,
  "auth.tokens": file,
  "auth.jwks": "a file or an https URL",
  "auth.secrets": file,
  "tls.ca": file,
  "tls.cert": file,
  "tls.key": file,
  "tls.crl": file,
  "tls.passphrase": "file:FILE",
};

/** What is expected of a key that must not be given empty; undefined: it may be. */
export function expectedOfEmpty(name: string | undefined, inVariable = false): string | undefined {
  const expected = name === undefined || !Object.hasOwn(neverEmpty, name) ? undefined : neverEmpty[name];
  return expected === undefined
    ? undefined
    : `${expected}; to do without it ${inVariable ? "unset the variable" : "leave the key out"}`;
}
