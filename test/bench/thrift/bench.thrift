// The messages of bench.proto for the Thrift target. The code in gen/ is Debian's thrift-compiler's (0.17), unchanged:
//   scripts/debian-packages.sh thrift-compiler
//   <cache>/debian/root/usr/bin/thrift --gen js:node,es6 -out test/bench/thrift/gen test/bench/thrift/bench.thrift
namespace js fixbug

struct ResultCode {
  1: i32 errcode
  2: binary errmsg
}

struct LoginRequest {
  1: binary name
  2: binary pwd
}

struct LoginResponse {
  1: ResultCode result
  2: bool success
}

service UserServiceRpc {
  LoginResponse Login(1: LoginRequest request)
}
