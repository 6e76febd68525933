import { peerName } from "./kinds.js";
import { type Key, type KeyRow, type Sections, toRows } from "./schema.js";

const prefix = "service.";

/** The keys of `[service.NAME]`, which say what is so for one service only. */
const serviceKeys = {
  "tls.peername": {
    kind: peerName,
    fallback: "",
    doc: "Whom channels take for a provider of this service, instead of tls.peername.",
    docZh: "调用端认可的该服务提供者身份，取代 tls.peername。",
  },
} satisfies Readonly<Record<string, Key<unknown>>>;

/** What the configuration says of single services, by their names as they stand there. */
export type ServiceValues = Readonly<Record<string, { readonly "tls.peername"?: string }>>;

/** `[service.fixbug.UserServiceRpc]`, or with the short name. */
export function isServiceSection(section: string): boolean {
  return /^service\.[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/.test(section);
}

export function serviceOf(section: string): string {
  return section.slice(prefix.length);
}

/** The row of a key in a section that `isServiceSection`; undefined: there is no such key. */
export function serviceRow(section: string, key: string): KeyRow | undefined {
  const sections: Sections = { [section]: serviceKeys };
  return toRows(sections).find((row) => row.key === key);
}

/** The row of a flag's name, `service.fixbug.UserServiceRpc.tls.peername`. */
export function serviceFlagRow(name: string): KeyRow | undefined {
  const key = Object.keys(serviceKeys).find((one) => name.endsWith(`.${one}`));
  const section = key === undefined ? "" : name.slice(0, -key.length - 1);
  return key !== undefined && isServiceSection(section) ? serviceRow(section, key) : undefined;
}
