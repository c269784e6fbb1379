#include "controller/pgbench/option_check.h"

#include <algorithm>

#include "controller/pgbench/option_value.h"
#include "controller/plan/conninfo.h"

namespace trunkload {
namespace {

absl::Status CheckFleet(const PgbenchOptions& fleet) {
  if (!fleet.listen.empty() && !fleet.controller.empty()) {
    return WrongOption("--listen and --controller exclude each other");
  }
  if (!fleet.listen.empty() && !fleet.agents.has_value()) {
    return WrongOption("--listen needs --agents: how many to wait for");
  }
  if (fleet.allow_shell && !(fleet.listen.empty() && fleet.controller.empty())) {
    return WrongOption(
        "--allow-shell is for agents on this machine: start the others with trunkload-agent --allow-shell");
  }
  return absl::OkStatus();
}

absl::Status CheckInitialize(const WrittenOptions& written, const PgbenchOptions& options) {
  if (!written.of_run.empty()) return WrongOption(written.of_run, " is no option of -i");
  const InitializeOptions& init = options.init;
  if (options.no_vacuum && init.steps.find_first_not_of("v ") == std::string::npos) {
    return WrongOption("-n leaves nothing to do of -I ", init.steps);
  }
  if (init.partitions == 0 && written.partition_method) {
    return WrongOption("--partition-method needs --partitions, with a number above 0");
  }
  return absl::OkStatus();
}

absl::Status CheckLog(const WrittenOptions& written, const PgbenchOptions& run) {
  if (!run.log) {
    const char* needs = run.sampling_rate > 0          ? "--sampling-rate"
                        : run.aggregate_interval_s > 0 ? "--aggregate-interval"
                        : written.log_prefix           ? "--log-prefix"
                                                       : nullptr;
    return needs == nullptr ? absl::OkStatus() : WrongOption(needs, " needs -l");
  }
  if (!run.controller.empty()) {
    return WrongOption(
        "-l writes files here, but the controller has the transactions: use --listen in place of "
        "--controller");
  }
  if (run.sampling_rate > 0 && run.aggregate_interval_s > 0) {
    return WrongOption("--sampling-rate and --aggregate-interval exclude each other");
  }
  if (run.aggregate_interval_s > 0 && run.duration.has_value() &&
      *run.duration % absl::Seconds(run.aggregate_interval_s) != absl::ZeroDuration()) {
    return WrongOption("-T is to be a multiple of --aggregate-interval");
  }
  return absl::OkStatus();
}

absl::Status CompleteRun(const WrittenOptions& written, PgbenchOptions& run) {
  if (!written.of_init.empty()) return WrongOption(written.of_init, " is an option of -i only");
  if (run.transactions.has_value() && run.duration.has_value()) {
    return WrongOption("-t and -T exclude each other: a number of transactions, or a time");
  }
  if (run.scripts.empty()) run.scripts.push_back({.builtin = v1::BUILTIN_TPCB_LIKE, .file = {}, .weight = 1});
  uint64_t weights = 0;
  for (const PgbenchScript& script : run.scripts) weights += script.weight;
  if (weights == 0) return WrongOption("the weights of all scripts are 0, so that none would ever run");
  if (absl::Status status = CheckLog(written, run); !status.ok()) return status;
  if (run.progress_timestamp && run.progress_s == 0) return WrongOption("--progress-timestamp needs -P");
  if (run.max_tries == 0 && !run.latency_limit.has_value() && !run.duration.has_value()) {
    return WrongOption("--max-tries=0, without a limit, needs -L or -T, or a run might never end");
  }
  run.threads = std::min(run.threads, run.clients);
  const uint32_t agents = run.agents.value_or(1);
  if (run.clients < agents) {
    return WrongOption("-c ", run.clients, " is too few for ", agents,
                       " agents, each of which has a client at least");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompletePgbenchOptions(const WrittenOptions& written, PgbenchOptions& options) {
  if (absl::Status status = CheckFleet(options); !status.ok()) return status;
  if (IsConninfo(options.database)) {
    if (absl::Status status = CheckConninfo(options.database); !status.ok()) return status;
  }
  return options.initialize ? CheckInitialize(written, options) : CompleteRun(written, options);
}

}  // namespace trunkload
