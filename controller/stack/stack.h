#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/cancellation.h"
#include "controller/stack/installation.h"
#include "controller/stack/node.h"

namespace trunkload {

// A throwaway database on this machine: one PostgreSQL server, or a Citus coordinator with workers where the
// extension is installed. All of it lives in one directory; whoever knows the directory can find the stack
// again. The system's own clusters are left alone. Calls block. Not thread-safe.
class Stack {
 public:
  struct State {
    std::string conninfo;
    std::string postgresql_version;
    std::string citus_version;  // empty without Citus
    std::vector<int> worker_ports;
    bool citus_installed = false;
  };

  // Of the calling user.
  static std::filesystem::path DefaultDirectory();

  explicit Stack(std::filesystem::path directory);

  // ALREADY_EXISTS when it is up. What is left of one that is not is thrown away. Nothing is left of one that
  // failed or was cancelled.
  absl::StatusOr<State> Up(int workers, const Cancellation& cancellation);
  // Stops everything and removes the directory; OK too when there is nothing.
  absl::Status Down();
  // NOT_FOUND when it is not up.
  absl::StatusOr<State> Status() const;

 private:
  absl::Status MakeDirectory(const std::string& user);
  absl::StatusOr<State> MakeNodes(const Installation& installation, int workers, const std::string& user,
                                  const Cancellation& cancellation);
  absl::Status WriteState(const State& state) const;
  std::vector<PostgresNode> FindNodes(const Installation& installation, const std::string& user) const;

  const std::filesystem::path directory_;
};

}  // namespace trunkload
