/** The Login every target calls, with a request of exactly the wanted size. */

export const loginName = Buffer.from("zhang san");

/** Replies to requests larger than this carry the password back, as the echo does; smaller ones are the classic four bytes. */
const echoAboveBytes = 1024;

/**
 * A request of `payloadBytes` (20 or more): two bytes fields, of which the second makes up the size. One byte short where
 * no such request exists, as at 141, because the length of the second field would then need a byte more.
 */
export function loginRequest(payloadBytes: number): { name: Buffer; pwd: Buffer } {
  const rest = payloadBytes - 2 - loginName.length - 1;
  // The varint of the length takes one byte more from 2^7, 2^14 and 2^21 on.
  const lengthBytes = [1, 2, 3, 4].find((bytes) => rest - bytes < 2 ** (7 * bytes)) ?? 4;
  return { name: loginName, pwd: Buffer.alloc(rest - lengthBytes, "1") };
}

export function loginResponse(request: { pwd: Uint8Array }): {
  result: { errcode: number; errmsg: Uint8Array };
  success: boolean;
} {
  const errmsg = request.pwd.length > echoAboveBytes ? request.pwd : noBytes;
  return { result: { errcode: 0, errmsg }, success: true };
}

const noBytes = Buffer.alloc(0);

/** The same for peers that speak JSON: as text, of the size the protobuf request has. */
export interface JsonRequest {
  name: string;
  pwd: string;
}

export function jsonRequest(payloadBytes: number): JsonRequest {
  return { name: loginName.toString(), pwd: loginRequest(payloadBytes).pwd.toString() };
}

export function jsonResponse({ pwd }: JsonRequest): {
  result: { errcode: number; errmsg: string };
  success: boolean;
} {
  return { result: { errcode: 0, errmsg: pwd.length > echoAboveBytes ? pwd : "" }, success: true };
}
