#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

struct pg_conn;
struct pg_result;

namespace trunkload {

// The controller's connection to the database under load: finds out what server it is and makes a plan's
// tables. Calls block until they are done or the cancellation is set: CANCELLED then, and the server has been
// asked to stop. No error holds a password. Not thread-safe.
class Database {
 public:
  // Where the target names no connect_timeout.
  static constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

  // The cancellation must outlive the database. UNAVAILABLE with what was tried, what came and what to check.
  static absl::StatusOr<std::unique_ptr<Database>> Connect(const v1::Target& target,
                                                           const Cancellation& cancellation);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::StatusOr<v1::ServerInfo> ReadServerInfo();
  // Makes and loads the tables; `info` is what ReadServerInfo found, and learns whether they are distributed.
  // FAILED_PRECONDITION where a table that Trunkload did not make is in the way, or citus is asked for and
  // not there.
  absl::Status SetUp(const v1::Setup& setup, v1::ServerInfo& info);

 private:
  struct FreeResult {
    void operator()(pg_result* result) const;
  };
  using Result = std::unique_ptr<pg_result, FreeResult>;

  Database(pg_conn* connection, const Cancellation& cancellation);

  absl::Status FinishConnecting(absl::Duration timeout);
  // One statement; its error starts with "cannot " + what.
  absl::StatusOr<Result> Run(const std::string& what, const std::string& sql);
  // The single value of a statement, "" for NULL and for no row.
  absl::StatusOr<std::string> ReadValue(const std::string& what, const std::string& sql);
  // Waits for the socket, the cancellation or the time-out (INT64_MAX: none).
  absl::Status Wait(short events, int64_t timeout_ns);
  void AskServerToStop();

  absl::Status DropUsersMadeBefore();
  absl::Status MakeUsers(bool distributed);
  absl::Status LoadUsers(uint64_t rows);

  pg_conn* const connection_;
  const Cancellation& cancellation_;
};

}  // namespace trunkload
