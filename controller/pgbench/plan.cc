#include "controller/pgbench/plan.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "common/random.h"
#include "controller/plan/conninfo.h"
#include "controller/plan/plan_check.h"
#include "controller/plan/plan_loader.h"

namespace trunkload {
namespace {

constexpr uint64_t kDefaultTransactions = 10;
// pgbench waits for ever: for its turn on a connection, and for transactions that are under way when the time
// is over.
constexpr absl::Duration kLongest = absl::Hours(1);
// But not for a server that has no room.
constexpr absl::Duration kConnectTimeout = absl::Seconds(20);
constexpr uint32_t kLongestLine = 10'000'000;

absl::Status AddScript(const PgbenchScript& from, const PgbenchOptions& options, v1::Plan& plan) {
  v1::Script& script = *plan.add_scripts();
  script.set_weight(static_cast<uint32_t>(from.weight));
  script.set_query_mode(options.query_mode);
  script.set_max_tries(options.max_tries);
  script.set_continue_on_error(options.continue_on_error);
  script.set_per_command(options.report_per_command);
  if (from.builtin != v1::BUILTIN_UNSPECIFIED) {
    script.set_builtin(from.builtin);
    return absl::OkStatus();
  }
  script.set_file(from.file);
  if (from.file != "-") return ReadScript("", script);
  script.set_name("standard-input");
  script.set_text(from.text);
  return script.text().empty() ? absl::InvalidArgumentError("-f -: standard input holds no script")
                               : absl::OkStatus();
}

void SetFleet(const PgbenchOptions& options, v1::Fleet& fleet) {
  const uint32_t agents = options.agents.value_or(1);
  fleet.set_application_servers(
      static_cast<uint32_t>(std::min<uint64_t>(options.clients, uint64_t{agents} * options.threads)));
  fleet.set_connections(options.clients);
  fleet.set_threads(options.threads);
  v1::Pool& pool = *fleet.mutable_pool();
  *pool.mutable_acquire_timeout() = ToProto(kLongest);
  *pool.mutable_connect_timeout() = ToProto(kConnectTimeout);
  pool.set_queue_limit(kLongestLine);
  if (options.reconnect) {
    pool.set_mode(v1::POOL_MODE_RECONNECT);
  } else {
    pool.set_mode(options.rate_per_s > 0 ? v1::POOL_MODE_TRANSACTION : v1::POOL_MODE_SESSION);
  }
}

void SetPhase(const PgbenchOptions& options, v1::Phase& phase) {
  phase.set_name("run");
  *phase.mutable_drain_timeout() = ToProto(kLongest);
  if (options.duration.has_value()) {
    *phase.mutable_duration() = ToProto(*options.duration);
  } else {
    phase.set_transactions(options.transactions.value_or(kDefaultTransactions) * options.clients);
  }
  if (options.rate_per_s > 0) {
    phase.mutable_load()->mutable_open()->set_rate(options.rate_per_s);
    phase.mutable_load()->mutable_open()->set_arrivals(v1::ARRIVALS_POISSON);
  } else {
    phase.mutable_load()->mutable_closed()->set_clients(options.clients);
  }
  if (options.latency_limit.has_value()) *phase.mutable_latency_limit() = ToProto(*options.latency_limit);
  if (options.log) phase.set_log_sampling(options.sampling_rate > 0 ? options.sampling_rate : 1);
}

// The draw that follows those that the clients' streams begin with, as in pgbench.
uint64_t DefaultSeed(const PgbenchOptions& options, uint64_t seed) {
  Random base(seed);
  for (uint32_t client = 0; client < options.clients; ++client) base.Next();
  return base.Next();
}

// "scripts.0.file: mine.sql:1:5: …" from its file's name on.
std::string WithoutField(absl::string_view message) {
  const size_t end = message.find(".file: ");
  if (!absl::StartsWith(message, "scripts.") || end == message.npos) return std::string(message);
  return std::string(message.substr(end + 7));
}

}  // namespace

v1::Target PgbenchTarget(const PgbenchOptions& options) {
  v1::Target target;
  target.set_conninfo(ConninfoFor(options.database, {options.host, options.port, options.user}));
  return target;
}

absl::StatusOr<v1::Plan> PgbenchPlan(const PgbenchOptions& options, uint32_t scale, uint64_t seed) {
  v1::Plan plan;
  plan.set_name("pgbench");
  *plan.mutable_target() = PgbenchTarget(options);
  for (const PgbenchScript& script : options.scripts) {
    if (absl::Status status = AddScript(script, options, plan); !status.ok()) return status;
  }
  SetFleet(options, *plan.mutable_fleet());
  SetPhase(options, *plan.add_phases());
  plan.set_seed(seed);
  // pgbench watches nobody, and opens no connection beside its clients'.
  plan.mutable_observer()->set_enabled(false);
  google::protobuf::Map<std::string, std::string>& variables = *plan.mutable_variables();
  variables["scale"] = absl::StrCat(scale);
  variables["default_seed"] = absl::StrCat(static_cast<int64_t>(DefaultSeed(options, seed)));
  for (const auto& [name, value] : options.variables) variables[name] = value;
  absl::StatusOr<v1::Plan> checked = ValidatePlan(std::move(plan));
  if (checked.ok()) return checked;
  // Nobody has written the plan: its scripts are told apart by their files.
  return absl::Status(checked.status().code(), WithoutField(checked.status().message()));
}

}  // namespace trunkload
