/** Google's well-known types, so that they can be imported with nothing installed. Fields as in Google's own files. */
const bodies: Readonly<Record<string, string>> = {
  any: `
// A message of any type, with its name: see anyPack and anyUnpack of mprpc/codec.
message Any {
  // The full type name after a prefix: \`type.googleapis.com/fixbug.LoginRequest\`.
  string type_url = 1;
  // The encoded message.
  bytes value = 2;
}
`,
  duration: `
// A span of time: see durationFromMs and durationToMs of mprpc/codec.
message Duration {
  // Whole seconds.
  int64 seconds = 1;
  // The rest, of the same sign: -999999999 to 999999999.
  int32 nanos = 2;
}
`,
  empty: `
// A message without fields.
message Empty {}
`,
  field_mask: `
// A set of field paths.
message FieldMask {
  // Paths like \`user.display_name\`.
  repeated string paths = 1;
}
`,
  struct: `
// A JSON object: see structFromJson and structToJson of mprpc/codec.
message Struct {
  map<string, Value> fields = 1;
}

// A JSON value.
message Value {
  oneof kind {
    NullValue null_value = 1;
    double number_value = 2;
    string string_value = 3;
    bool bool_value = 4;
    Struct struct_value = 5;
    ListValue list_value = 6;
  }
}

// JSON's null.
enum NullValue {
  NULL_VALUE = 0;
}

// A JSON array.
message ListValue {
  repeated Value values = 1;
}
`,
  timestamp: `
// A point in time: see timestampFromDate and timestampToDate of mprpc/codec.
message Timestamp {
  // Seconds since 1970-01-01T00:00:00Z.
  int64 seconds = 1;
  // Nanoseconds after that second: 0 to 999999999.
  int32 nanos = 2;
}
`,
  wrappers: ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"]
    .map(
      (name) =>
        `\n// A ${name.toLowerCase()} that can be absent.\nmessage ${name}Value {\n  ${name.toLowerCase()} value = 1;\n}\n`,
    )
    .join(""),
};

/** By import name: `google/protobuf/any.proto`. */
export const wellKnownProtos: ReadonlyMap<string, string> = new Map(
  Object.entries(bodies).map(([name, body]) => [
    `google/protobuf/${name}.proto`,
    `syntax = "proto3";\n\npackage google.protobuf;\n${body}`,
  ]),
);
