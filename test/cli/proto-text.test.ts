// What `mprpc describe` prints, for all that the language has.
import { describe, expect, test } from "vitest";
import { ProtoText } from "../../src/cli/proto-text.js";
import { compile, protoFiles } from "../descriptor/protoc.js";

const old = `
syntax = "proto2";
package old;
import "google/protobuf/timestamp.proto";
message Ask {
  option deprecated = true;
  required int32 id = 1;
  optional string name = 2 [default = "a\\"b", deprecated = true];
  repeated sint64 many = 3 [packed = true, jstype = JS_STRING];
  optional group Inner = 4 { optional Level level = 1 [default = HIGH]; }
  optional bytes raw = 5 [default = "\\001x"];
  map<string, Held> held = 6;
  oneof choice { double ratio = 7 [json_name = "share"]; google.protobuf.Timestamp at = 8; }
  optional Ask self = 9;
  reserved 20, 30 to 40;
  reserved "gone", "away";
  extensions 100 to 199, 1000 to max;
}
message Held { extend Ask { repeated Held more = 100; } }
message Unused {}
enum Level { option allow_alias = true; LOW = 0; HIGH = 1; TOP = 1 [deprecated = true]; reserved -1, 5 to max; reserved "NONE"; }
extend Ask { optional fixed32 extra = 101; }
service Old {
  option deprecated = true;
  rpc One(Ask) returns (stream Held) { option idempotency_level = IDEMPOTENT; }
  rpc Two(stream Held) returns (stream Held);
}
`;

const edition = `
edition = "2023";
package now;
option features.field_presence = IMPLICIT;
message M {
  string a = 1 [features.field_presence = EXPLICIT];
  M inner = 2 [features.message_encoding = DELIMITED];
}
service Now { rpc Do(M) returns (M); }
`;

const three = `
syntax = "proto3";
package three;
message M { optional int32 maybe = 1; repeated int32 loose = 2 [packed = false]; }
service Three { rpc Do(M) returns (M); }
`;

const texts = { "old.proto": old, "edition.proto": edition, "three.proto": three };
const files = protoFiles(compile(Object.keys(texts), texts));
const text = new ProtoText([...files.values()].map(({ descriptor }) => descriptor));

describe("ProtoText", () => {
  test("proto2, with groups, extensions, defaults, options, streams and what is reserved", () => {
    expect(text.ofService("old.Old")).toBe(`// old.proto: proto2

service old.Old {
  option deprecated = true;
  rpc One(old.Ask) returns (stream old.Held) { option idempotency_level = IDEMPOTENT; }
  rpc Two(stream old.Held) returns (stream old.Held);
}

message old.Ask {
  option deprecated = true;
  required int32 id = 1;
  optional string name = 2 [default = "a\\"b", deprecated = true];
  repeated sint64 many = 3 [packed = true, jstype = JS_STRING];
  optional group Inner = 4 {
    optional old.Level level = 1 [default = HIGH];
  }
  optional bytes raw = 5 [default = "\\001x"];
  map<string, old.Held> held = 6;
  oneof choice {
    double ratio = 7 [json_name = "share"];
    google.protobuf.Timestamp at = 8;
  }
  optional old.Ask self = 9;
  reserved 20, 30 to 40;
  reserved "gone", "away";
  extensions 100 to 199, 1000 to max;
}

extend old.Ask {
  optional fixed32 old.extra = 101;
  repeated old.Held old.Held.more = 100;
}

message old.Held {}

enum old.Level {
  option allow_alias = true;
  LOW = 0;
  HIGH = 1;
  TOP = 1 [deprecated = true];
  reserved -1, 5 to max;
  reserved "NONE";
}
`);
  });

  test("one method, and what it needs alone", () => {
    expect(text.ofService("old.Old", "Two")).toBe(
      "// old.proto: proto2\n\nservice old.Old {\n  option deprecated = true;\n  rpc Two(stream old.Held) returns (stream old.Held);\n}\n\nmessage old.Held {}\n",
    );
  });

  test("an edition, with its features", () => {
    expect(text.ofService("now.Now")).toBe(`// edition.proto: edition 2023, features.field_presence = IMPLICIT

service now.Now {
  rpc Do(now.M) returns (now.M);
}

message now.M {
  string a = 1 [features.field_presence = EXPLICIT];
  now.M inner = 2 [features.message_encoding = DELIMITED];
}
`);
  });

  test("proto3, without a word about it", () => {
    expect(text.ofService("three.Three")).toBe(
      "service three.Three {\n  rpc Do(three.M) returns (three.M);\n}\n\nmessage three.M {\n  optional int32 maybe = 1;\n  repeated int32 loose = 2 [packed = false];\n}\n",
    );
  });

  test("no service of that name", () => {
    expect(text.ofService("old.Ask")).toBeUndefined();
    expect(text.ofService("Old")).toBeUndefined();
  });

  test("bytes that are no descriptor are refused", () => {
    expect(() => new ProtoText([Buffer.from("{}")])).toThrow(Error);
  });
});
