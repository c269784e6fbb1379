#include "controller/database.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "common/clock.h"
#include "controller/connect_error.h"

namespace trunkload {
namespace {

constexpr absl::Duration kCancelTimeout = absl::Seconds(2);
// A server of version 15 or later writes down what an idle session counted within 10 s.
constexpr absl::Duration kStatisticsTimeout = absl::Seconds(12);
constexpr absl::Duration kStatisticsInterval = absl::Milliseconds(200);
constexpr int64_t kNoTimeout = std::numeric_limits<int64_t>::max();

std::string Text(const char* text) {
  return text == nullptr ? "" : text;
}

ConnectTarget Describe(const PGconn* connection) {
  return {Text(PQhost(connection)), Text(PQport(connection)), Text(PQdb(connection)),
          Text(PQuser(connection))};
}

absl::Duration ConnectTimeout(PGconn* connection) {
  absl::Duration timeout = Database::kConnectTimeout;
  PQconninfoOption* options = PQconninfo(connection);
  for (PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    int seconds;
    if (std::strcmp(option->keyword, "connect_timeout") != 0 || option->val == nullptr) continue;
    if (absl::SimpleAtoi(option->val, &seconds) && seconds > 0) timeout = absl::Seconds(seconds);
  }
  PQconninfoFree(options);
  return timeout;
}

bool Distributed(const v1::Setup& setup, const v1::ServerInfo& info) {
  return setup.distribution() != v1::DISTRIBUTION_NONE && !info.citus_version().empty();
}

// NULL where the server keeps no statistics.
std::string RowsCountedByStatistics(absl::string_view table, bool distributed) {
  const std::string if_kept = " WHERE current_setting('track_counts')::boolean";
  if (distributed) {
    return absl::StrCat("SELECT sum(result::bigint) FROM run_command_on_placements('", table,
                        "', 'SELECT pg_stat_get_tuples_inserted(''%s''::regclass)')", if_kept,
                        " AND success");
  }
  return absl::StrCat("SELECT sum(pg_stat_get_tuples_inserted(relid)) FROM pg_partition_tree('", table, "')",
                      if_kept);
}

std::string Advice(absl::string_view sqlstate) {
  if (sqlstate == "42501")
    return "; the target's user needs a privilege for that: to make tables, CREATE on the schema and on the "
           "database";
  if (sqlstate == "25006") return "; the target is read-only: name the primary";
  if (sqlstate == "55P03") return "; another session uses the table: end it and try again";
  if (sqlstate == "53100") return "; the server's disk is full: free some space or load fewer rows";
  return "";
}

// What libpq is given to connect with: a list, so that single ones can be replaced.
class Parameters {
 public:
  explicit Parameters(const v1::Target& target) {
    // A service goes before the connection string; what neither says comes from libpq's environment.
    if (!target.service().empty()) {
      Add("service", target.service());
      return;
    }
    PQconninfoOption* options = PQconninfoParse(target.conninfo().c_str(), nullptr);
    // What libpq does not understand, it explains.
    if (options == nullptr) Add("dbname", target.conninfo());
    for (PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
      if (option->val != nullptr) Add(option->keyword, option->val);
    }
    PQconninfoFree(options);
  }
  void Add(std::string keyword, std::string value) {
    list_.emplace_back(std::move(keyword), std::move(value));
  }
  void Remove(absl::string_view keyword) {
    std::erase_if(list_, [keyword](const auto& one) { return one.first == keyword; });
  }
  void Set(const std::string& keyword, std::string value) {
    Remove(keyword);
    Add(keyword, std::move(value));
  }
  std::vector<const char*> keywords() const {
    std::vector<const char*> keywords;
    for (const auto& one : list_) keywords.push_back(one.first.c_str());
    keywords.push_back(nullptr);
    return keywords;
  }
  std::vector<const char*> values() const {
    std::vector<const char*> values;
    for (const auto& one : list_) values.push_back(one.second.c_str());
    values.push_back(nullptr);
    return values;
  }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

}  // namespace

void Database::FreeResult::operator()(PGresult* result) const {
  PQclear(result);
}

Database::Database(PGconn* connection, const Cancellation& cancellation)
    : connection_(connection), cancellation_(cancellation) {}

Database::~Database() {
  PQfinish(connection_);
}

absl::StatusOr<std::unique_ptr<Database>> Database::Connect(const v1::Target& target,
                                                            const Cancellation& cancellation,
                                                            const Options& options) {
  Parameters parameters(target);
  parameters.Add("fallback_application_name", "trunkload");
  if (!options.application_name.empty()) parameters.Set("application_name", options.application_name);
  if (options.connect_timeout > absl::ZeroDuration())
    parameters.Set("connect_timeout", absl::StrCat(absl::ToInt64Seconds(options.connect_timeout)));
  if (const size_t colon = options.server.rfind(':'); colon != std::string::npos) {
    parameters.Remove("hostaddr");
    parameters.Set("host", options.server.substr(0, colon));
    parameters.Set("port", options.server.substr(colon + 1));
  }
  PGconn* connection =
      PQconnectStartParams(parameters.keywords().data(), parameters.values().data(), /*expand_dbname=*/1);
  if (connection == nullptr) return absl::ResourceExhaustedError("out of memory for a database connection");
  // libpq would print them to standard error, in the midst of what a person reads there.
  PQsetNoticeReceiver(
      connection, [](void*, const PGresult*) {}, nullptr);
  std::unique_ptr<Database> database(new Database(connection, cancellation));
  const absl::Status status = database->FinishConnecting(ConnectTimeout(connection));
  if (!status.ok()) return status;
  return database;
}

absl::Status Database::FinishConnecting(absl::Duration timeout) {
  const SystemClock clock;
  const int64_t deadline_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(timeout);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(connection_) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
         next != PGRES_POLLING_FAILED) {
    const absl::Status waited =
        Wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns - clock.MonotonicNanos());
    if (absl::IsDeadlineExceeded(waited)) {
      return absl::UnavailableError(ConnectErrorText(
          Describe(connection_), absl::StrCat("no answer within ", absl::FormatDuration(timeout))));
    }
    if (!waited.ok()) return waited;
    next = PQconnectPoll(connection_);
  }
  if (PQstatus(connection_) == CONNECTION_OK) return absl::OkStatus();
  return absl::UnavailableError(ConnectErrorText(
      Describe(connection_), OneLine(PQerrorMessage(connection_), Text(PQpass(connection_)))));
}

