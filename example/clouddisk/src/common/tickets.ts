import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Database } from "../dbproxy/client.js";
import { Code, Refusal } from "./codes.js";

/**
 * What a ticket allows: `upload` and `download` stand for a user's token at the servers of bodies, `file` is a signed URL
 * for one file.
 */
export interface Ticket {
  kind: "upload" | "download" | "file";
  userId: number;
  username: string;
  expiresAtMs: number;
  /** The sign-in it was made for, `sessionOf` its token: the ticket ends with it. */
  session: string;
  /** Only of `file`. */
  fileHash?: string;
  /** Only of `file`: what the file is saved as. */
  fileName?: string;
}

/** What a session is called wherever its token must not be: SHA-256 as hex. */
export function sessionOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Signs tickets with HMAC-SHA-256, `base64url(JSON).base64url(signature)`, and checks them. */
export class Tickets {
  readonly #key: () => Promise<string>;
  #loaded: Promise<string> | undefined;

  /** `secret` undefined: the one kept in the database, made by the first who asks. */
  constructor(database: Database, secret: string | undefined) {
    this.#key = async () => {
      if (secret !== undefined) return secret;
      const proposed = randomBytes(32).toString("base64url");
      return (await database.run("secret.get", { name: "tickets", proposed })).value;
    };
  }

  async sign(ticket: Ticket): Promise<string> {
    const body = Buffer.from(JSON.stringify(ticket)).toString("base64url");
    return `${body}.${(await this.#signature(body)).toString("base64url")}`;
  }

  /** Throws Refusal (10005) for one that is not ours, of another kind, or expired. Whether its session lives is not asked. */
  async verify(text: string, kind: Ticket["kind"]): Promise<Ticket> {
    const [body = "", signature = "", ...more] = text.split(".");
    const given = Buffer.from(signature, "base64url");
    const expected = await this.#signature(body);
    if (more.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new Refusal(Code.TOKEN, "the ticket is not valid");
    }
    const ticket = JSON.parse(Buffer.from(body, "base64url").toString()) as Ticket;
    if (ticket.kind !== kind)
      throw new Refusal(Code.TOKEN, `the ticket is for ${ticket.kind}, not for ${kind}`);
    if (ticket.expiresAtMs <= Date.now()) throw new Refusal(Code.TOKEN, "the ticket has expired");
    return ticket;
  }

  async #signature(body: string): Promise<Buffer> {
    this.#loaded ??= this.#key().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return createHmac("sha256", await this.#loaded)
      .update(body)
      .digest();
  }
}
