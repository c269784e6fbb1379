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

// Tells our tables from the user's. Whatever starts so may be dropped by the next run.
constexpr absl::string_view kMark = "made by Trunkload";
// So many rows take a second or so, after which a cancellation is noticed even if the server did not hear of
// it.
constexpr uint64_t kRowsPerInsert = 100'000;
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

std::string Advice(absl::string_view sqlstate) {
  if (sqlstate == "42501") return "; the target's user needs CREATE on the schema and on the database";
  if (sqlstate == "25006") return "; the target is read-only: name the primary";
  if (sqlstate == "55P03") return "; another session uses the table: end it and try again";
  if (sqlstate == "53100") return "; the server's disk is full: free some space or load fewer rows";
  return "";
}

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
                                                            const Cancellation& cancellation) {
  // A service goes before the connection string; what neither says comes from libpq's environment.
  const bool service = !target.service().empty();
  const char* keywords[] = {service ? "service" : "dbname", "fallback_application_name", nullptr};
  const char* values[] = {service ? target.service().c_str() : target.conninfo().c_str(), "trunkload",
                          nullptr};
  PGconn* connection = PQconnectStartParams(keywords, values, /*expand_dbname=*/1);
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

absl::StatusOr<Database::Result> Database::Run(const std::string& what, const std::string& sql) {
  Result last;
  bool sent = PQsendQuery(connection_, sql.c_str()) == 1;
  while (sent) {
    while (PQisBusy(connection_)) {
      if (absl::Status waited = Wait(POLLIN, kNoTimeout); !waited.ok()) {
        AskServerToStop();
        return waited;
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

absl::StatusOr<std::string> Database::ReadValue(const std::string& what, const std::string& sql) {
  absl::StatusOr<Result> result = Run(what, sql);
  if (!result.ok()) return result.status();
  return PQntuples(result->get()) == 0 ? std::string() : std::string(PQgetvalue(result->get(), 0, 0));
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

absl::Status Database::SetUp(const v1::Setup& setup, v1::ServerInfo& info) {
  if (setup.distribution() == v1::DISTRIBUTION_CITUS && info.citus_version().empty()) {
    return absl::FailedPreconditionError(
        "setup.distribution is citus, but the citus extension is not in the target's database: run "
        "CREATE EXTENSION citus there, or set setup.distribution to auto or none");
  }
  const bool distributed = setup.distribution() != v1::DISTRIBUTION_NONE && !info.citus_version().empty();
  absl::Status status = MakeUsers(distributed);
  if (status.ok()) status = LoadUsers(setup.rows());
  if (!status.ok()) return status;
  info.set_distributed(distributed);
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
  if (!absl::StartsWith(PQgetvalue(found->get(), 0, 2), kMark)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the target's database already has a table users in schema ", PQgetvalue(found->get(), 0, 1),
        " that Trunkload did not make, and it is left alone: name another database in the target, rename "
        "that table, or take setup out of the plan to insert into the table as it is"));
  }
  return Run("drop the table users of an earlier run",
             absl::StrCat("DROP TABLE ", PQgetvalue(found->get(), 0, 0)))
      .status();
}

absl::Status Database::MakeUsers(bool distributed) {
  absl::Status status = Run("start to make tables", "BEGIN; SET LOCAL lock_timeout = '10s'").status();
  if (status.ok()) status = DropUsersMadeBefore();
  if (status.ok()) {
    status = Run("make the table users",
                 absl::StrCat(
                     "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, "
                     "created_at timestamptz NOT NULL DEFAULT now()); COMMENT ON TABLE users IS '",
                     kMark, "; the next run that sets this workload up drops it'"))
                 .status();
  }
  if (status.ok() && distributed) {
    status = Run("distribute the table users (setup.distribution: none makes a plain one)",
                 "SELECT create_distributed_table('users', 'id')")
                 .status();
  }
  if (status.ok()) status = Run("make the table users", "COMMIT").status();
  return status;
}

absl::Status Database::LoadUsers(uint64_t rows) {
  for (uint64_t first = 1; first <= rows; first += kRowsPerInsert) {
    const uint64_t last = std::min(rows, first + kRowsPerInsert - 1);
    const absl::Status status =
        Run(absl::StrCat("load rows ", first, " to ", last, " of the table users"),
            absl::StrCat(
                "INSERT INTO users (id, name, email) SELECT n, 'user ' || n, 'user' || n || '@example.com' "
                "FROM generate_series(",
                first, "::bigint, ", last, "::bigint) AS n"))
            .status();
    if (!status.ok()) return status;
  }
  return rows == 0 ? absl::OkStatus() : Run("analyze the table users", "ANALYZE users").status();
}

}  // namespace trunkload
