// The same service in C++. It tells its messages by gRPC's reflection, so that `mprpc describe grpc://HOST:PORT` works.

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <map>

#include "tls.h"
#include "weather.grpc.pb.h"

static const std::map<std::string, double> measured = {{"Oslo", 4.5}, {"Lima", 19}};

static grpc::Status celsiusAt(const std::string& name, double* celsius) {
  auto found = measured.find(name);
  if (found == measured.end()) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "nobody measures at " + name);
  }
  *celsius = found->second;
  return grpc::Status::OK;
}

class WeatherService final : public weather::Weather::Service {
  grpc::Status Now(grpc::ServerContext* context, const weather::Place* place, weather::Report* report) override {
    auto client = context->client_metadata().find("client");
    if (client != context->client_metadata().end()) {
      std::string name(client->second.data(), client->second.size());
      context->AddInitialMetadata("served", "to " + name + " by C++");
    }
    double celsius = 0;
    auto status = celsiusAt(place->name(), &celsius);
    report->set_place(place->name());
    report->set_celsius(celsius);
    return status;
  }

  grpc::Status Forecast(grpc::ServerContext*, const weather::Place* place,
                        grpc::ServerWriter<weather::Report>* writer) override {
    double celsius = 0;
    auto status = celsiusAt(place->name(), &celsius);
    for (int hour = 1; status.ok() && hour <= 3; hour++) {
      weather::Report report;
      report.set_place(place->name());
      report.set_celsius(celsius + hour);
      writer->Write(report);
    }
    return status;
  }

  grpc::Status Record(grpc::ServerContext*, grpc::ServerReader<weather::Report>* reader,
                      weather::Summary* summary) override {
    weather::Report report;
    int count = 0;
    double sum = 0;
    while (reader->Read(&report)) {
      count++;
      sum += report.celsius();
    }
    summary->set_reports(count);
    summary->set_mean_celsius(count == 0 ? 0 : sum / count);
    return grpc::Status::OK;
  }

  grpc::Status Follow(grpc::ServerContext*,
                      grpc::ServerReaderWriter<weather::Report, weather::Place>* stream) override {
    weather::Place place;
    while (stream->Read(&place)) {
      double celsius = 0;
      auto status = celsiusAt(place.name(), &celsius);
      if (!status.ok()) return status;
      weather::Report report;
      report.set_place(place.name());
      report.set_celsius(celsius);
      stream->Write(report);
    }
    return grpc::Status::OK;
  }
};

int main() {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  WeatherService service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", serversCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  std::cout << "listening on 127.0.0.1:" << port << std::endl;
  server->Wait();
  return 0;
}
