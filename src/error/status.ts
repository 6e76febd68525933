/** The closed set of status codes: gRPC's seventeen, with the same numbers and names. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusName = keyof typeof Status;
export type StatusCode = (typeof Status)[StatusName];

const names = Object.keys(Status) as StatusName[];

/** The name of a code; codes outside the set read as UNKNOWN, as in gRPC. */
export function statusName(code: number): StatusName {
  return names[code] ?? "UNKNOWN";
}

/** A number from the wire as a code of the set; anything else is UNKNOWN. */
export function toStatusCode(code: number): StatusCode {
  return (code >= 0 && code < names.length && Number.isInteger(code) ? code : Status.UNKNOWN) as StatusCode;
}
