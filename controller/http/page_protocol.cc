#include "controller/http/page_protocol.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "controller/http/http_token.h"
#include "controller/http/metrics.h"
#include "controller/http/pages.h"
#include "controller/http/style_sheet.h"
#include "controller/report/json.h"

namespace trunkload {
namespace {

constexpr absl::Duration kControllerAnswers = absl::Seconds(5);
constexpr size_t kLongestRunId = 128;
constexpr char kHtml[] = "text/html; charset=utf-8";
constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr char kNoSuchRun[] = "There is no such run.";

// What a question to the controller came to; none: no answer in time.
template <typename T>
class Answer {
 public:
  void Set(T value) {
    absl::MutexLock lock(&mutex_);
    value_ = std::move(value);
  }
  std::optional<T> Await() {
    absl::MutexLock lock(&mutex_);
    const auto there = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return value_.has_value(); };
    mutex_.AwaitWithTimeout(absl::Condition(&there), kControllerAnswers);
    return std::move(value_);
  }

 private:
  absl::Mutex mutex_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

std::optional<std::string> Header(const httplib::Request& request, const char* name) {
  if (!request.has_header(name)) return std::nullopt;
  return request.get_header_value(name);
}

HttpAsk AskOf(const httplib::Request& request) {
  const std::string length = request.get_header_value("Content-Length");
  return {.method = request.method,
          .path = request.path,
          .has_body = request.has_header("Transfer-Encoding") || (!length.empty() && length != "0"),
          .host = Header(request, "Host"),
          .origin = Header(request, "Origin"),
          .sec_fetch_site = Header(request, "Sec-Fetch-Site"),
          .authorization = Header(request, "Authorization")};
}

void NotFound(httplib::Response& response, absl::string_view sentence) {
  response.status = 404;
  response.set_content(ErrorPage("Not found", sentence), kHtml);
}

void NoAnswer(httplib::Response& response) {
  response.status = 503;
  response.set_content("the controller does not answer\n", kPlain);
}

void Failed(const absl::Status& status, httplib::Response& response) {
  response.status = 500;
  response.set_content(ErrorPage("The runs can't be read", status.message()), kHtml);
}

}  // namespace

PageProtocol::PageProtocol(bool loopback, std::string token_file, ControllerThread& controller)
    : loopback_(loopback), token_file_(std::move(token_file)), controller_(controller) {
  server_.set_default_headers({
      {"Content-Security-Policy",
       "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
       "frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cache-Control", "no-store"},
  });
  // Paths are told apart here, and not by regular expressions.
  server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    Respond(request, response);
    return httplib::Server::HandlerResponse::Handled;
  });
}

void PageProtocol::Serve(HttpStream& stream, absl::FunctionRef<void()> asked) {
  bool closed = false;
  server_.process_request(stream, /*close_connection=*/true, closed,
                          [&stream, asked](httplib::Request& request) {
                            asked();
                            stream.BeginAnswer();
                            // To press an answer, or to send it piecemeal, is a lot of work.
                            request.headers.erase("Accept-Encoding");
                            request.ranges.clear();
                          });
  if (stream.answering() || !stream.too_large()) return;
  constexpr absl::string_view kTooLarge =
      "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  stream.write(kTooLarge.data(), kTooLarge.size());
}

std::optional<HttpRefusal> PageProtocol::Refusal(const HttpAsk& ask) const {
  HttpRules rules{.loopback = loopback_, .token = std::nullopt};
  if (!token_file_.empty() && ask.path != kHealthPath) {
    absl::StatusOr<std::string> token = ReadHttpToken(token_file_);
    if (!token.ok()) return HttpRefusal{503, "the controller can't read the token that it is to ask for"};
    rules.token = *std::move(token);
  }
  return CheckHttpAccess(ask, rules);
}

void PageProtocol::Respond(const httplib::Request& request, httplib::Response& response) {
  const HttpAsk ask = AskOf(request);
  const std::optional<HttpRefusal> refusal = Refusal(ask);
  if (!refusal) {
    response.status = 200;
    return Route(ask.path, response);
  }
  response.status = refusal->status;
  if (refusal->status == 405) response.set_header("Allow", "GET");
  if (refusal->status == 401)
    response.set_header("WWW-Authenticate", "Basic realm=\"Trunkload\", charset=\"UTF-8\"");
  response.set_content(refusal->sentence + "\n", kPlain);
}

