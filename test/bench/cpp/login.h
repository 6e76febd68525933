// The Login of src/login.ts: a request of exactly the wanted size, and its answer.
#pragma once

#include <string>

#include "bench.pb.h"

namespace bench {

inline fixbug::LoginRequest loginRequest(unsigned payloadBytes) {
  const std::string name = "zhang san";
  const long rest = static_cast<long>(payloadBytes) - 2 - static_cast<long>(name.size()) - 1;
  // The varint of the length takes one byte more from 2^7, 2^14 and 2^21 on.
  int lengthBytes = 1;
  while (lengthBytes < 4 && rest - lengthBytes >= (1L << (7 * lengthBytes))) lengthBytes += 1;
  fixbug::LoginRequest request;
  request.set_name(name);
  request.set_pwd(std::string(static_cast<size_t>(rest - lengthBytes), '1'));
  return request;
}

// Large requests get their password back; small ones the classic four bytes.
inline void answer(const fixbug::LoginRequest& request, fixbug::LoginResponse* response) {
  constexpr size_t echoAboveBytes = 1024;
  auto* result = response->mutable_result();
  result->set_errcode(0);
  if (request.pwd().size() > echoAboveBytes) result->set_errmsg(request.pwd());
  response->set_success(true);
}

}  // namespace bench
