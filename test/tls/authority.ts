import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import { canary, watchSecret } from "../tools/leaks/secrets.js";

const { subtle } = webcrypto;
const crypto = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0];
x509.cryptoProvider.set(crypto);
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

export interface CertificateWishes {
  readonly dns?: readonly string[];
  readonly uris?: readonly string[];
  readonly ips?: readonly string[];
  readonly commonName?: string;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
}

export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly serial: string;
}

let serials = 0;

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const pem = x509.PemConverter.encode(await subtle.exportKey("pkcs8", key), "PRIVATE KEY");
  // The first line of it is alike in all keys.
  watchSecret(pem.split("\n")[2] as string);
  return pem;
}

function namesOf({ dns = [], uris = [], ips = [] }: CertificateWishes): x509.Extension[] {
  const names = [
    ...dns.map((value) => ({ type: "dns" as const, value })),
    ...uris.map((value) => ({ type: "url" as const, value })),
    ...ips.map((value) => ({ type: "ip" as const, value })),
  ];
  return names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)];
}

function validity({ from = -1, to = 30 }: CertificateWishes): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() + from * dayMs), notAfter: new Date(Date.now() + to * dayMs) };
}

/** Makes certificates as tests want them, none of which is any good outside. */
export class Authority {
  readonly cert: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.cert = certificate.toString("pem");
  }

  static async make(name = "Test Authority"): Promise<Authority> {
    const keys = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      {
        serialNumber: (++serials).toString(16).padStart(8, "0"),
        name: `CN=${name}`,
        ...validity({}),
        keys,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(true, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
      },
      crypto,
    );
    return new Authority(certificate, keys);
  }

  /** An intermediate authority, whose certificate this one has signed. */
  async below(name: string): Promise<Authority> {
    const keys = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const certificate = await x509.X509CertificateGenerator.create(
      {
        serialNumber: (++serials).toString(16).padStart(8, "0"),
        subject: `CN=${name}`,
        issuer: this.#certificate.subject,
        ...validity({}),
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(true, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        ],
      },
      crypto,
    );
    return new Authority(certificate, keys);
  }

  async issue(wishes: CertificateWishes = { dns: ["users.example"] }): Promise<Issued> {
    const keys = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const serial = (++serials).toString(16).padStart(8, "0");
    const certificate = await x509.X509CertificateGenerator.create(
      {
        serialNumber: serial,
        subject: `CN=${wishes.commonName ?? "node"}`,
        issuer: this.#certificate.subject,
        ...validity(wishes),
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [new x509.BasicConstraintsExtension(false, undefined, true), ...namesOf(wishes)],
      },
      crypto,
    );
    return { cert: certificate.toString("pem"), key: await pemOf(keys.privateKey), serial };
  }

  /** The list of what this authority has revoked. */
  async revoke(...serialNumbers: readonly string[]): Promise<string> {
    const crl = await x509.X509CrlGenerator.create(
      {
        issuer: this.#certificate.subject,
        thisUpdate: new Date(Date.now() - dayMs),
        nextUpdate: new Date(Date.now() + 30 * dayMs),
        signingAlgorithm: algorithm,
        signingKey: this.#keys.privateKey,
        entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
      },
      crypto,
    );
    return x509.PemConverter.encode(crl.rawData, "X509 CRL");
  }
}

/** A certificate that nobody but itself vouches for. */
export async function selfSigned(wishes: CertificateWishes): Promise<Issued> {
  const keys = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const serial = (++serials).toString(16).padStart(8, "0");
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: serial, name: "CN=self", ...validity(wishes), keys, signingAlgorithm: algorithm },
      extensions: namesOf(wishes),
    },
    crypto,
  );
  return { cert: certificate.toString("pem"), key: await pemOf(keys.privateKey), serial };
}

/** A line of a secrets file, as `mprpc secret` makes them, whose key must not be seen. */
export const secretLine = (name: string): string => `${name}:${canary()}`;

/** Writes a file that only its owner may read. */
export function writeSecret(folder: string, name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  chmodSync(file, 0o600);
  return file;
}
