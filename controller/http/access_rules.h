#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// What of a request the rules look at. Absent headers are none, not empty.
struct HttpAsk {
  std::string method;
  std::string path;
  bool has_body = false;
  std::optional<std::string> host;
  std::optional<std::string> origin;
  std::optional<std::string> sec_fetch_site;
  std::optional<std::string> authorization;
};

struct HttpRules {
  // Only programs of this machine reach the page. What their Host header says is then known, and another one
  // is that of a site whose name was made to point here.
  bool loopback = true;
  // Asked for where there is one.
  std::optional<std::string> token;
};

struct HttpRefusal {
  int status = 403;
  // For the person who reads it.
  std::string sentence;
};

constexpr absl::string_view kHealthPath = "/healthz";

// Why a request is not answered; none: it is. Whether somebody is alive may be asked by anybody.
std::optional<HttpRefusal> CheckHttpAccess(const HttpAsk& ask, const HttpRules& rules);

// Whether a host, without a port, is this machine as only itself sees it.
bool IsLoopbackHost(absl::string_view host);

}  // namespace trunkload
