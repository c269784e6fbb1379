#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"

namespace trunkload {

// The sockets of this machine that take connections to an address.
struct Listeners {
  // As /proc/PID/fd links to them: "socket:[4711]".
  std::set<std::string> sockets;
  bool ipv4 = false;
  bool ipv6 = false;
};

// `address`: HOST:PORT, or DIRECTORY:PORT of a PostgreSQL server's socket. FAILED_PRECONDITION where that is
// no address of this machine, or nothing listens there. Blocks while the name is looked up.
absl::StatusOr<Listeners> FindListeners(const std::string& address);

}  // namespace trunkload
