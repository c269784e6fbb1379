#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/stack/installation.h"

namespace trunkload {

// One PostgreSQL server of the stack, in a directory of its own, reached on loopback only. Calls block. Not
// thread-safe.
class PostgresNode {
 public:
  // `user`: whom the server runs as; empty is the caller.
  PostgresNode(Installation installation, std::filesystem::path directory, std::string user);

  // Makes the server's files, with lines of its own in postgresql.conf.
  absl::Status Init(int port, const std::vector<std::string>& settings);
  absl::Status Start();
  bool Running() const;
  // Without effect where it is not running. What it holds is thrown away anyway, so it does not shut down
  // with care.
  absl::Status Stop();
  // As its superuser. The single value of the last statement, if it has one.
  absl::StatusOr<std::string> Sql(const std::string& database, const std::string& sql);

  int port() const { return port_; }

 private:
  // Of the running server, 0 where there is none.
  pid_t Pid() const;
  std::string LogTail() const;

  const Installation installation_;
  const std::filesystem::path directory_;
  const std::string user_;
  int port_ = 0;
};

}  // namespace trunkload
