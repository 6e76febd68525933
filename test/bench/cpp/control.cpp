#include "control.h"

#include <google/protobuf/util/json_util.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace bench {
namespace {

long long residentBytes() {
  long long total = 0;
  long long resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

long long micros(const timeval& time) { return time.tv_sec * 1'000'000LL + time.tv_usec; }

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

control::Request parsed(const std::string& line) {
  control::Request request;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(line, &request, options);
  if (!status.ok()) throw std::runtime_error("not a request: " + line);
  return request;
}

}  // namespace

double nowMs() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(since).count();
}

std::string mark(unsigned long long calls) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const long long cpuUs = micros(usage.ru_utime) + micros(usage.ru_stime);
  return "{\"timeMs\":" + std::to_string(nowMs()) + ",\"cpuUs\":" + std::to_string(cpuUs) +
         ",\"calls\":" + std::to_string(calls) + ",\"rssBytes\":" + std::to_string(residentBytes()) + "}";
}

std::string memory() {
  malloc_trim(0);
  return "{\"rssBytes\":" + std::to_string(residentBytes()) + "}";
}

Control::Control() {
  const char* fd = std::getenv("NODE_CHANNEL_FD");
  if (fd == nullptr) throw std::runtime_error("NODE_CHANNEL_FD is not set: the benchmark starts this program");
  fd_ = std::atoi(fd);
}

void Control::send(const std::string& line) const {
  const std::string text = line + "\n";
  for (size_t at = 0; at < text.size();) {
    const ssize_t count = write(fd_, text.data() + at, text.size() - at);
    if (count < 0) throw std::runtime_error("the benchmark is gone");
    at += static_cast<size_t>(count);
  }
}

void Control::ready(const std::string& endpoint) {
  send("{\"ready\":true,\"endpoint\":" + quoted(endpoint) + "}");
}

void Control::serve(const std::function<std::string(const control::Request&)>& handle) {
  std::string waiting;
  char chunk[4096];
  for (;;) {
    const size_t end = waiting.find('\n');
    if (end == std::string::npos) {
      const ssize_t count = read(fd_, chunk, sizeof chunk);
      if (count <= 0) return;
      waiting.append(chunk, static_cast<size_t>(count));
      continue;
    }
    const std::string line = waiting.substr(0, end);
    waiting.erase(0, end + 1);
    bool last = false;
    try {
      const control::Request request = parsed(line);
      const std::string value = handle(request);
      last = request.kind() == "close";
      send("{\"ok\":true,\"value\":" + value + "}");
    } catch (const std::exception& error) {
      send("{\"ok\":false,\"text\":" + quoted(error.what()) + "}");
    }
    if (last) return;
  }
}

}  // namespace bench
