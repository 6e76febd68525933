import { messages } from "../../error/messages.js";

/** What the error codes of OpenSSL and Node.js mean, and the key that fixes the problem. */
const meanings: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", messages.certificateExpired],
  ["CERT_NOT_YET_VALID", messages.certificateNotYetValid],
  ["CERT_REVOKED", messages.certificateRevoked],
  ["UNABLE_TO_GET_CRL", messages.crlMissing],
  ["UNABLE_TO_GET_CRL_ISSUER", messages.crlMissing],
  ["CRL_HAS_EXPIRED", messages.crlExpired],
  ["CRL_NOT_YET_VALID", messages.crlExpired],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", messages.certificateSelfSigned],
  ["SELF_SIGNED_CERT_IN_CHAIN", messages.certificateUntrusted],
  ["UNABLE_TO_GET_ISSUER_CERT", messages.certificateUntrusted],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", messages.certificateUntrusted],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", messages.certificateUntrusted],
  ["CERT_SIGNATURE_FAILURE", messages.certificateUntrusted],
  ["CERT_UNTRUSTED", messages.certificateUntrusted],
  ["INVALID_CA", messages.certificateUntrusted],
  ["INVALID_PURPOSE", messages.certificatePurpose],
  ["ERR_SSL_WRONG_VERSION_NUMBER", messages.notTls],
  ["ERR_SSL_PACKET_LENGTH_TOO_LONG", messages.notTls],
  ["ERR_SSL_UNEXPECTED_MESSAGE", messages.notTls],
  ["ERR_SSL_HTTP_REQUEST", messages.notTls],
  ["ERR_SSL_UNSUPPORTED_PROTOCOL", messages.tlsVersionTooLow],
  ["ERR_SSL_VERSION_TOO_LOW", messages.tlsVersionTooLow],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", messages.tlsVersionTooLow],
  ["ERR_SSL_NO_SHARED_CIPHER", messages.noSharedCipher],
  ["ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM", messages.noSharedCipher],
  ["ERR_SSL_NO_SUITABLE_KEY_SHARE", messages.noSharedCipher],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", messages.noSharedCipher],
  ["ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE", messages.noSharedCipher],
  ["ERR_SSL_NO_APPLICATION_PROTOCOL", messages.noAlpn],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", messages.noAlpn],
  ["ERR_SSL_BINDER_DOES_NOT_VERIFY", messages.secretKeyDiffers],
  ["ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR", messages.secretKeyDiffers],
  ["ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER", messages.secretKeyDiffers],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", messages.certificateRefused],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", messages.certificateRefused],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", messages.certificateRefused],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", messages.certificateRefused],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", messages.certificateRefused],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", messages.clientCertificateWanted],
]);

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}

/** The explanation if the code is known, followed by the code. */
export function explainTls(error: unknown): string {
  const code = codeOf(error);
  const meaning = meanings.get(code);
  if (meaning !== undefined) return `${meaning} (${code})`;
  return code !== "" ? code : error instanceof Error ? error.message : String(error);
}

/** For an error in the middle of a connection. */
export function explainTlsError(error: Error): Error {
  const meaning = meanings.get(codeOf(error));
  return meaning === undefined ? error : new Error(explainTls(error), { cause: error });
}
