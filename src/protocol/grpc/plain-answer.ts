import type { Http2Stream } from "../http2/stream.js";
import { HeaderKind, type HeaderList } from "../http2/wire/header-field.js";

/** What a request that is not a gRPC call is told, in plain HTTP. */
export interface PlainAnswer {
  readonly status: string;
  readonly text: string;
  /** Methods that would be served, of a 405. */
  readonly allow?: string;
}

/**
 * Answers at once: what is still to come of the request is not needed, and is reset with NO_ERROR (RFC 9113, section 8.1). Waiting
 * for its end would let anybody hold a provider that drains. A caller whose windows have no room for the text gets the status alone,
 * for the same reason, and HEAD gets no text at all.
 */
export function answerPlainly(
  stream: Http2Stream,
  request: HeaderList,
  { status, text, allow }: PlainAnswer,
): void {
  const body = Buffer.from(text, "utf8");
  const wantsBody = request.valueOf(HeaderKind.METHOD) !== "HEAD";
  const fits = body.length <= stream.sendWindow && body.length <= stream.session.sendWindow;
  const about = [
    { name: "content-type", value: "text/plain; charset=utf-8" },
    { name: "content-length", value: String(body.length) },
  ];
  stream.headers(
    undefined,
    [
      { name: ":status", value: status },
      ...(fits ? about : []),
      ...(allow === undefined ? [] : [{ name: "allow", value: allow }]),
    ],
    !fits || !wantsBody,
  );
  if (fits && wantsBody) stream.write(body, true);
}
