/** `camel`: `user_id` becomes `userId`; `keep`: as in the .proto. */
export type FieldNames = "camel" | "keep";

/** Words that cannot name a const, a class, an interface or a type, and names generated code itself uses. */
const takenTypeNames = new Set(
  (
    "break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if import in instanceof new null return super switch this throw true try typeof var void while with " +
    "as implements interface let package private protected public static yield await async of arguments eval " +
    "any unknown never object string number boolean bigint symbol undefined type declare namespace module " +
    "abstract accessor asserts assert constructor defer from get global infer intrinsic is keyof out override " +
    "readonly require satisfies set unique using " +
    "Object Array ReadonlyArray Map ReadonlyMap Promise Buffer Uint8Array Readonly Record Iterable Number String NaN " +
    "Infinity globalThis AsyncIterable " +
    "CallContext CallOptions Extension IncomingStream MapInput MessageSource MessageType Reader RpcController " +
    "StubChannel TopicDefinition Writer TimestampParts " +
    "arrayOf checkEnum checkMessage defineExtension defineFile defineService defineTopic emptyBytes entriesOf invokeStreamStub invokeStub " +
    "isEnumValue keyedMapOf listOf longOf mapOf required toSafeNumber missingField needsMprpc optional same nestingMax timestampGiven toBuffer " +
    "tooDeep unknownCase unknownFields withUnknown given BigInt input oneof before part entry message writer reader " +
    "depth end into tag value key stop start mark request requests context controller options second third"
  ).split(" "),
);

/** Names every object has: a field of such a name would be found on a message that does not set it. */
const takenMemberNames = new Set([...Object.getOwnPropertyNames(Object.prototype), "toJSON"]);

/** A type's name in TypeScript: `Outer.Inner` is `Outer_Inner`; a name that is taken gets a `$`. */
export function typeName(shortName: string): string {
  const name = shortName.replaceAll(".", "_");
  return takenTypeNames.has(name) ? `${name}$` : name;
}

/** A name of ours that nothing in `taken` has yet: `$` is what no .proto can have in a name. It is taken then. */
export function claim(taken: Set<string>, wanted: string): string {
  let name = wanted;
  while (taken.has(name)) name += "$";
  taken.add(name);
  return name;
}

/**
 * Names in TypeScript for the members of one message, oneof or service. Two that would be the same, such as `foo_bar` and
 * `fooBar`, stay apart: the one that is spelled that way keeps it, and the other gets a `$`.
 */
export function memberNames(names: readonly string[], localNameOf: (name: string) => string): string[] {
  const wanted = names.map(localNameOf);
  const taken = new Set<string>();
  const result: string[] = new Array(names.length);
  for (const exact of [true, false]) {
    names.forEach((name, i) => {
      if ((name === wanted[i]) === exact) result[i] = claim(taken, wanted[i] as string);
    });
  }
  return result;
}

/** A field's, oneof's or extension's name in TypeScript. */
export function fieldName(name: string, style: FieldNames): string {
  const local = style === "camel" ? jsonName(name) : name;
  return takenMemberNames.has(local) || local === "" ? `${local}$` : local;
}

/** The name of protobuf's JSON mapping: an underscore goes, what follows it is upper case. */
export function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

/** `rpc GetFriendsList` -> `getFriendsList`. `then` would make an awaited stub call it; `constructor` is the class's own. */
export function methodName(name: string): string {
  const camel = jsonName(name);
  const local = camel.slice(0, 1).toLowerCase() + camel.slice(1);
  return local === "then" || local === "" || takenMemberNames.has(local) ? `${local}$` : local;
}

/** A property key as written in an object literal or an interface. */
export function propertyKey(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) && name !== "__proto__" ? name : `[${JSON.stringify(name)}]`;
}
