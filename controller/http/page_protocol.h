#pragma once

#include <httplib.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "controller/controller_thread.h"
#include "controller/http/access_rules.h"
#include "controller/http/http_stream.h"

namespace trunkload {

// What is answered to which request. httplib reads requests and writes answers, on connections that are ours;
// it is not let work hard for whoever asks. Thread-safe.
class PageProtocol {
 public:
  // `token_file`: see HttpOptions. The controller must outlive this.
  PageProtocol(bool loopback, std::string token_file, ControllerThread& controller);

  // One request and its answer. `asked`: called when the request is there. Blocks as long as the stream does,
  // and for a few seconds where the controller does.
  void Serve(HttpStream& stream, absl::FunctionRef<void()> asked);

 private:
  class Server : public httplib::Server {
   public:
    using httplib::Server::process_request;
  };
  template <typename T>
  using OnAnswer = absl::AnyInvocable<void(absl::StatusOr<T>)>;

  std::optional<HttpRefusal> Refusal(const HttpAsk& ask) const;
  void Respond(const httplib::Request& request, httplib::Response& response);
  void Route(const std::string& path, httplib::Response& response);
  void Runs(httplib::Response& response);
  void Run(const std::string& run_id, bool json, httplib::Response& response);
  void NoResult(const std::string& run_id, const absl::Status& why, bool json, httplib::Response& response);
  // None of these: the response says why.
  std::optional<ControllerStatus> Status(httplib::Response& response);
  std::optional<std::vector<v1::RunSummary>> List(httplib::Response& response);
  // One question at a time: the keeper writes down what is under way, and is to do nothing else for long.
  template <typename T>
  std::optional<absl::StatusOr<T>> FromStore(httplib::Response& response,
                                             absl::FunctionRef<void(OnAnswer<T>)> ask)
      ABSL_LOCKS_EXCLUDED(store_mutex_);

  const bool loopback_;
  const std::string token_file_;
  ControllerThread& controller_;
  absl::Mutex store_mutex_;
  Server server_;
};

}  // namespace trunkload
