/** `camel`: `user_id` becomes `userId`; `keep`: as in the .proto. */
export type FieldNames = "camel" | "keep";

/** Words that cannot name a const, a class or an interface, and names generated code itself uses. */
const takenTypeNames = new Set(
  (
    "break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if import in instanceof new null return super switch this throw true try typeof var void while with " +
    "as implements interface let package private protected public static yield await async of arguments eval " +
    "any unknown never object string number boolean bigint symbol undefined type declare namespace module " +
    "Object Array ReadonlyArray Map ReadonlyMap Promise Buffer Uint8Array Readonly Record Iterable Number NaN " +
    "Infinity globalThis " +
    "CallContext CallOptions MapInput MessageType Reader RpcController StubChannel Writer " +
    "arrayOf checkEnum checkMessage defineFile defineService emptyBytes entriesOf invokeStub isEnumValue listOf longMapOf mapOf " +
    "missingField needsMprpc optional same nestingMax TimestampParts timestampGiven toBuffer tooDeep unknownCase given " +
    "BigInt input oneof before part entry message writer reader depth end into tag value key stop mark request context controller options second third"
  ).split(" "),
);

/** Names every object has: a field of such a name would be found on a message that does not set it. */
const takenMemberNames = new Set([...Object.getOwnPropertyNames(Object.prototype), "toJSON"]);

/** A type's name in TypeScript: `Outer.Inner` is `Outer_Inner`; a name that is taken gets a `$`. */
export function typeName(shortName: string): string {
  const name = shortName.replaceAll(".", "_");
  return takenTypeNames.has(name) ? `${name}$` : name;
}

/** A field's or oneof's name in TypeScript. */
export function fieldName(name: string, style: FieldNames): string {
  const local = style === "camel" ? jsonName(name) : name;
  return takenMemberNames.has(local) ? `${local}$` : local;
}

/** The name of protobuf's JSON mapping: an underscore goes, what follows it is upper case. */
export function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

/** `rpc GetFriendsList` -> `getFriendsList`. `then` would make an awaited stub call it; `constructor` is the class's own. */
export function methodName(name: string): string {
  const camel = jsonName(name);
  const local = camel.slice(0, 1).toLowerCase() + camel.slice(1);
  return local === "then" || takenMemberNames.has(local) ? `${local}$` : local;
}

/** A property key as written in an object literal or an interface. */
export function propertyKey(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) && name !== "__proto__" ? name : `[${JSON.stringify(name)}]`;
}
