/** The codes of the HTTP API and of the replies between the services. */
export const Code = {
  /** Done, in the replies of files; signup and signin say `OK`. */
  DONE: 0,
  /** Upload it the ordinary way. */
  UPLOAD_NORMALLY: -1,
  /** Not yet: parts are missing, a hash differs, a proof is wanted, somebody else is at it. */
  RETRY: -2,
  OK: 10_000,
  PARAMETER: 10_001,
  SERVER: 10_002,
  SIGNUP: 10_003,
  SIGNIN: 10_004,
  TOKEN: 10_005,
  NO_SUCH_USER: 10_006,
  NOT_FOUND: 10_007,
  CONFLICT: 10_008,
  QUOTA: 10_009,
  TOO_MANY: 10_010,
  FORBIDDEN: 10_011,
  /** Between the services; clients are told SERVER, with the status 507. */
  FULL: 10_012,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** What is done by HTTP's own status for a code; the body carries the code all the same. */
export function httpStatus(code: number): number {
  switch (code) {
    case Code.PARAMETER:
      return 400;
    case Code.SERVER:
      return 500;
    case Code.SIGNIN:
    case Code.TOKEN:
      return 401;
    case Code.FORBIDDEN:
      return 403;
    case Code.NOT_FOUND:
    case Code.NO_SUCH_USER:
      return 404;
    case Code.SIGNUP:
    case Code.CONFLICT:
      return 409;
    case Code.QUOTA:
      return 413;
    case Code.TOO_MANY:
      return 429;
    case Code.FULL:
      return 507;
    default:
      return 200;
  }
}

/** Ends a request with a code; HTTP handlers and RPC handlers turn it into their own kind of reply. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: number;
  /** Goes into the reply beside code and message. */
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(code: number, message: string, data?: Readonly<Record<string, unknown>>) {
    super(message);
    this.code = code;
    this.data = data;
  }
}
