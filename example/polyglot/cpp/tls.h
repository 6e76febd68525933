#pragma once

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <grpcpp/grpcpp.h>

/** The content of the file that a variable names; empty when it is not set. */
inline std::string contentOf(const char* variable) {
  const char* name = std::getenv(variable);
  if (name == nullptr) return "";
  std::ostringstream content;
  content << std::ifstream(name).rdbuf();
  return content.str();
}

/** In clear, or with TLS_CA over TLS, with TLS_CERT and TLS_KEY as who they say. */
inline std::shared_ptr<grpc::ChannelCredentials> callersCredentials() {
  if (std::getenv("TLS_CA") == nullptr) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({contentOf("TLS_CA"), contentOf("TLS_KEY"), contentOf("TLS_CERT")});
}

/** In clear, or with TLS_CERT and TLS_KEY over TLS; with TLS_CA only for callers with a certificate of that authority. */
inline std::shared_ptr<grpc::ServerCredentials> serversCredentials() {
  if (std::getenv("TLS_CERT") == nullptr) return grpc::InsecureServerCredentials();
  const auto asked = std::getenv("TLS_CA") == nullptr
                         ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                         : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  grpc::SslServerCredentialsOptions options(asked);
  options.pem_root_certs = contentOf("TLS_CA");
  options.pem_key_cert_pairs.push_back({contentOf("TLS_KEY"), contentOf("TLS_CERT")});
  return grpc::SslServerCredentials(options);
}
