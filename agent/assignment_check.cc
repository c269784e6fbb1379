#include "agent/assignment_check.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "agent/insert_rows.h"
#include "common/script/script_parser.h"
#include "common/table_chunks.h"

namespace trunkload {
namespace {

// What a plan may have at most: what is counted or allocated by it stays far from overflowing.
constexpr uint32_t kMostConnections = 10'000'000;
constexpr uint32_t kMostWaiting = 10'000'000;
constexpr uint32_t kMostBatch = 1'000'000;
constexpr uint32_t kMostThreads = 256;
constexpr int kMostScripts = 1'000;
// A histogram each.
constexpr size_t kMostMeasuredCommands = 1'000;
// Statements, each prepared on each connection: a gigabyte of bits.
constexpr uint64_t kMostPrepared = 8'000'000'000;
constexpr int64_t kLongestSeconds = 366 * 24 * 3600;
constexpr double kHighestRate = 1e9;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the controller sent an assignment with ", what));
}

bool IsDuration(const google::protobuf::Duration& duration) {
  return duration.seconds() >= 0 && duration.seconds() <= kLongestSeconds && duration.nanos() >= 0 &&
         duration.nanos() < 1'000'000'000;
}

bool IsZero(const google::protobuf::Duration& duration) {
  return duration.seconds() == 0 && duration.nanos() == 0;
}

bool IsRate(double rate) {
  return rate >= 0 && rate <= kHighestRate;
}

// Of all scripts.
struct CommandCounts {
  uint64_t measured = 0;
  uint64_t prepared = 0;
};

absl::Status CheckText(const v1::Script& script, bool allow_shell, CommandCounts& counts) {
  if (!v1::QueryMode_IsValid(script.query_mode()) || script.query_mode() == v1::QUERY_MODE_UNSPECIFIED) {
    return Wrong("a query mode that this agent does not know: update it");
  }
  VariableNames names;
  const absl::StatusOr<Script> parsed = ParseScript(ScriptSource(script.name(), script.text()), names);
  if (!parsed.ok()) return parsed.status();
  if (script.query_mode() == v1::QUERY_MODE_PREPARED) counts.prepared += parsed->commands.size();
  if (script.per_command()) counts.measured += parsed->commands.size();
  if (counts.measured > kMostMeasuredCommands)
    return Wrong("more commands to measure than there is room for");
  return parsed->CheckRunnable(
      {.shell = allow_shell, .pipelines = script.query_mode() != v1::QUERY_MODE_SIMPLE});
}

absl::Status CheckInsert(const v1::Script& script) {
  const bool known = script.builtin() == v1::BUILTIN_INSERT_SINGLE ||
                     script.builtin() == v1::BUILTIN_INSERT_BATCH ||
                     script.builtin() == v1::BUILTIN_INSERT_COPY;
  if (!known) return Wrong("a script that this agent does not know: update it");
  const uint32_t rows = InsertRows(script);
  if (rows == 0 || rows > kMostBatch) return Wrong("a batch without rows");
  const v1::Keys& keys = script.keys();
  const bool random = keys.distribution() == v1::KEY_DISTRIBUTION_UNIFORM ||
                      keys.distribution() == v1::KEY_DISTRIBUTION_ZIPFIAN;
  if (random && (keys.range() == 0 || keys.range() > INT64_MAX)) return Wrong("keys from an empty range");
  // Nearer to 1, drawing one takes too many attempts.
  if (keys.distribution() == v1::KEY_DISTRIBUTION_ZIPFIAN &&
      !(keys.exponent() >= 1.001 && keys.exponent() <= 1000)) {
    return Wrong("an exponent that Zipf's law can't have");
  }
  return absl::OkStatus();
}

absl::Status CheckScripts(const v1::Assignment& assignment, bool allow_shell) {
  if (assignment.scripts_size() > kMostScripts) return Wrong("more scripts than can be");
  uint64_t weights = 0;
  CommandCounts counts;
  for (const v1::Script& script : assignment.scripts()) {
    weights += script.weight();
    const absl::Status status =
        script.text().empty() ? CheckInsert(script) : CheckText(script, allow_shell, counts);
    if (!status.ok()) return status;
  }
  if (weights == 0 || weights > UINT32_MAX) return Wrong("no script to run");
  uint64_t connections = 0;
  for (const v1::ApplicationServer& server : assignment.application_servers()) {
    connections += server.connections();
  }
  if (counts.prepared * connections > kMostPrepared)
    return Wrong("more statements and connections to prepare them on than there is room for");
  return absl::OkStatus();
}

absl::Status CheckLoad(const v1::Assignment& assignment) {
  const v1::TableLoad& load = assignment.load();
  if (load.workload() != v1::WORKLOAD_USERS && load.workload() != v1::WORKLOAD_PGBENCH) {
    return Wrong("a table that this agent does not know: update it");
  }
  if (load.rows() == 0 || load.rows() > INT64_MAX || load.rows_per_chunk() == 0 || load.loaders() == 0 ||
      load.rows_per_chunk() > INT64_MAX) {
    return Wrong("rows that can't be");
  }
  if (load.whole() && ChunkCount(load) != 1) return Wrong("several chunks that each empty the table");
  if (assignment.scripts_size() != 1 || assignment.phases_size() != 1 ||
      !assignment.phases(0).load().has_closed() || !assignment.phases(0).has_transactions()) {
    return Wrong("rows to load in a phase that can't be");
  }
  for (const v1::ApplicationServer& server : assignment.application_servers()) {
    // Chunk number + (transactions - 1) × loaders is its last.
    const uint64_t chunks = ChunkCount(load);
    const uint64_t own = server.shares_size() == 1 ? server.shares(0).transactions() : 0;
    const uint64_t most = server.number() < chunks ? (chunks - server.number() - 1) / load.loaders() + 1 : 0;
    if (own > most || server.connections() != 1 || (own > 0 && server.shares(0).clients() != 1)) {
      return Wrong("more rows to load than there are");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOpenLoad(const v1::Phase& phase) {
  const v1::OpenLoad& load = phase.load().open();
  if (load.stages().empty()) {
    return load.rate() > 0 && IsRate(load.rate()) ? absl::OkStatus() : Wrong("a rate that can't be");
  }
  for (const v1::Stage& stage : load.stages()) {
    if (!IsDuration(stage.duration()) || !IsRate(stage.rate()) || !IsRate(stage.ramp_to())) {
      return Wrong("a stage that can't be");
    }
  }
  return phase.has_duration() ? absl::OkStatus() : Wrong("stages in a phase without a duration");
}

}  // namespace

absl::Status CheckPhase(const v1::Phase& phase) {
  if (!phase.load().has_open() && !phase.load().has_closed()) return Wrong("a phase without a load");
  if (!IsDuration(phase.duration()) || !IsDuration(phase.drain_timeout()) ||
      !IsDuration(phase.load().closed().think_time())) {
    return Wrong("a duration that can't be");
  }
  if (phase.has_latency_limit() && (!IsDuration(phase.latency_limit()) || IsZero(phase.latency_limit()))) {
    return Wrong("a latency limit that can't be");
  }
  if (!(phase.log_sampling() >= 0 && phase.log_sampling() <= 1)) return Wrong("a share that can't be");
  if (!phase.has_duration() && !phase.has_transactions()) return Wrong("a phase without an end");
  return phase.load().has_open() ? CheckOpenLoad(phase) : absl::OkStatus();
}

absl::Status CheckAssignment(const v1::Assignment& assignment, bool allow_shell) {
  const v1::Pool& pool = assignment.pool();
  if (assignment.application_servers().empty() || assignment.phases().empty()) return Wrong("nothing to do");
  if (!IsDuration(pool.acquire_timeout()) || !IsDuration(pool.connect_timeout()))
    return Wrong("a time-out that can't be");
  // Whoever waits no time at all would ask again and again within the same instant.
  if (IsZero(pool.acquire_timeout()) || IsZero(pool.connect_timeout())) return Wrong("a time-out of nothing");
  if (assignment.threads() > kMostThreads) return Wrong("more threads than can be");
  if (pool.queue_limit() > kMostWaiting) return Wrong("a longer line than can be");
  if (!v1::Isolation_IsValid(assignment.target().isolation()))
    return Wrong("an isolation level that this agent does not know: update it");
  const absl::Status work =
      assignment.has_load() ? CheckLoad(assignment) : CheckScripts(assignment, allow_shell);
  if (!work.ok()) return work;
  for (const v1::Phase& phase : assignment.phases()) {
    if (absl::Status status = CheckPhase(phase); !status.ok()) return status;
  }
  uint64_t connections = 0;
  uint32_t most_clients = 0;
  for (const v1::ApplicationServer& server : assignment.application_servers()) {
    connections += server.connections();
    most_clients = std::max(most_clients, server.connections());
    if (server.connections() == 0 || connections > kMostConnections) return Wrong("a pool that can't be");
    if (server.number() >= assignment.fleet_application_servers())
      return Wrong("an application server too many");
    if (server.shares_size() != assignment.phases_size())
      return Wrong("an application server without its shares");
    for (int i = 0; i < server.shares_size(); ++i) {
      const v1::PhaseShare& share = server.shares(i);
      if (share.clients() > kMostWaiting) return Wrong("more clients than can be");
      most_clients = std::max(most_clients, share.clients());
      const bool closed = assignment.phases(i).load().has_closed();
      if (closed && share.transactions() > 0 && share.clients() == 0) return Wrong("transactions for nobody");
    }
  }
  // Each has a number of its own in the fleet, and there is a seed for each number.
  if (uint64_t{most_clients} * assignment.fleet_application_servers() > 2 * uint64_t{kMostWaiting}) {
    return Wrong("more clients in the fleet than can be");
  }
  return absl::OkStatus();
}

}  // namespace trunkload
