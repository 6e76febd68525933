// The measured process: `grpc-cpp provider` or `grpc-cpp caller ENDPOINT`.
#include <sys/resource.h>

#include <exception>
#include <iostream>
#include <string>

#include "caller.h"
#include "control.h"
#include "provider.h"

// As Node does at its start: a thousand idle connections are more files than the soft limit often allows.
static void allowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  allowManyFiles();
  try {
    bench::Control control;
    if (role == "provider") bench::provide(control);
    else bench::call(control, argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {
    std::cerr << "grpc-cpp: " << error.what() << '\n';
    return 1;
  }
}