absl::Status Database::Wait(short events, int64_t timeout_ns) {
  pollfd waiting[] = {{PQsocket(connection_), events, 0}, {cancellation_.fd(), POLLIN, 0}};
  const int timeout_ms =
      timeout_ns == kNoTimeout ? -1 : static_cast<int>(std::max<int64_t>(0, timeout_ns) / 1'000'000);
  const int ready = poll(waiting, 2, timeout_ms);
  if (waiting[1].revents != 0) return absl::CancelledError("cancelled");
  if (ready == 0) return absl::DeadlineExceededError("no answer in time");
  return absl::OkStatus();
}

void Database::AskServerToStop() {
  PGcancel* cancel = PQgetCancel(connection_);
  if (cancel == nullptr) return;
  // libpq waits for the server's answer, which a frozen one never gives: such a request is left behind.
  auto answered = std::make_shared<absl::Notification>();
  std::thread([cancel, answered] {
    char error[256];
    PQcancel(cancel, error, sizeof(error));
    PQfreeCancel(cancel);
    answered->Notify();
  }).detach();
  answered->WaitForNotificationWithTimeout(kCancelTimeout);
}

void Database::DropAnswer() {
  const SystemClock clock;
  const int64_t deadline_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(kCancelTimeout);
  while (true) {
    while (PQisBusy(connection_)) {
      if (!Wait(POLLIN, deadline_ns - clock.MonotonicNanos()).ok() || PQconsumeInput(connection_) == 0)
        return;
    }
    PGresult* const result = PQgetResult(connection_);
    if (result == nullptr) return;
    PQclear(result);
  }
}

absl::StatusOr<Database::Result> Database::Run(const std::string& what, const std::string& sql,
                                               absl::Duration timeout) {
  return Await(what, PQsendQuery(connection_, sql.c_str()) == 1, timeout);
}

