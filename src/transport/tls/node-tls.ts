/** Node's TLS, loaded at its first use: it takes half a megabyte, which a process without TLS need not pay. */
export function nodeTls(): typeof import("node:tls") {
  return process.getBuiltinModule("node:tls");
}
