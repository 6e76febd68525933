// Calls the provider with Google's own gRPC library and the stubs that its plugin of protoc writes.

#include <grpcpp/grpcpp.h>

#include <iostream>
#include <sstream>

#include "tls.h"
#include "weather.grpc.pb.h"

static void say(const std::string& text) { std::cout << "c++: " << text << std::endl; }

static const char* nameOf(grpc::StatusCode code) {
  return code == grpc::StatusCode::NOT_FOUND ? "NOT_FOUND" : "another code";
}

static weather::Place place(const std::string& name) {
  weather::Place place;
  place.set_name(name);
  return place;
}

int main(int, char** argv) {
  auto channel = grpc::CreateChannel(argv[1], callersCredentials());
  auto stub = weather::Weather::NewStub(channel);
  {
    grpc::ClientContext context;
    context.AddMetadata("client", "C++");
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    weather::Report report;
    auto status = stub->Now(&context, place("Oslo"), &report);
    if (!status.ok()) {
      say("Now Oslo: " + status.error_message());
      return 1;
    }
    auto served = context.GetServerInitialMetadata().find("served")->second;
    std::ostringstream text;
    text << "Now " << report.place() << ": " << report.celsius() << ", served " << served;
    say(text.str());
  }
  {
    grpc::ClientContext context;
    auto reader = stub->Forecast(&context, place("Lima"));
    weather::Report report;
    std::ostringstream text;
    const char* between = "Forecast Lima: ";
    while (reader->Read(&report)) {
      text << between << report.celsius();
      between = ", ";
    }
    if (!reader->Finish().ok()) return 1;
    say(text.str());
  }
  {
    grpc::ClientContext context;
    weather::Summary summary;
    auto writer = stub->Record(&context, &summary);
    for (double celsius : {1.0, 2.0, 6.0}) {
      weather::Report report;
      report.set_celsius(celsius);
      writer->Write(report);
    }
    writer->WritesDone();
    if (!writer->Finish().ok()) return 1;
    std::ostringstream text;
    text << "Record: " << summary.reports() << " reports, mean " << summary.mean_celsius();
    say(text.str());
  }
  {
    grpc::ClientContext context;
    auto stream = stub->Follow(&context);
    std::ostringstream text;
    const char* between = "Follow: ";
    for (const char* name : {"Lima", "Oslo"}) {
      stream->Write(place(name));
      weather::Report report;
      if (!stream->Read(&report)) return 1;
      text << between << report.place() << " " << report.celsius();
      between = ", ";
    }
    stream->WritesDone();
    if (!stream->Finish().ok()) return 1;
    say(text.str());
  }
  {
    grpc::ClientContext context;
    weather::Report report;
    auto status = stub->Now(&context, place("Atlantis"), &report);
    say(std::string("Now Atlantis: ") + nameOf(status.error_code()) + ", " + status.error_message());
  }
  return 0;
}
