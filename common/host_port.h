#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace trunkload {

// HOST:PORT, where HOST is a name, an IPv4 address, or an IPv6 address in brackets.
struct HostPort {
  std::string host;  // without brackets; empty where there was none
  int port = 0;

  // INVALID_ARGUMENT where it is not of that form.
  static absl::StatusOr<HostPort> Parse(const std::string& address);
  // Whether nobody but this machine is reached by it: no name but localhost is looked up.
  bool IsLoopback() const;
};

}  // namespace trunkload