void PageProtocol::Route(const std::string& path, httplib::Response& response) {
  absl::string_view run = path;
  if (path == kHealthPath) {
    if (Status(response)) response.set_content("ok\n", kPlain);
  } else if (path == "/") {
    Runs(response);
  } else if (path == "/style.css") {
    response.set_content(kStyleSheet, "text/css; charset=utf-8");
  } else if (path == "/metrics") {
    if (const auto status = Status(response)) response.set_content(MetricsText(*status), kMetricsType);
  } else if (absl::ConsumePrefix(&run, "/runs/")) {
    const bool json = absl::ConsumeSuffix(&run, ".json");
    Run(std::string(run), json, response);
  } else {
    NotFound(response, "There is no such page.");
  }
}

std::optional<ControllerStatus> PageProtocol::Status(httplib::Response& response) {
  auto answer = std::make_shared<Answer<ControllerStatus>>();
  controller_.Look([answer](ControllerStatus status) { answer->Set(std::move(status)); });
  std::optional<ControllerStatus> status = answer->Await();
  if (!status) NoAnswer(response);
  return status;
}

template <typename T>
std::optional<absl::StatusOr<T>> PageProtocol::FromStore(httplib::Response& response,
                                                         absl::FunctionRef<void(OnAnswer<T>)> ask) {
  absl::MutexLock lock(&store_mutex_);
  auto answer = std::make_shared<Answer<absl::StatusOr<T>>>();
  ask([answer](absl::StatusOr<T> value) { answer->Set(std::move(value)); });
  std::optional<absl::StatusOr<T>> value = answer->Await();
  if (!value) NoAnswer(response);
  return value;
}

std::optional<std::vector<v1::RunSummary>> PageProtocol::List(httplib::Response& response) {
  using Summaries = std::vector<v1::RunSummary>;
  auto runs = FromStore<Summaries>(
      response, [this](OnAnswer<Summaries> on_answer) { controller_.ListRuns(std::move(on_answer)); });
  if (!runs) return std::nullopt;
  if (!runs->ok()) {
    Failed(runs->status(), response);
    return std::nullopt;
  }
  return **std::move(runs);
}

void PageProtocol::Runs(httplib::Response& response) {
  const auto status = Status(response);
  if (!status) return;
  if (const auto runs = List(response)) response.set_content(RunsPage(*runs, *status), kHtml);
}

void PageProtocol::Run(const std::string& run_id, bool json, httplib::Response& response) {
  if (run_id.empty() || run_id.size() > kLongestRunId) return NotFound(response, kNoSuchRun);
  const auto status = Status(response);
  if (!status) return;
  if (run_id == status->run.run_id()) {
    if (!json) return response.set_content(ProgressPage(*status), kHtml);
    response.status = 404;
    return response.set_content("the run is under way, and has no result yet\n", kPlain);
  }
  const auto result = FromStore<v1::RunResult>(response, [this, &run_id](OnAnswer<v1::RunResult> on_answer) {
    controller_.Result(run_id, std::move(on_answer));
  });
  if (!result) return;
  if (!result->ok()) return NoResult(run_id, result->status(), json, response);
  if (json) return response.set_content(ToJson(**result), "application/json");
  response.set_content(ResultPage(**result), kHtml);
}

void PageProtocol::NoResult(const std::string& run_id, const absl::Status& why, bool json,
                            httplib::Response& response) {
  if (absl::IsNotFound(why)) return NotFound(response, kNoSuchRun);
  if (!absl::IsFailedPrecondition(why)) return Failed(why, response);
  if (json) {
    response.status = 404;
    return response.set_content(absl::StrCat(why.message(), "\n"), kPlain);
  }
  const auto runs = List(response);
  if (!runs) return;
  for (const v1::RunSummary& run : *runs) {
    if (run.run_id() == run_id) return response.set_content(NoResultPage(run), kHtml);
  }
  NotFound(response, kNoSuchRun);
}

}  // namespace trunkload
