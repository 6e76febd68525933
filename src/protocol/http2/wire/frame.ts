/** Types of frames, RFC 9113 section 6. Others are passed over. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = {
  /** Of DATA and HEADERS. */
  END_STREAM: 0x1,
  /** Of SETTINGS and PING. */
  ACK: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** RFC 9113 section 7. */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const errorNames = Object.keys(ErrorCode);

/** `REFUSED_STREAM`, or `0x1f` for a code that has no name. */
export function errorName(code: number): string {
  return errorNames[code] ?? `0x${code.toString(16)}`;
}

/** RFC 9113 section 6.5.2. */
export const SettingId = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** What a client sends first, before its SETTINGS. */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const frameHeaderBytes = 9;
/** The largest payload that every peer takes, and that we announce, bytes. */
export const defaultMaxFrameBytes = 16_384;
/** No side may announce more, bytes. */
export const largestMaxFrameBytes = 0xff_ffff;
/** The window of a stream and of the connection before anything is agreed, bytes. */
export const defaultWindowBytes = 65_535;
export const windowMaxBytes = 0x7fff_ffff;
export const streamIdMax = 0x7fff_ffff;
/** HPACK's dynamic table before anything is agreed, bytes. */
export const defaultTableBytes = 4096;

/** Ends the connection: GOAWAY with `code`. */
export class ConnectionError {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string) {
    this.code = code;
    this.reason = reason;
  }
}
