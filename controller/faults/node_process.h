#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trunkload {

// A process, told apart from a later one of the same number by when it started, in ticks since the machine's
// start.
struct ProcessId {
  pid_t pid = 0;
  uint64_t started = 0;
};

// The PostgreSQL server of this machine that listens at an address: found through /proc by the socket that it
// listens on, so that it need not answer. Only ever signals its own processes, the postmaster and those that
// this has started. Calls block for moments. Not thread-safe.
class NodeProcess {
 public:
  // `address`: HOST:PORT, or DIRECTORY:PORT of a socket. FAILED_PRECONDITION where there is none on this
  // machine, or none that this process may signal.
  static absl::StatusOr<NodeProcess> Find(const std::string& address);

  const ProcessId& postmaster() const { return postmaster_; }
  const std::string& directory() const { return directory_; }
  // Of the same version as the server: "pg_ctl".
  std::string Program(const std::string& name) const { return programs_ + "/" + name; }
  // What the server was started with, after its data directory.
  const std::vector<std::string>& options() const { return options_; }
  // What it writes its log to; /dev/null where that is no file.
  const std::string& log() const { return log_; }
  // Whom it runs as; empty: whom this process does.
  const std::string& user() const { return user_; }
  bool listens_on_ipv4() const { return ipv4_; }
  bool listens_on_ipv6() const { return ipv6_; }

  // Keeps all of them from running. UNAVAILABLE where one can't be reached, as when the server has ended
  // meanwhile.
  absl::Status Pause();
  // Ends all of them at once, and waits until they have.
  absl::Status Kill();

 private:
  // With its postmaster stopped, so that none is added.
  absl::StatusOr<std::vector<ProcessId>> StopAndList();

  ProcessId postmaster_;
  std::string directory_;
  std::string programs_;
  std::vector<std::string> options_;
  std::string log_;
  std::string user_;
  bool ipv4_ = false;
  bool ipv6_ = false;
};

}  // namespace trunkload
