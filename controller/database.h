#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "controller/workload/set_up_steps.h"
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

  struct Options {
    // What the connection calls itself; empty: "trunkload", where the target does not say.
    std::string application_name = {};
    // HOST:PORT in place of the target's; empty: the target's.
    std::string server = {};
    // In place of the target's; zero: the target's.
    absl::Duration connect_timeout = absl::ZeroDuration();
  };
  // The cancellation must outlive the database. UNAVAILABLE with what was tried, what came and what to check.
  static absl::StatusOr<std::unique_ptr<Database>> Connect(const v1::Target& target,
                                                           const Cancellation& cancellation,
                                                           const Options& options);
  static absl::StatusOr<std::unique_ptr<Database>> Connect(const v1::Target& target,
                                                           const Cancellation& cancellation) {
    return Connect(target, cancellation, Options());
  }
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::StatusOr<v1::ServerInfo> ReadServerInfo(absl::Duration timeout = absl::InfiniteDuration());
  // Whether a statement that was prepared in one transaction is there in the next: a pooler may give that
  // another session. Two connections to the target are needed; DEADLINE_EXCEEDED where it has no second one
  // within the time.
  static absl::StatusOr<bool> KeepsPreparedStatements(const v1::Target& target,
                                                      const Cancellation& cancellation,
                                                      absl::Duration timeout);
  // Whether a connection has one session of the server's to itself: a pooler may give each transaction
  // another. As above.
  static absl::StatusOr<bool> KeepsSessions(const v1::Target& target, const Cancellation& cancellation,
                                            absl::Duration timeout);
  // Of the backend, as whoever answers had it when the connection was opened.
  int backend_pid() const;
  // HOST:PORT that it is connected to.
  std::string server() const;
  // One statement; its error starts with "cannot " + what.
  absl::Status Execute(const std::string& what, const std::string& sql) { return Run(what, sql).status(); }
  // The single value of a statement, "" for NULL and for no row.
  // DEADLINE_EXCEEDED where that takes longer: the connection is then of no use any more.
  absl::StatusOr<std::string> ReadValue(const std::string& what, const std::string& sql,
                                        absl::Duration timeout = absl::InfiniteDuration());
  // Its rows, one by one: the values of a row as text, "" for NULL, which are there until the next.
  // DEADLINE_EXCEEDED as above.
  using OnRow = absl::FunctionRef<void(const std::vector<absl::string_view>& values)>;
  absl::Status ReadRows(const std::string& what, const std::string& sql, OnRow on_row,
                        absl::Duration timeout = absl::InfiniteDuration());
  // Called as each task of setting tables up begins, with its name.
  using OnTask = absl::FunctionRef<void(const std::string& name)>;
  // Makes the tables of a plan's checks anew. FAILED_PRECONDITION where one that Trunkload did not make is in
  // the way.
  absl::Status SetUpTables(const std::vector<std::string>& tables, const SetUpTask& task, OnTask on_task);
  // Makes the tables, and fills those that the agents don't; `info` is what ReadServerInfo found, and learns
  // whether they are distributed. FAILED_PRECONDITION where a table that Trunkload did not make is in the
  // way, or citus is asked for and not there.
  absl::Status SetUp(const v1::Setup& setup, v1::ServerInfo& info, OnTask on_task);
  // Does what is left to do once the agents have loaded their rows, if they had any, and counts rows:
  // DATA_LOSS where they are not those that were to be loaded. Rows of a table that is not distributed, that
  // were loaded `smoothly` (each transaction at its first attempt) and have got a primary key need no
  // counting: the server has told how many it wrote, and that none is there twice.
  absl::Status Finish(const v1::Setup& setup, v1::ServerInfo& info, bool smoothly, OnTask on_task);

 private:
  struct FreeResult {
    void operator()(pg_result* result) const;
  };
  using Result = std::unique_ptr<pg_result, FreeResult>;

  Database(pg_conn* connection, const Cancellation& cancellation);

  absl::Status FinishConnecting(absl::Duration timeout);
  // What is under way, to its end.
  absl::StatusOr<Result> Await(const std::string& what, bool sent, absl::Duration timeout) {
    return Await(what, sent, timeout, [](const Result&) {});
  }
  // `on_result`: called with each on the way, the last one too.
  absl::StatusOr<Result> Await(const std::string& what, bool sent, absl::Duration timeout,
                               absl::FunctionRef<void(const Result&)> on_result);
  absl::StatusOr<Result> Run(const std::string& what, const std::string& sql,
                             absl::Duration timeout = absl::InfiniteDuration());
  // Waits for the socket, the cancellation or the time-out (INT64_MAX: none).
  absl::Status Wait(short events, int64_t timeout_ns);
  void AskServerToStop();
  // Of what it was asked to stop, where it comes soon: the connection can be used again then.
  void DropAnswer();

  absl::Status DropMadeBefore(const std::string& table);
  // Whoever holds a table for long is named by an error rather than waited for.
  absl::Status WithLimitedWaitsForLocks(absl::FunctionRef<absl::Status()> work);
  absl::Status RunTasks(const std::vector<SetUpTask>& tasks, OnTask on_task);
  absl::Status CountRows(const std::vector<ExpectedRows>& expected, OnTask on_task);
  // A session counts its rows in the server's statistics when it ends or was idle for long, which one that a
  // pooler keeps open may do in the middle of the load: rows that were loaded would pass for the load's.
  absl::Status WaitForStatistics(const std::vector<ExpectedRows>& loaded, bool distributed, OnTask on_task);

  pg_conn* const connection_;
  const Cancellation& cancellation_;
};

}  // namespace trunkload
