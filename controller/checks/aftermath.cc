#include "controller/checks/aftermath.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/clock.h"
#include "controller/citus/node_queries.h"
#include "controller/citus/sql_text.h"
#include "controller/database.h"
#include "controller/plan/conninfo.h"

namespace trunkload {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(300);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);

// Sessions of agents, and on workers those of other nodes, in the middle of something.
std::string BusySessions(const std::string& application_name) {
  return absl::StrCat(
      "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid() AND "
      "backend_type = 'client backend' AND datname = pg_catalog.current_database() AND state <> 'idle' AND ",
      "(application_name LIKE ", SqlLiteral(absl::StrCat(kAgentName, "%")),
      application_name.empty() ? "" : absl::StrCat(" OR application_name = ", SqlLiteral(application_name)),
      " OR application_name LIKE 'citus\\_internal%')");
}

// In one value: gid and time, a line each.
constexpr char kPrepared[] =
    "SELECT coalesce(string_agg(gid || ' ' || to_char(prepared AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), E'\\n' ORDER BY gid), '') FROM pg_catalog.pg_prepared_xacts "
    "WHERE database = pg_catalog.current_database() AND gid LIKE 'citus\\_%'";

std::string OnAllNodes(absl::string_view sql) {
  return absl::StrCat(
      "SELECT n.nodename || ':' || n.nodeport, r.success, r.result FROM run_command_on_all_nodes($cmd$", sql,
      "$cmd$) r JOIN pg_dist_node n USING (nodeid)");
}

class Rest {
 public:
  Rest(const v1::Target& target, const Cancellation& cancellation)
      : target_(target),
        cancellation_(cancellation),
        busy_sessions_(BusySessions(ApplicationNameOf(target.conninfo()))) {}

  // Looks once; what is not at rest is said.
  Aftermath Look() {
    Aftermath found;
    found.citus = citus_;
    if (absl::Status status = Connect(); !status.ok()) {
      found.out_of_reach = std::string(status.message());
      return found;
    }
    found.citus = citus_;
    found.recovered = recovered_;
    absl::Status status = citus_ ? LookAtNodes(found) : LookAtServer(found);
    if (!status.ok()) {
      // Of no use any more, where it was the connection.
      database_.reset();
      found.out_of_reach = std::string(status.message());
    }
    return found;
  }

  // What Citus would do later by itself.
  void Recover() {
    if (database_ == nullptr) return;
    bool on_all_nodes = true;
    const absl::Status status = database_->ReadRows(
        "recover two-phase commits", OnAllNodes("SELECT recover_prepared_transactions()"),
        [&on_all_nodes](const std::vector<absl::string_view>& values) { on_all_nodes &= values[1] == "t"; },
        kAnswerTimeout);
    recovered_ = status.ok() && on_all_nodes;
    // A role that may not does not break the connection.
    if (!status.ok() && !absl::IsFailedPrecondition(status)) database_.reset();
  }

 private:
  absl::Status Connect() {
    if (database_ != nullptr) return absl::OkStatus();
    Database::Options options;
    options.connect_timeout = kAnswerTimeout;
    absl::StatusOr<std::unique_ptr<Database>> database = Database::Connect(target_, cancellation_, options);
    if (!database.ok()) return database.status();
    const absl::StatusOr<v1::ServerInfo> info = (*database)->ReadServerInfo(kAnswerTimeout);
    if (!info.ok()) return info.status();
    citus_ = !info->citus_version().empty();
    database_ = *std::move(database);
    return absl::OkStatus();
  }

  absl::Status LookAtServer(Aftermath& found) {
    const absl::StatusOr<std::string> busy =
        database_->ReadValue("see what is at work", busy_sessions_, kAnswerTimeout);
    if (!busy.ok()) return busy.status();
    if (!absl::SimpleAtoi(*busy, &found.sessions)) found.sessions = 0;
    return absl::OkStatus();
  }

  absl::Status LookAtNodes(Aftermath& found) {
    const auto on_failure = [&found](const std::vector<absl::string_view>& values) {
      if (found.out_of_reach.empty())
        found.out_of_reach =
            absl::StrCat(values[0], " does not answer: ", values[2].substr(0, values[2].find('\n')));
    };
    absl::Status status = database_->ReadRows(
        "see what is at work", OnAllNodes(busy_sessions_),
        [&](const std::vector<absl::string_view>& values) {
          int busy = 0;
          if (values[1] != "t") return on_failure(values);
          if (absl::SimpleAtoi(values[2], &busy)) found.sessions += busy;
        },
        kAnswerTimeout);
    if (!status.ok()) return status;
    return database_->ReadRows(
        "look for two-phase commits", OnAllNodes(kPrepared),
        [&](const std::vector<absl::string_view>& values) {
          if (values[1] != "t") return on_failure(values);
          for (const absl::string_view line : absl::StrSplit(values[2], '\n', absl::SkipEmpty())) {
            const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, ' ');
            found.prepared.push_back(
                {std::string(values[0]), std::string(parts.first), std::string(parts.second)});
          }
        },
        kAnswerTimeout);
  }

  const v1::Target& target_;
  const Cancellation& cancellation_;
  const std::string busy_sessions_;
  std::unique_ptr<Database> database_;
  bool citus_ = false;
  bool recovered_ = false;
};

}  // namespace

absl::StatusOr<Aftermath> AwaitRest(const v1::Target& target, absl::Duration timeout,
                                    const Cancellation& cancellation) {
  const SystemClock clock;
  const int64_t deadline_ns = clock.MonotonicNanos() + absl::ToInt64Nanoseconds(timeout);
  Rest rest(target, cancellation);
  size_t at_first = 0;
  while (true) {
    Aftermath found = rest.Look();
    at_first = std::max(at_first, found.prepared.size());
    found.prepared_at_first = at_first;
    const bool at_rest = found.out_of_reach.empty() && found.sessions == 0 && found.prepared.empty();
    if (at_rest || clock.MonotonicNanos() >= deadline_ns) return found;
    // Not while those who prepared them may yet commit them.
    if (found.sessions == 0 && !found.prepared.empty()) rest.Recover();
    pollfd cancelled{cancellation.fd(), POLLIN, 0};
    if (poll(&cancelled, 1, static_cast<int>(absl::ToInt64Milliseconds(kInterval))) > 0)
      return absl::CancelledError("cancelled");
  }
}

}  // namespace trunkload