absl::StatusOr<Database::Result> Database::Await(const std::string& what, bool sent, absl::Duration timeout,
                                                 absl::FunctionRef<void(const Result&)> on_result) {
  if (!sent && PQtransactionStatus(connection_) == PQTRANS_ACTIVE) {
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, ": the server has not answered an earlier question"));
  }
  const SystemClock clock;
  const int64_t deadline_ns = timeout == absl::InfiniteDuration()
                                  ? kNoTimeout
                                  : clock.MonotonicNanos() + absl::ToInt64Nanoseconds(timeout);
  Result last;
  while (sent) {
    while (PQisBusy(connection_)) {
      const int64_t left_ns = deadline_ns == kNoTimeout ? kNoTimeout : deadline_ns - clock.MonotonicNanos();
      if (absl::Status waited = Wait(POLLIN, left_ns); !waited.ok()) {
        AskServerToStop();
        if (!absl::IsDeadlineExceeded(waited)) return waited;
        DropAnswer();
        return absl::DeadlineExceededError(absl::StrCat("no answer within ", absl::FormatDuration(timeout)));
      }
      if (PQconsumeInput(connection_) == 0) break;
    }
    PGresult* result = PQgetResult(connection_);
    if (result == nullptr) break;
    last.reset(result);
    on_result(last);
  }
  const ExecStatusType status = PQresultStatus(last.get());
  if (sent && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)) return last;

  const std::string sqlstate = Text(PQresultErrorField(last.get(), PG_DIAG_SQLSTATE));
  if (sqlstate.empty()) {
    return absl::UnavailableError(
        absl::StrCat("cannot ", what, ": the connection to the target broke: ",
                     OneLine(PQerrorMessage(connection_), Text(PQpass(connection_)))));
  }
  const std::string detail = OneLine(Text(PQresultErrorField(last.get(), PG_DIAG_MESSAGE_DETAIL)));
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot ", what, ": ", OneLine(Text(PQresultErrorField(last.get(), PG_DIAG_MESSAGE_PRIMARY))),
      " (SQLSTATE ", sqlstate, ")", detail.empty() ? "" : absl::StrCat("; ", detail), Advice(sqlstate)));
}

absl::StatusOr<bool> Database::KeepsPreparedStatements(const v1::Target& target,
                                                       const Cancellation& cancellation,
                                                       absl::Duration timeout) {
  static constexpr char kName[] = "trunkload_probe";
  const std::string what = "see whether prepared statements are kept";
  auto one = Connect(target, cancellation);
  if (!one.ok()) return one.status();
  auto other = Connect(target, cancellation);
  if (!other.ok()) return other.status();
  PGconn* const connection = (*one)->connection_;
  absl::StatusOr<Result> result =
      (*one)->Await(what, PQsendPrepare(connection, kName, "SELECT 1", 0, nullptr) == 1, timeout);
  if (!result.ok()) return result.status();
  // The session that was given back last is taken first, by whoever comes next.
  result = (*other)->Run(what, "BEGIN", timeout);
  if (!result.ok()) return result.status();
  result = (*one)->Await(what, PQsendQueryPrepared(connection, kName, 0, nullptr, nullptr, nullptr, 0) == 1,
                         timeout);
  if (absl::IsFailedPrecondition(result.status())) return false;
  if (!result.ok()) return result.status();
  return true;
}

absl::StatusOr<bool> Database::KeepsSessions(const v1::Target& target, const Cancellation& cancellation,
                                             absl::Duration timeout) {
  const std::string what = "see whether a connection keeps its session";
  const std::string pid = "SELECT pg_catalog.pg_backend_pid()";
  auto one = Connect(target, cancellation);
  if (!one.ok()) return one.status();
  auto other = Connect(target, cancellation);
  if (!other.ok()) return other.status();
  const absl::StatusOr<std::string> before = (*one)->ReadValue(what, pid, timeout);
  if (!before.ok()) return before.status();
  // The session that was given back last is taken first, by whoever comes next.
  const absl::StatusOr<Result> taken = (*other)->Run(what, "BEGIN", timeout);
  if (!taken.ok()) return taken.status();
  const absl::StatusOr<std::string> after = (*one)->ReadValue(what, pid, timeout);
  if (!after.ok()) return after.status();
  return *before == *after;
}

std::string Database::server() const {
  return absl::StrCat(Text(PQhost(connection_)), ":", Text(PQport(connection_)));
}

absl::StatusOr<std::string> Database::ReadValue(const std::string& what, const std::string& sql,
                                                absl::Duration timeout) {
  absl::StatusOr<Result> result = Run(what, sql, timeout);
  if (!result.ok()) return result.status();
  return PQntuples(result->get()) == 0 ? std::string() : std::string(PQgetvalue(result->get(), 0, 0));
}

