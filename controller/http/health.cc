#include "controller/http/health.h"

#include <httplib.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controller/http/access_rules.h"

namespace trunkload {
namespace {

constexpr int kTimeoutSeconds = 5;

std::string Why(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "nobody listens there, or it is out of reach";
    case httplib::Error::Read:
      return "what listens there gave no answer in HTTP";
    case httplib::Error::SSLConnection:
      return "what listens there speaks no TLS";
    default:
      return httplib::to_string(error);
  }
}

}  // namespace

absl::Status CheckHealth(const std::string& url) {
  if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) {
    return absl::InvalidArgumentError(
        "a URL begins with http:// or https://, as in http://127.0.0.1:7480/healthz");
  }
  const size_t slash = url.find('/', url.find("://") + 3);
  httplib::Client client(url.substr(0, slash));
  client.set_connection_timeout(kTimeoutSeconds);
  client.set_read_timeout(kTimeoutSeconds);
  client.enable_server_certificate_verification(false);
  const httplib::Result result =
      client.Get(slash == std::string::npos ? std::string(kHealthPath) : url.substr(slash));
  if (!result) {
    return absl::UnavailableError(absl::StrCat(url, " does not answer: ", Why(result.error())));
  }
  if (result->status != 200 || !absl::StartsWith(result->body, "ok"))
    return absl::UnavailableError(absl::StrCat(url, " is not healthy: status ", result->status));
  return absl::OkStatus();
}

}  // namespace trunkload
