#include "common/host_port.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace trunkload {

absl::StatusOr<HostPort> HostPort::Parse(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  if (colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &parsed.port) &&
      parsed.port >= 0 && parsed.port <= 65535) {
    parsed.host = address.substr(0, colon);
    const bool brackets = absl::StartsWith(parsed.host, "[") && absl::EndsWith(parsed.host, "]");
    if (brackets) parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    if (brackets || !absl::StrContains(parsed.host, ':')) return parsed;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(address, " is not HOST:PORT, as in 10.0.0.5:7400 or [::1]:7400"));
}

bool HostPort::IsLoopback() const {
  if (host == "localhost") return true;
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace trunkload