absl::Status Database::ReadRows(const std::string& what, const std::string& sql, OnRow on_row,
                                absl::Duration timeout) {
  const bool sent = PQsendQuery(connection_, sql.c_str()) == 1 && PQsetSingleRowMode(connection_) == 1;
  std::vector<absl::string_view> values;
  return Await(what, sent, timeout,
               [&](const Result& result) {
                 if (PQresultStatus(result.get()) != PGRES_SINGLE_TUPLE) return;
                 values.clear();
                 for (int i = 0; i < PQnfields(result.get()); ++i) {
                   values.emplace_back(PQgetvalue(result.get(), 0, i),
                                       static_cast<size_t>(PQgetlength(result.get(), 0, i)));
                 }
                 on_row(values);
               })
      .status();
}

absl::Status Database::SetUpTables(const std::vector<std::string>& tables, const SetUpTask& task,
                                   OnTask on_task) {
  return WithLimitedWaitsForLocks([&] {
    // What lies beside another goes first.
    for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
      if (absl::Status status = DropMadeBefore(*table); !status.ok()) return status;
    }
    return RunTasks({task}, on_task);
  });
}

int Database::backend_pid() const {
  return PQbackendPID(connection_);
}

absl::StatusOr<v1::ServerInfo> Database::ReadServerInfo(absl::Duration timeout) {
  v1::ServerInfo info;
  const std::string what = "read what server the target is";
  absl::StatusOr<std::string> version = ReadValue(what, "SHOW server_version");
  if (!version.ok()) return version.status();
  // "15.4 (Debian 15.4-1)": the packager's own mark says nothing here.
  info.set_postgresql_version(
      std::pair<std::string, std::string>(absl::StrSplit(*version, absl::MaxSplits(' ', 1))).first);

  absl::StatusOr<std::string> citus =
      ReadValue(what, "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'", timeout);
  if (!citus.ok()) return citus.status();
  info.set_citus_version(*citus);
  absl::StatusOr<std::string> has_nodes =
      ReadValue(what, "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_node')", timeout);
  if (!has_nodes.ok()) return has_nodes.status();
  if (citus->empty() || has_nodes->empty()) return info;

  absl::StatusOr<std::string> workers = ReadValue(what,
                                                  "SELECT count(*) FROM pg_catalog.pg_dist_node WHERE "
                                                  "isactive AND shouldhaveshards AND noderole = 'primary'",
                                                  timeout);
  if (!workers.ok()) return workers.status();
  uint32_t count = 0;
  if (absl::SimpleAtoi(*workers, &count)) info.set_citus_workers(count);
  return info;
}

absl::Status Database::SetUp(const v1::Setup& setup, v1::ServerInfo& info, OnTask on_task) {
  if (setup.distribution() == v1::DISTRIBUTION_CITUS && info.citus_version().empty()) {
    return absl::FailedPreconditionError(
        "setup.distribution is citus, but the citus extension is not in the target's database: run "
        "CREATE EXTENSION citus there, or set setup.distribution to auto or none");
  }
  info.set_distributed(Distributed(setup, info));
  std::vector<SetUpTask> tasks = TasksBeforeLoad(setup, info.distributed());
  for (const SetUpTask& task : TasksAfterLoad(setup, info.distributed())) tasks.push_back(task);
  const bool foreign_keys = std::any_of(tasks.begin(), tasks.end(),
                                        [](const SetUpTask& task) { return task.name == "foreign keys"; });
  if (foreign_keys && info.distributed() && setup.distribute_by() != v1::DISTRIBUTE_BY_REFERENCE) {
    return absl::FailedPreconditionError(
        "Citus can't hold the foreign keys of pgbench's tables as they are distributed: set "
        "setup.distribute_by to "
        "reference, setup.distribution to none, or leave the foreign keys out");
  }
  if (info.distributed() && !setup.tablespace().empty()) {
    return absl::FailedPreconditionError(
        "Citus makes the shards of distributed tables in the default tablespace: leave setup.tablespace out, "
        "or set setup.distribution to none");
  }
  return WithLimitedWaitsForLocks([&] {
    if (setup.workload() == v1::WORKLOAD_USERS) {
      on_task("drop tables");
      if (absl::Status status = DropMadeBefore("users"); !status.ok()) return status;
    }
    return RunTasks(TasksBeforeLoad(setup, info.distributed()), on_task);
  });
}

