#pragma once

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "controller/controller_thread.h"

namespace trunkload {

class ConnectionGate;
class HttpsContext;
class PageProtocol;

inline constexpr char kDefaultHttp[] = "127.0.0.1:7480";

struct HttpOptions {
  std::string address = kDefaultHttp;  // HOST:PORT, or :PORT for every address of this machine
  // Folder with tls.crt and tls.key: beyond loopback the pages then are HTTPS.
  std::string tls_dir;
  // Whose first line every request has to show, but for whether somebody is alive. Read again for each.
  std::string token_file;
  // Beyond loopback, without TLS or without a token.
  bool insecure = false;
};

// The controller's pages, metrics and health over HTTP: they can be read, and nothing else. All that they
// show comes through the controller's queue and its keeper's. Thread-safe.
class HttpServer {
 public:
  // INVALID_ARGUMENT where the options don't go together or their files can't be used, UNAVAILABLE where the
  // address can't be listened on. The controller must outlive the server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const HttpOptions& options,
                                                            ControllerThread& controller);
  ~HttpServer();

  // With the port that was taken: https://[::]:7480/.
  const std::string& url() const { return url_; }
  // What a start has to say of a server that hides nothing or keeps nobody out; empty: it does.
  const std::string& warning() const { return warning_; }

 private:
  HttpServer();

  void Serve(int fd, absl::FunctionRef<void()> asked);

  std::string url_;
  std::string warning_;
  // Null: in plain text.
  std::unique_ptr<HttpsContext> https_;
  std::unique_ptr<PageProtocol> protocol_;
  // The last: its threads use all of the above.
  std::unique_ptr<ConnectionGate> gate_;
};

}  // namespace trunkload
