// The provider: gRPC's asynchronous server with one completion queue and one thread, since it has one core.
#include "provider.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <thread>

#include "bench.grpc.pb.h"
#include "control.h"
#include "login.h"

namespace bench {
namespace {

using Service = fixbug::UserServiceRpc::AsyncService;

// One call after another: waits for it, answers it, and makes place for the next.
class Handler {
 public:
  Handler(Service* service, grpc::ServerCompletionQueue* queue, std::atomic<unsigned long long>* served)
      : service_(service), queue_(queue), served_(served) {
    await();
  }

  void proceed(bool ok) {
    // The server ends, or the caller is gone before its reply: the measurement is over either way.
    if (!ok) return delete this;
    if (!answering_) {
      answering_ = true;
      served_->fetch_add(1, std::memory_order_relaxed);
      fixbug::LoginResponse response;
      answer(call_->request, &response);
      call_->responder.Finish(response, grpc::Status::OK, this);
      return;
    }
    await();
  }

 private:
  struct Call {
    grpc::ServerContext context;
    fixbug::LoginRequest request;
    grpc::ServerAsyncResponseWriter<fixbug::LoginResponse> responder{&context};
  };

  void await() {
    answering_ = false;
    call_ = std::make_unique<Call>();
    service_->RequestLogin(&call_->context, &call_->request, &call_->responder, queue_, queue_, this);
  }

  Service* service_;
  grpc::ServerCompletionQueue* queue_;
  std::atomic<unsigned long long>* served_;
  bool answering_ = false;
  std::unique_ptr<Call> call_;
};

// More than the calls in flight of any load, so that each finds a handler that waits.
constexpr int handlers = 512;

}  // namespace

void provide(Control& control) {
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  std::atomic<unsigned long long> served{0};
  for (int i = 0; i < handlers; i += 1) new Handler(&service, queue.get(), &served);
  std::thread thread([&queue] {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) static_cast<Handler*>(tag)->proceed(ok);
  });
  control.ready("127.0.0.1:" + std::to_string(port));
  control.serve([&served](const control::Request& request) -> std::string {
    if (request.kind() == "mark") return mark(served.load());
    if (request.kind() == "memory") return memory();
    if (request.kind() == "close") return "null";
    throw std::runtime_error("cannot " + request.kind() + " here");
  });
  server->Shutdown(std::chrono::system_clock::now());
  queue->Shutdown();
  thread.join();
}

}  // namespace bench