absl::Status Database::Finish(const v1::Setup& setup, v1::ServerInfo& info, bool smoothly, OnTask on_task) {
  info.set_distributed(Distributed(setup, info));
  const std::vector<SetUpTask> tasks = TasksAfterLoad(setup, info.distributed());
  const absl::Status done = WithLimitedWaitsForLocks([&] { return RunTasks(tasks, on_task); });
  if (!done.ok()) return done;
  const std::vector<ExpectedRows> loaded = RowsToExpect(setup);
  std::vector<ExpectedRows> expected = loaded;
  const bool keys = std::any_of(tasks.begin(), tasks.end(),
                                [](const SetUpTask& task) { return task.name == "primary keys"; });
  if (smoothly && keys && !info.distributed() && !expected.empty()) expected.erase(expected.begin());
  if (absl::Status counted = CountRows(expected, on_task); !counted.ok()) return counted;
  return WaitForStatistics(loaded, info.distributed(), on_task);
}

absl::Status Database::WithLimitedWaitsForLocks(absl::FunctionRef<absl::Status()> work) {
  absl::Status status = Run("prepare the session", "SET lock_timeout = '10s'").status();
  if (status.ok()) status = work();
  if (absl::IsCancelled(status)) return status;
  // A pooler gives the session to the load next.
  const absl::Status reset = Run("put the session back", "RESET lock_timeout").status();
  return status.ok() ? reset : status;
}

absl::Status Database::RunTasks(const std::vector<SetUpTask>& tasks, OnTask on_task) {
  for (const SetUpTask& task : tasks) {
    on_task(task.name);
    for (const SetUpStatement& statement : task.statements) {
      if (absl::Status status = Run(statement.what, statement.sql).status(); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Database::CountRows(const std::vector<ExpectedRows>& expected, OnTask on_task) {
  if (!expected.empty()) on_task("count rows");
  for (const auto& [table, rows] : expected) {
    absl::StatusOr<std::string> counted =
        ReadValue(absl::StrCat("count the rows of ", table), absl::StrCat("SELECT count(*) FROM ", table));
    if (!counted.ok()) return counted.status();
    if (*counted != absl::StrCat(rows)) {
      return absl::DataLossError(
          absl::StrCat("the table ", table, " has ", *counted, " rows in place of the ", rows,
                       " that were loaded: see whether another session writes to it, and "
                       "set it up again"));
    }
  }
  return absl::OkStatus();
}

absl::Status Database::WaitForStatistics(const std::vector<ExpectedRows>& loaded, bool distributed,
                                         OnTask on_task) {
  const SystemClock clock;
  const int64_t deadline_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(kStatisticsTimeout);
  bool told = false;
  for (const auto& [table, rows] : loaded) {
    const std::string sql = RowsCountedByStatistics(table, distributed);
    while (true) {
      uint64_t counted = 0;
      const absl::StatusOr<std::string> value =
          ReadValue(absl::StrCat("read the statistics of ", table), sql, kStatisticsTimeout);
      // They are the observer's, whose failure fails no run: only a cancelled one ends here.
      if (absl::IsCancelled(value.status())) return value.status();
      if (!value.ok() || !absl::SimpleAtoi(*value, &counted) || counted >= rows) break;
      if (clock.MonotonicNanos() >= deadline_ns) {
        on_task("leave statistics behind");
        return absl::OkStatus();
      }
      if (!told) on_task("wait for statistics");
      told = true;
      const absl::Status waited = Wait(0, absl::ToInt64Nanoseconds(kStatisticsInterval));
      if (absl::IsCancelled(waited)) return waited;
    }
  }
  return absl::OkStatus();
}

absl::Status Database::DropMadeBefore(const std::string& table) {
  absl::StatusOr<Result> found =
      Run(absl::StrCat("look for the table ", table),
          absl::StrCat(
              "SELECT c.oid::pg_catalog.regclass, n.nspname, pg_catalog.obj_description(c.oid, 'pg_class') "
              "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
              "WHERE c.oid = pg_catalog.to_regclass('",
              table, "')"));
  if (!found.ok()) return found.status();
  if (PQntuples(found->get()) == 0) return absl::OkStatus();
  if (!absl::StartsWith(PQgetvalue(found->get(), 0, 2), kTableMark)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the target's database already has a table ", table, " in schema ", PQgetvalue(found->get(), 0, 1),
        " that Trunkload did not make, and it is left alone: name another database in the target",
        table == "users"
            ? ", rename that table, or take setup out of the plan to insert into the table as it is"
            : ", or rename that table"));
  }
  return Run(absl::StrCat("drop the table ", table, " of an earlier run"),
             absl::StrCat("DROP TABLE ", PQgetvalue(found->get(), 0, 0)))
      .status();
}

}  // namespace trunkload
