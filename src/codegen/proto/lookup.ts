import type { FileScope, Pool, Symbol_ } from "./symbols.js";

/** What a name means where it is used; `undefined` with what could be said about it otherwise. */
export interface Found {
  readonly symbol: Symbol_ | undefined;
  /** Declared, but in a file that is not imported. */
  readonly hidden?: Symbol_ | undefined;
  /** The first part of the name was found further in, where the rest of it is not. */
  readonly resolved?: string | undefined;
}

/**
 * protobuf's rule: the first part of a name is searched from the innermost scope outwards, and where it names a scope, the
 * rest has to be there. `user` is the full name of what uses the name; its scope is what the search begins with.
 */
export function lookup(
  pool: Pool,
  file: FileScope,
  name: string,
  user: string,
  { typesOnly = false, inOptions = false } = {},
): Found {
  let hidden: Symbol_ | undefined;
  const find = (fullName: string): Symbol_ | undefined => {
    const symbol = pool.symbols.get(fullName);
    if (symbol === undefined) return undefined;
    if (isVisible(symbol, file, inOptions)) return symbol;
    hidden ??= symbol;
    return undefined;
  };
  if (name.startsWith(".")) return { symbol: find(name.slice(1)), hidden };
  const dot = name.indexOf(".");
  const first = dot < 0 ? name : name.slice(0, dot);
  for (let end = user.lastIndexOf("."); end >= 0; end = user.lastIndexOf(".", end - 1)) {
    const scope = user.slice(0, end + 1);
    const symbol = find(scope + first);
    if (symbol === undefined) continue;
    if (dot >= 0) {
      if (!isScope(symbol)) continue;
      const whole = find(scope + name);
      return { symbol: whole, hidden, resolved: whole === undefined ? scope + name : undefined };
    }
    if (!typesOnly || symbol.kind === "message" || symbol.kind === "enum") return { symbol, hidden };
    if (end === 0) break;
  }
  const symbol = find(name);
  const around = dot < 0 ? undefined : pool.symbols.get(first);
  const missing = symbol === undefined && around !== undefined && isScope(around);
  return { symbol, hidden, resolved: missing ? name : undefined };
}

function isScope({ kind }: Symbol_): boolean {
  return kind === "package" || kind === "message" || kind === "enum" || kind === "service";
}

function isVisible(symbol: Symbol_, file: FileScope, inOptions: boolean): boolean {
  const visible = inOptions ? file.visibleToOptions : file.visible;
  if (visible.has(symbol.file)) {
    if (symbol.file !== file && symbol.kind !== "package") file.used.add(symbol.file);
    return true;
  }
  if (symbol.kind !== "package") return false;
  // A package belongs to every file that is in it.
  return file.packages.has(symbol.fullName);
}
