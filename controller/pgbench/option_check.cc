#include "controller/pgbench/option_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckFleet(const PgbenchOptions& fleet) {
  if (!fleet.listen.empty() && !fleet.controller.empty()) {
    return Wrong("--listen and --controller exclude each other");
  }
  if (!fleet.listen.empty() && !fleet.agents.has_value()) {
    return Wrong("--listen needs --agents: how many to wait for");
  }
  if (fleet.allow_shell && !(fleet.listen.empty() && fleet.controller.empty())) {
    return Wrong(
        "--allow-shell is for agents on this machine: start the others with trunkload-agent --allow-shell");
  }
  return absl::OkStatus();
}

absl::Status CheckInitialize(const WrittenOptions& written, const PgbenchOptions& options) {
  if (!written.of_run.empty()) return Wrong(written.of_run, " is no option of -i");
  const InitializeOptions& init = options.init;
  if (init.partitions == 0 && written.partition_method) {
    return Wrong("--partition-method needs --partitions, with a number above 0");
  }
  return absl::OkStatus();
}

absl::Status CheckLog(const WrittenOptions& written, const PgbenchOptions& run) {
  if (!run.log) {
    const char* needs = run.sampling_rate > 0          ? "--sampling-rate"
                        : run.aggregate_interval_s > 0 ? "--aggregate-interval"
                        : written.log_prefix           ? "--log-prefix"
                                                       : nullptr;
    return needs == nullptr ? absl::OkStatus() : Wrong(needs, " needs -l");
  }
  if (!run.controller.empty()) {
    return Wrong(
        "-l writes files here, but the controller has the transactions: use --listen in place of "
        "--controller");
  }
  if (run.sampling_rate > 0 && run.aggregate_interval_s > 0) {
    return Wrong("--sampling-rate and --aggregate-interval exclude each other");
  }
  if (run.aggregate_interval_s > 0 && run.duration.has_value() &&
      *run.duration % absl::Seconds(run.aggregate_interval_s) != absl::ZeroDuration()) {
    return Wrong("-T is to be a multiple of --aggregate-interval");
  }
  return absl::OkStatus();
}

absl::Status CompleteRun(const WrittenOptions& written, PgbenchOptions& run) {
  if (!written.of_init.empty()) return Wrong(written.of_init, " is an option of -i only");
  if (run.transactions.has_value() && run.duration.has_value()) {
    return Wrong("-t and -T exclude each other: a number of transactions, or a time");
  }
  if (run.scripts.empty()) run.scripts.push_back({.builtin = v1::BUILTIN_TPCB_LIKE, .file = {}, .weight = 1});
  uint64_t weights = 0;
  for (const PgbenchScript& script : run.scripts) weights += script.weight;
  if (weights == 0) return Wrong("the weights of all scripts are 0, so that none would ever run");
  if (absl::Status status = CheckLog(written, run); !status.ok()) return status;
  if (run.progress_timestamp && run.progress_s == 0) return Wrong("--progress-timestamp needs -P");
  if (run.max_tries == 0 && !run.latency_limit.has_value() && !run.duration.has_value()) {
    return Wrong("--max-tries=0, without a limit, needs -L or -T, or a run might never end");
  }
  run.threads = std::min(run.threads, run.clients);
  const uint32_t agents = run.agents.value_or(1);
  if (run.clients < agents) {
    return Wrong("-c ", run.clients, " is too few for ", agents,
                 " agents, each of which has a client at least");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompletePgbenchOptions(const WrittenOptions& written, PgbenchOptions& options) {
  if (absl::Status status = CheckFleet(options); !status.ok()) return status;
  return options.initialize ? CheckInitialize(written, options) : CompleteRun(written, options);
}

}  // namespace trunkload
