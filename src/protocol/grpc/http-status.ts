import { Status, type StatusCode } from "../../error/status.js";
import { ErrorCode } from "../http2/wire/frame.js";

/** What a response without `grpc-status` means, by its HTTP status. */
export function codeOfHttp(status: string): StatusCode {
  switch (status) {
    case "400":
      return Status.INTERNAL;
    case "401":
      return Status.UNAUTHENTICATED;
    case "403":
      return Status.PERMISSION_DENIED;
    case "404":
      return Status.UNIMPLEMENTED;
    case "429":
    case "502":
    case "503":
    case "504":
      return Status.UNAVAILABLE;
    default:
      return Status.UNKNOWN;
  }
}

/** What RST_STREAM from a server means. */
export function codeOfReset(code: number): StatusCode {
  switch (code) {
    case ErrorCode.REFUSED_STREAM:
      return Status.UNAVAILABLE;
    case ErrorCode.CANCEL:
      return Status.CANCELLED;
    case ErrorCode.ENHANCE_YOUR_CALM:
      return Status.RESOURCE_EXHAUSTED;
    case ErrorCode.INADEQUATE_SECURITY:
      return Status.PERMISSION_DENIED;
    default:
      return Status.INTERNAL;
  }
}
