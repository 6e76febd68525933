// The talk with the benchmark: Node's IPC channel carries one JSON object a line, both ways.
#pragma once

#include <functional>
#include <string>

#include "control.pb.h"

namespace bench {

class Control {
 public:
  // Takes the channel Node left in NODE_CHANNEL_FD. Throws std::runtime_error when nobody left one.
  Control();

  // Says that the process is ready, and what the caller needs to find it.
  void ready(const std::string& endpoint);

  // Hands each request to `handle`, and sends what it returns (JSON) or what it threw, until `close` was answered or
  // the benchmark is gone.
  void serve(const std::function<std::string(const control::Request&)>& handle);

 private:
  void send(const std::string& line) const;

  int fd_;
};

// The counters at one end of a window, as JSON.
std::string mark(unsigned long long calls);

// The memory left once freed memory went back to the system, as JSON.
std::string memory();

// The process's own monotonic clock.
double nowMs();

}  // namespace bench
