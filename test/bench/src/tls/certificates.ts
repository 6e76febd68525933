import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const hourMs = 3_600_000;

/** Writes `cert.pem` and `key.pem` of one machine's providers, good for an hour; it is its own authority. */
export async function writeCertificate(folder: string): Promise<void> {
  const crypto = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0];
  x509.cryptoProvider.set(crypto);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: "01", name: "CN=bench", keys, signingAlgorithm: algorithm },
      notBefore: new Date(Date.now() - hourMs),
      notAfter: new Date(Date.now() + hourMs),
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
    },
    crypto,
  );
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  writeFileSync(path.join(folder, "cert.pem"), certificate.toString("pem"));
  writeFileSync(path.join(folder, "key.pem"), x509.PemConverter.encode(key, "PRIVATE KEY"), { mode: 0o600 });
}
