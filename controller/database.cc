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
  if (const size_t colon = options.server.rfind(':'); colon != std::string::npos) {
    parameters.Remove("hostaddr");
    parameters.Set("host", options.server.substr(0, colon));
    parameters.Set("port", options.server.substr(colon + 1));
  }
  PGconn* connection =
      PQconnectStartParams(parameters.keywords().data(), parameters.values().data(), /*expand_dbname=*/1);
  if (connection == nullptr) return absl::ResourceExhaustedError("out of memory for a database connection");
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

absl::StatusOr<Database::Result> Database::Run(const std::string& what, const std::string& sql,
                                               absl::Duration timeout) {
  return Await(what, PQsendQuery(connection_, sql.c_str()) == 1, timeout);
}

absl::StatusOr<Database::Result> Database::Await(const std::string& what, bool sent, absl::Duration timeout) {
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
        return absl::DeadlineExceededError(absl::StrCat("no answer within ", absl::FormatDuration(timeout)));
      }
      if (PQconsumeInput(connection_) == 0) break;
    }
    PGresult* result = PQgetResult(connection_);
    if (result == nullptr) break;
    last.reset(result);
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

std::string Database::server() const {
  return absl::StrCat(Text(PQhost(connection_)), ":", Text(PQport(connection_)));
}

absl::StatusOr<std::string> Database::ReadValue(const std::string& what, const std::string& sql,
                                                absl::Duration timeout) {
  absl::StatusOr<Result> result = Run(what, sql, timeout);
  if (!result.ok()) return result.status();
  return PQntuples(result->get()) == 0 ? std::string() : std::string(PQgetvalue(result->get(), 0, 0));
}

int Database::backend_pid() const {
  return PQbackendPID(connection_);
}

absl::StatusOr<v1::ServerInfo> Database::ReadServerInfo() {
  v1::ServerInfo info;
  const std::string what = "read what server the target is";
  absl::StatusOr<std::string> version = ReadValue(what, "SHOW server_version");
  if (!version.ok()) return version.status();
  // "15.4 (Debian 15.4-1)": the packager's own mark says nothing here.
  info.set_postgresql_version(
      std::pair<std::string, std::string>(absl::StrSplit(*version, absl::MaxSplits(' ', 1))).first);

  absl::StatusOr<std::string> citus =
      ReadValue(what, "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'");
  if (!citus.ok()) return citus.status();
  info.set_citus_version(*citus);
  absl::StatusOr<std::string> has_nodes =
      ReadValue(what, "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_node')");
  if (!has_nodes.ok()) return has_nodes.status();
  if (citus->empty() || has_nodes->empty()) return info;

  absl::StatusOr<std::string> workers = ReadValue(what,
                                                  "SELECT count(*) FROM pg_catalog.pg_dist_node WHERE "
                                                  "isactive AND shouldhaveshards AND noderole = 'primary'");
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
  absl::Status status = LimitWaitsForLocks();
  if (status.ok() && setup.workload() == v1::WORKLOAD_USERS) {
    on_task("drop tables");
    status = DropUsersMadeBefore();
  }
  if (status.ok()) status = RunTasks(TasksBeforeLoad(setup, info.distributed()), on_task);
  return status;
}

absl::Status Database::Finish(const v1::Setup& setup, v1::ServerInfo& info, bool smoothly, OnTask on_task) {
  info.set_distributed(Distributed(setup, info));
  const std::vector<SetUpTask> tasks = TasksAfterLoad(setup, info.distributed());
  if (absl::Status status = LimitWaitsForLocks(); !status.ok()) return status;
  if (absl::Status status = RunTasks(tasks, on_task); !status.ok()) return status;
  std::vector<ExpectedRows> expected = RowsToExpect(setup);
  const bool keys = std::any_of(tasks.begin(), tasks.end(),
                                [](const SetUpTask& task) { return task.name == "primary keys"; });
  if (smoothly && keys && !info.distributed() && !expected.empty()) expected.erase(expected.begin());
  return CountRows(expected, on_task);
}

absl::Status Database::LimitWaitsForLocks() {
  return Run("prepare the session", "SET lock_timeout = '10s'").status();
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

absl::Status Database::DropUsersMadeBefore() {
  absl::StatusOr<Result> found =
      Run("look for the table users",
          "SELECT c.oid::pg_catalog.regclass, n.nspname, pg_catalog.obj_description(c.oid, 'pg_class') "
          "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
          "WHERE c.oid = pg_catalog.to_regclass('users')");
  if (!found.ok()) return found.status();
  if (PQntuples(found->get()) == 0) return absl::OkStatus();
  if (!absl::StartsWith(PQgetvalue(found->get(), 0, 2), kTableMark)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the target's database already has a table users in schema ", PQgetvalue(found->get(), 0, 1),
        " that Trunkload did not make, and it is left alone: name another database in the target, rename "
        "that table, or take setup out of the plan to insert into the table as it is"));
  }
  return Run("drop the table users of an earlier run",
             absl::StrCat("DROP TABLE ", PQgetvalue(found->get(), 0, 0)))
      .status();
}

}  // namespace trunkload
