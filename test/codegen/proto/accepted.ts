import { e23, e24, e26, numbered, opt, p2, p3 } from "./cases.js";

/** What protoc accepts. */
export const accepted: readonly string[] = [
  "",
  ";",
  p3("message A { ".repeat(31) + "}".repeat(31)),
  p2(`message A { ${"optional group B = 1 { ".repeat(30)}${"}".repeat(31)}`),
  p2(""),
  `syntax = 'proto' "3"; message A {}`,
  p3(`;;; message A { ; } ; enum E { ; A0 = 0; ; } service S { ; }`),
  p3(`message A { int32 a = 0x10; int32 b = 010; }`),
  p3(`message A { optional int32 a = 1; optional A b = 2; oneof _c { int32 _a = 3; } int32 _b = 4; }`),
  p3(
    `message message { .message message = 1; string string = 2; .message.enum enum_ = 3; enum enum { message_ = 0; } }`,
  ),
  p2(
    `message A { optional int32 optional = 1; required int32 required = 2; repeated int32 repeated = 3; optional int32 max = 4; optional int32 to = 5; optional int32 default = 6; optional int32 map = 7; optional int32 oneof = 8; optional int32 inf = 9; optional int32 reserved = 10; }`,
  ),
  p2(`message map {} message A { optional map m = 1; repeated map n = 2; map<string, map> o = 3; }`),
  p2(
    `message A { oneof o { group G = 1 { optional int32 x = 1; } A a = 2; } optional group H = 3 [deprecated = true] { extensions 5; } }`,
  ),
  p2(
    `message A { optional double a = 1 [default = 077]; optional double b = 2 [default = - 5]; optional float c = 3 [default = -inf]; optional double d = 4 [default = nan]; optional double e = 5 [default = -nan]; optional float f = 6 [default = 1e40]; optional double g = 7 [default = 0x10]; optional double h = 8 [default = 99999999999999999999]; optional float i = 9 [default = 0.1]; optional double j = 10 [default = 0.1]; optional double k = 11 [default = -0.0]; optional float l = 12 [default = 16777217]; optional double m = 13 [default = .5]; optional double n = 14 [default = 5.]; optional double o = 15 [default = 1e+3]; optional double p = 16 [default = 123456789012345678]; optional float q = 17 [default = 1.17549435e-38]; optional double r = 18 [default = -0]; optional float s = 19 [default = 3.4028235e38]; optional float t = 20 [default = 1e-50]; }`,
  ),
  p2(
    `message A { optional int32 a = 1 [default = - 1]; optional int64 b = 2 [default = -9223372036854775808]; optional uint64 c = 3 [default = 0xffffffffffffffff]; optional int32 d = 4 [default = -0x80000000]; optional sint32 e = 5 [default = 017]; optional int32 f = 6 [default = -0]; }`,
  ),
  p2(
    `message A { optional string a = 1 [default = "abc" "def" 'g"h']; optional string b = 2 [default = "\\u00e9\\xc3\\xa9\\303\\251\\n\\?\\'\\"\\\\\\a\\U0001F600\\ud83d\\ude00"]; optional bytes c = 3 [default = "日本\\0\\xff\\t'\\""]; optional bool d = 4 [default = true]; optional bytes e = 5 [default = "\\x1\\x12\\X3a\\1\\12\\123"]; }`,
  ),
  p2(
    `message A { optional E e = 1 [default = B]; optional E f = 2; } enum E { A0 = 5; B = -1; C = 0x7fffffff; D = - 0x80000000; }`,
  ),
  p2(`message A { optional int32 foo_bar = 1; optional int32 fooBar = 2; }`),
  p2(
    `message A { optional int32 self = 1; optional int32 self_ = 2 [json_name = "selfTrailing"]; optional int32 Upper = 3; optional int32 a__b_ = 4; optional int32 _x1_2y = 5; }`,
  ),
  p3(`message A { oneof pay_kind { int32 x = 1; } int32 payKind = 2; }`),
  p3(
    `message A { map<string, string> default = 2; map<int32, A> a_b = 3; map<bool, bytes> _c = 4; map<sint64, E> d1 = 5; } enum E { X = 0; }`,
  ),
  p3(
    `import "google/pro" "tobuf/empty.proto"; import public "via.proto"; import weak "three.proto"; message A { google.protobuf.Empty e = 1; dep.M m = 2; three.T t = 3; }`,
  ),
  p3(
    `package foo; import "dep.proto"; message A { dep.Inner.Deep d = 1; .dep.Inner.DE e = 2; } message E {}`.replace(
      "dep.Inner.DE e",
      "dep.M e",
    ),
  ),
  p3(
    `message A { reserved 1 to 5, 8, 10 to max; reserved "x", "y" "z"; int32 a = 6; } enum E { A0 = 0; reserved -5 to -1, 100 to max; reserved "Q"; }`,
  ),
  e23(`message A { reserved 1 to 5; reserved x, y; } enum E { A0 = 0; reserved Q; reserved -5; }`),
  p2(
    `message A { extensions 1 to 5, 10 to max [verification = UNVERIFIED, (o.range).i = 5]; } import "opts.proto"; extend A { optional int32 a = 1 [json_name = "a"]; repeated group G = 2 { } }`,
  ),
  p2(
    `message A { option message_set_wire_format = true; extensions 4 to max; message B { extend A { optional B b = 536870912; } } }`,
  ),
  p2(`message A { message B { extend A { optional B b = 5; } } extensions 5; }`),
  p3(`enum E { option allow_alias = true; A = 0; B = 0; } enum Foo { FOO_X = 0; BAR_X = 1; }`),
  p2(`enum Foo { option deprecated_legacy_json_field_conflicts = true; FOO_A = 0; A = 1; }`),
  p3(
    `message A {} service stream { rpc stream(stream A) returns (stream .A) { option deprecated = true; option idempotency_level = IDEMPOTENT; ; } rpc rpc(A) returns (A) {} rpc returns(A) returns (A); }`,
  ),
  opt(
    `option (o.file).i = 5; option (o.file).m.m.i = 6; option (o.file).ri = 1; option (o.file).ri = 2; option (o.file).rm = { i: 1 }; option (o.file).(o.ext) = 7; option (.o.fi) = -5; option (o.fri) = 1; option (o.fri) = 2; option (o.file).pk = 3; option (o.file).pk = 4;`,
  ),
  opt(`option (o.file) = { i: 1, ri: [1, 2], ri: 3; m < i: 5 >, m_: 1 };`.replace(", m_: 1", "")),
  opt(
    `option (o.file) = { rm [ { i: 1 }, < i: 2 > ] rm: { } rs: ["a" 'b', "c"] rs: [] s: "x" "y" c: BLUE Grp { g: 1 } map { key: "a" value: 1 } map { key: "b" } map: [{ key: "a" value: 3 }] f: 1.5 b: t by: "\\xff\\001" k1: -5 };`,
  ),
  opt(
    `option (o.file) = { any { [type.googleapis.com/o.Msg] { i: 1 s: "x" } } [o.ext]: 5 [o.ext_msg] { i: 1 } [ o . ext_rep ]: [1, 2] gone: 5 gone { x: [1] } gone: "a" "b" f: inf };`,
  ),
  opt(
    `option (o.file) = { f: -inf, c: -1, b: 1, u64: 0xffffffffffffffff, i: -010, req { r: 1 }, km { k2: 1 } ms { [o.Item] { v: 1 } [o.Item.item] { } } };`.replace(
      " [o.Item.item] { }",
      "",
    ),
  ),
  opt(`option (o.file) = { f: nan # comment };`.replace(" # comment", "")),
  opt(
    `option (o.fd) = inf; option (o.ff) = -nan; option (o.fc) = NEG; option (o.fb) = false; option (o.fby) = "\\xff" "\\0"; option (o.fs64) = -3; option (o.ff32) = 7; option (o.fu64) = 18446744073709551615; option (o.fi64) = -9223372036854775808; option (o.fs) = ""; option (o.fgrp).g = 1; option (o.frc) = RED; option (o.frc) = NEG;`,
  ),
  opt(
    `option (o.fd) = 5; option (o.ff) = - 5.5; option (o.fgrp) = { g: 2 }; option (o.fms).(o.Item.item).v = 3;`,
  ),
  opt(
    `option (o.fd) = 99999999999999999999; option (o.freq) = { r: 1 }; option (o.frm) = { }; option (o.frm) = { i: 1 };`,
  ),
  opt(`option (o.file).k1 = 1; option (o.file).k2 = 2;`),
  opt(`message A { option (o.message) = { i: 1 }; option (o.only_message) = 1; option (o.hidden) = 2; optional int32 a = 1 [(o.field).i = 1, deprecated = true, (o.field).s = "x"]; oneof x { option (o.oneof).i = 1; int32 y = 2; } extensions 5 to 9 [(o.range).i = 1]; }
    enum E { option (o.enum).i = 1; X = 0 [(o.value) = { i: 1 }, deprecated = true]; } service S { option (o.service).i = 1; rpc M(A) returns (A) { option (o.method).i = 1; option deprecated = false; } }`),
  p2(
    `package o.p; import "opts.proto"; option (fi) = 1; option (o.fu) = 1; message A { option (message).i = 1; optional Color c = 1 [(field).c = BLUE]; }`,
  ),
  p2(
    `import "decl.proto"; package d; extend D { optional int32 ten = 10; optional D eleven = 11; repeated string many = 13; optional int32 any = 50; }`,
  ),
  e23(
    `message A { int32 a = 1; string s = 2 [features.utf8_validation = NONE]; repeated int32 r = 3 [features.repeated_field_encoding = EXPANDED]; A m = 4 [features.message_encoding = DELIMITED]; int32 i = 5 [features.field_presence = IMPLICIT]; int32 q = 6 [features.field_presence = LEGACY_REQUIRED]; int32 d = 7 [default = 5]; map<string, A> mm = 8 [features.utf8_validation = NONE]; }`,
  ),
  e23(
    `option features = { field_presence: IMPLICIT, enum_type: CLOSED }; option features.json_format = LEGACY_BEST_EFFORT; enum E { A = 1; } message M { int32 a_b = 1; int32 aB = 2; E e = 3 [features.field_presence = EXPLICIT]; message N { enum O { option features.enum_type = OPEN; X = 0; } O o = 1; } }`,
  ),
  e23(
    `import "google/protobuf/cpp_features.proto"; import "google/protobuf/java_features.proto"; option features.(pb.cpp).legacy_closed_enum = true; option features.(pb.java).utf8_validation = VERIFY; message A { string s = 1 [features.(pb.cpp).string_type = CORD]; }`,
  ),
  e23(
    `option features.message_encoding = DELIMITED; message A { A a = 1; map<int32, A> m = 2; repeated A r = 3; extensions 10; } extend A { A x = 10; }`,
  ),
  e24(
    `package foo.bar2.baz_qux; import "dep.proto"; import option "opts.proto"; option (o.file).i = 1; export message FooBar2 { local message Inner { int32 a = 1; } local enum Kind { KIND_UNKNOWN = 0; } int32 foo_bar2 = 2; Inner inner = 3; dep.M m = 4; map<string, int32> mmm = 5; oneof one_of { int32 zz = 6; } }`,
  ),
  e24(
    `option features.enforce_naming_style = STYLE_LEGACY; message lower { int32 fooBar = 1; enum e { a = 0; } } service s { rpc m(lower) returns (lower); }`,
  ),
  e24(`import "local.proto"; message Aa { loc.Shown s = 1; loc.Shown.Out o = 2; }`),
  e24(
    `option features.default_symbol_visibility = LOCAL_ALL; message Aa { message Bb {} Bb b = 1; } export enum Ee { EE_UNKNOWN = 0; }`,
  ),
  e24(`message Aa { string s = 1; message Local {} Local local = 2; local message L2 {} }`),
  e26(`message Aa { local message Bb { } message Cc {} Bb b = 1; }`),
  p3(
    `// a\n/* b\n * c\n */\n\n// d\n\n/* e */ message A { // f\n // g\n\n // h\n int32 a = 1; // i\n // j\n\n /* k */ int32 b = 2; /* l */ /* m */ int32 c = 3; /* n */\n // o\n} // p\n// q\n\n/**\n * r\n **/\nenum E { /* s */ A0 = 0 /* t */; /* u */ }\n/* v */ // w\nservice S {} /* x\n y */ message B {}\n// z`,
  ),
  p3(
    `\tmessage A {\t// tab\n\t\tint32\ta = 1;\t\t// more\n/*\n\t* x\n\t\t*y\n*/\n string b = 2;\r\n // cr\r\n int32 c = 3; }`,
  ),
  p3(`message A { /* ä */ int32 a = 1; /* 日本 */ string b = 2; } // é`),
  "\xef\xbb\xbfsyntax = 'proto3'; message A {}",
  p3(`enum Foo { FOO_AB = 0; FOO_A_B = 1; }`),
  p3(`message A { reserved 1 to 536870912; }`),
  p3(`message A { option deprecated_legacy_json_field_conflicts = true; int32 a_b = 1; int32 aB = 2; }`),
  p2(`message A { optional int32 a_b = 1; optional int32 b = 2 [json_name = "aB"]; }`),
  e23(`message A { int32 a = 1 [ctype = CORD]; }`),
  p3(
    `import "google/protobuf/descriptor.proto"; extend google.protobuf.FileOptions { optional string x = 50000; }`,
  ),
  e24(`message Aa { Bb export = 1; Bb local = 2; message Bb {} }`),
  e24(
    `message Aa { int32 a1b = 1; int32 a_b1c = 2; } enum A1B { A1B_X2 = 0; } message HTTPServer {} service S { rpc GetURL(Aa) returns (Aa); }`,
  ),
  e26(`message Aa { export enum Bb { BB_UNKNOWN = 0; } reserved 1 to max; message Cc {} }`),
  e24(`option cc_enable_arenas = true;`),
  p2(
    `message A { repeated int64 a = 1 [jstype = JS_STRING]; optional int32 c = 2 [jstype = JS_NORMAL]; optional int32 d = 3 [packed = false]; repeated A e = 4 [lazy = true]; }`,
  ),
  opt(
    `option (o.file).map = { key: "b" value: 1 }; option (o.file).map = { key: "a" }; option (o.file).map = { value: 3 };`,
  ),
  e26(`message Aa { ${numbered(1500, (i) => `int32 f${i} = ${i + 1};`)} }`),
  e26(`message Aa { oneof o { ${numbered(1200, (i) => `int32 f${i} = ${i + 1};`)} } }`),
  e26(`enum Aa { ${numbered(1700, (i) => `AA_V${i} = ${i};`)} }`),
  e26(
    `message Aa { option features.enforce_proto_limits = LEGACY_NO_EXPLICIT_LIMITS; message Bb { ${numbered(1501, (i) => `int32 f${i} = ${i + 1};`)} } }`,
  ),
  p2(
    `message A { optional string a = 1 [feature_support = { edition_removed: EDITION_2024 removal_error: "x" }]; }`,
  ),
  e26(`message Aa { int32 get_foo = 1; int32 foo_count = 2; } message Descriptor {}`),
  e26(`message Aa { option features.enforce_naming_style = STYLE2024; int32 descriptor = 1; }`),
];
