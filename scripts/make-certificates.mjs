// `node scripts/make-certificates.mjs FOLDER` writes certificates for a demonstration, good for a day: ca.crt, and provider and
// caller with a .crt and a .key each. The authority's key is written nowhere.
import "reflect-metadata";
import { webcrypto as crypto } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("Usage: node scripts/make-certificates.mjs FOLDER");
  process.exit(2);
}
x509.cryptoProvider.set(crypto);
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dates = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
const makeKeys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

const caKeys = await makeKeys();
const ca = await x509.X509CertificateGenerator.createSelfSigned({
  ...{
    serialNumber: "01",
    name: "CN=mprpc demo authority",
    ...dates,
    keys: caKeys,
    signingAlgorithm: algorithm,
  },
  extensions: [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ],
});
writeFileSync(path.join(folder, "ca.crt"), ca.toString("pem"));

for (const [at, name] of ["provider", "caller"].entries()) {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    ...{ serialNumber: `1${at}`, subject: `CN=${name}`, issuer: ca.subject, ...dates },
    ...{ publicKey: keys.publicKey, signingKey: caKeys.privateKey, signingAlgorithm: algorithm },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: `${name}.example` }])],
  });
  writeFileSync(path.join(folder, `${name}.crt`), certificate.toString("pem"));
  const key = x509.PemConverter.encode(
    await crypto.subtle.exportKey("pkcs8", keys.privateKey),
    "PRIVATE KEY",
  );
  const file = path.join(folder, `${name}.key`);
  // A file that is there keeps its mode.
  rmSync(file, { force: true });
  writeFileSync(file, key, { mode: 0o600, flag: "wx" });
}
