import {
  ConnectionError,
  defaultMaxFrameBytes,
  defaultTableBytes,
  defaultWindowBytes,
  ErrorCode,
  largestMaxFrameBytes,
  SettingId,
  windowMaxBytes,
} from "./wire/frame.js";

/** We send no larger frames, whatever the peer takes, so that others get their turn, bytes. */
const maxFrameUsedBytes = 1024 * 1024;

/** What the peer's SETTINGS say. */
export class PeerSettings {
  tableBytes = defaultTableBytes;
  windowBytes = defaultWindowBytes;
  maxFrameBytes = defaultMaxFrameBytes;
  /** Undefined: it does not say. */
  streamsMax: number | undefined = undefined;
  headerListMaxBytes = Number.POSITIVE_INFINITY;
}

/** Reads `buffer[start..end)`, the payload of SETTINGS. Returns what is wrong with a value. */
export function applySettings(
  settings: PeerSettings,
  buffer: Buffer,
  start: number,
  end: number,
): ConnectionError | undefined {
  for (let at = start; at < end; at += 6) {
    const wrong = applyOne(settings, buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function applyOne(settings: PeerSettings, id: number, value: number): ConnectionError | undefined {
  switch (id) {
    case SettingId.HEADER_TABLE_SIZE:
      settings.tableBytes = value;
      break;
    case SettingId.ENABLE_PUSH:
      if (value > 1) return new ConnectionError(ErrorCode.PROTOCOL_ERROR, `ENABLE_PUSH of ${value}`);
      break;
    case SettingId.MAX_CONCURRENT_STREAMS:
      settings.streamsMax = value;
      break;
    case SettingId.INITIAL_WINDOW_SIZE:
      if (value > windowMaxBytes) {
        return new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, `INITIAL_WINDOW_SIZE of ${value}`);
      }
      settings.windowBytes = value;
      break;
    case SettingId.MAX_FRAME_SIZE:
      if (value < defaultMaxFrameBytes || value > largestMaxFrameBytes) {
        return new ConnectionError(ErrorCode.PROTOCOL_ERROR, `MAX_FRAME_SIZE of ${value}`);
      }
      settings.maxFrameBytes = Math.min(value, maxFrameUsedBytes);
      break;
    case SettingId.MAX_HEADER_LIST_SIZE:
      settings.headerListMaxBytes = value;
      break;
    default:
    // Those of extensions are passed over.
  }
  return undefined;
}
