// The caller: one channel, a completion queue and a thread of its own, and always as many calls under way as were asked.
#include "caller.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bench.grpc.pb.h"
#include "login.h"

namespace bench {
namespace {

using Stub = fixbug::UserServiceRpc::Stub;

// Without a pool of its own every channel to one address would share one connection.
std::shared_ptr<grpc::Channel> open(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.use_local_subchannel_pool", 1);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

// The calls of one measurement.
class Drive {
 public:
  Drive(Stub* stub, const control::Load& load) : stub_(stub), request_(loginRequest(load.payloadbytes())) {
    for (unsigned i = 0; i < load.inflight(); i += 1) start();
    thread_ = std::thread([this] { run(); });
  }

  ~Drive() {
    running_ = false;
    if (thread_.joinable()) thread_.join();
  }

  unsigned long long completed() const { return completed_.load(); }

  void record(bool on) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (on) latenciesUs_.clear();
    recording_ = on;
  }

  // Lets no further call begin, waits for the last reply, and gives the latencies of the window and the count of all
  // calls as JSON.
  std::string stop() {
    running_ = false;
    thread_.join();
    if (!failure_.empty()) throw std::runtime_error(failure_);
    std::sort(latenciesUs_.begin(), latenciesUs_.end());
    return "{\"p50Us\":" + quantile(0.5) + ",\"p99Us\":" + quantile(0.99) +
           ",\"made\":" + std::to_string(completed_.load()) + "}";
  }

 private:
  struct Call {
    grpc::ClientContext context;
    fixbug::LoginResponse response;
    grpc::Status status;
    double startMs;
  };

  void start() {
    // The queue gives it back when the reply is in.
    auto* call = new Call;
    call->startMs = nowMs();
    const auto reader = stub_->AsyncLogin(&call->context, request_, &queue_);
    outstanding_ += 1;
    reader->Finish(&call->response, &call->status, call);
  }

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (outstanding_ > 0 && queue_.Next(&tag, &ok)) {
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      outstanding_ -= 1;
      if (!call->status.ok() || !call->response.success()) {
        failure_ = "a call failed: " + call->status.error_message();
        running_ = false;
      }
      completed_.fetch_add(1, std::memory_order_relaxed);
      record((nowMs() - call->startMs) * 1000);
      if (running_) start();
    }
  }

  void record(double latencyUs) {
    if (!recording_) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    latenciesUs_.push_back(latencyUs);
  }

  std::string quantile(double at) const {
    if (latenciesUs_.empty()) return "null";
    const auto index = std::min(latenciesUs_.size() - 1, static_cast<size_t>(at * latenciesUs_.size()));
    return std::to_string(latenciesUs_[index]);
  }

  Stub* stub_;
  const fixbug::LoginRequest request_;
  grpc::CompletionQueue queue_;
  std::atomic<bool> running_{true};
  std::atomic<bool> recording_{false};
  std::atomic<unsigned long long> completed_{0};
  unsigned outstanding_ = 0;
  std::mutex mutex_;
  std::vector<double> latenciesUs_;
  std::string failure_;
  std::thread thread_;
};

}  // namespace

void call(Control& control, const std::string& endpoint) {
  const auto stub = fixbug::UserServiceRpc::NewStub(open(endpoint));
  std::vector<std::unique_ptr<Stub>> idle;
  std::unique_ptr<Drive> drive;
  control.ready(endpoint);
  control.serve([&](const control::Request& request) -> std::string {
    const std::string& kind = request.kind();
    if (kind == "start") {
      drive = std::make_unique<Drive>(stub.get(), request.load());
      return "null";
    }
    if (kind == "mark" && drive != nullptr) {
      const std::string taken = mark(drive->completed());
      drive->record(request.edge() == "start");
      return taken;
    }
    if (kind == "stop" && drive != nullptr) return drive->stop();
    if (kind == "idle") {
      for (unsigned i = 0; i < request.connections(); i += 1) {
        idle.push_back(fixbug::UserServiceRpc::NewStub(open(endpoint)));
        grpc::ClientContext context;
        fixbug::LoginResponse response;
        const auto status = idle.back()->Login(&context, loginRequest(20), &response);
        if (!status.ok()) throw std::runtime_error("an idle connection failed: " + status.error_message());
      }
      return "null";
    }
    if (kind == "memory") return memory();
    if (kind == "close") return "null";
    throw std::runtime_error("cannot " + kind + " here");
  });
}

}  // namespace bench
