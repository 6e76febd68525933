/** Of the replies of the disk. */
export const Code = {
  DONE: 0,
  UPLOAD_NORMALLY: -1,
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
  /** Between the services only. */
  FULL: 10_012,
  /** Not of the server: no reply came. */
  NETWORK: -1000,
} as const;
