/** Files that the cases import. */
export const helpers: Readonly<Record<string, string>> = {
  "dep.proto": `syntax = "proto2"; package dep; message M { optional int32 a = 1; extensions 100 to 200; } enum E { E0 = 0; E1 = 1; }
    message Inner { message Deep {} enum DE { D = 0; } }`,
  "closed1.proto": `syntax = "proto2"; enum Closed { ONE = 1; }`,
  "lite.proto": `syntax = "proto2"; option optimize_for = LITE_RUNTIME; message Lite { extensions 1 to 9; }`,
  "via.proto": `syntax = "proto3"; import public "dep.proto";`,
  "not_public.proto": `syntax = "proto3"; import "dep.proto"; message NP { dep.M m = 1; }`,
  "three.proto": `syntax = "proto3"; package three; enum Open { O = 0; } message T {}`,
  "local.proto": `edition = "2024"; package loc; local message Hidden {} export message Shown { message Nested {} export message Out {} local enum LE { LE_UNKNOWN = 0; } } local enum HE { HE_UNKNOWN = 0; }`,
  "opts.proto": `syntax = "proto2"; package o; import "google/protobuf/descriptor.proto"; import "google/protobuf/any.proto";
    enum Color { RED = 0; BLUE = 1; NEG = -1; }
    message Req { required int32 r = 1; optional int32 x = 2; }
    message Msg { optional int32 i = 1; repeated int32 ri = 2; optional Msg m = 3; repeated Msg rm = 4; optional string s = 5;
      oneof k { int32 k1 = 6; int32 k2 = 7; Msg km = 16; } optional Color c = 8; optional group Grp = 9 { optional int32 g = 1; }
      optional google.protobuf.Any any = 10; map<string, int32> map = 11; optional float f = 12; optional bool b = 13; optional bytes by = 14;
      optional Req req = 15; extensions 100 to 200; reserved "gone"; reserved 50; optional uint64 u64 = 17; repeated string rs = 18; repeated int32 pk = 19 [packed = true]; optional MSet ms = 20; }
    message MSet { option message_set_wire_format = true; extensions 4 to max; }
    message Item { extend MSet { optional Item item = 77; } optional int32 v = 1; }
    extend Msg { optional int32 ext = 100; optional Msg ext_msg = 101; repeated int32 ext_rep = 102; }
    extend google.protobuf.FileOptions { optional Msg file = 50001; optional int32 fi = 50002; repeated int32 fri = 50003 [packed = true]; repeated Msg frm = 50004; optional uint32 fu = 50005; optional string fs = 50006;
      optional double fd = 50007; optional Color fc = 50008; optional bool fb = 50009; optional bytes fby = 50010; optional float ff = 50011; optional sint64 fs64 = 50012; optional fixed32 ff32 = 50013; optional uint64 fu64 = 50014; optional int64 fi64 = 50015; optional Req freq = 50016; optional group FGrp = 50017 { optional int32 g = 1; } optional MSet fms = 50018; repeated Color frc = 50019; }
    extend google.protobuf.MessageOptions { optional Msg message = 50001; optional int32 only_field = 50002 [targets = TARGET_TYPE_FIELD]; optional int32 only_message = 50003 [targets = TARGET_TYPE_MESSAGE]; optional int32 hidden = 50004 [retention = RETENTION_SOURCE]; }
    extend google.protobuf.FieldOptions { optional Msg field = 50001; optional int32 field_only = 50002 [targets = TARGET_TYPE_MESSAGE]; }
    extend google.protobuf.EnumOptions { optional Msg enum = 50001; } extend google.protobuf.EnumValueOptions { optional Msg value = 50001; }
    extend google.protobuf.OneofOptions { optional Msg oneof = 50001; } extend google.protobuf.ServiceOptions { optional Msg service = 50001; }
    extend google.protobuf.MethodOptions { optional Msg method = 50001; } extend google.protobuf.ExtensionRangeOptions { optional Msg range = 50001; }`,
  "decl.proto": `syntax = "proto2"; package d; message D { extensions 10 to 20 [declaration = { number: 10, full_name: ".d.ten", type: "int32" },
    declaration = { number: 11, full_name: ".d.eleven", type: ".d.D" }, declaration = { number: 12, reserved: true }, declaration = { number: 13, full_name: ".d.many", type: "string", repeated: true }];
    extensions 30 to 40 [verification = DECLARATION]; extensions 50 to 60 [verification = UNVERIFIED]; }`,
};

/** A file of the given syntax or edition. */
export const p2 = (text: string): string => `syntax = "proto2";\n${text}`;
export const p3 = (text: string): string => `syntax = "proto3";\n${text}`;
export const e23 = (text: string): string => `edition = "2023";\n${text}`;
export const e24 = (text: string): string => `edition = "2024";\n${text}`;
export const e26 = (text: string): string => `edition = "2026";\n${text}`;
export const opt = (text: string): string => p2(`import "opts.proto";\n${text}`);

export const numbered = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join(" ");
