#include "controller/pgbench/initialize.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/plan/plan_check.h"

namespace trunkload {
namespace {

constexpr double kQuietSeconds = 5;
// Counting is ours, and quick: it is part of the summary only.
constexpr std::pair<const char*, const char*> kMessages[] = {
    {"drop tables", "dropping old tables..."},
    {"create tables", "creating tables..."},
    {"client-side generate", "generating data (client-side)..."},
    {"server-side generate", "generating data (server-side)..."},
    {"vacuum", "vacuuming..."},
    {"primary keys", "creating primary keys..."},
    {"foreign keys", "creating foreign keys..."},
};

}  // namespace

absl::StatusOr<v1::Plan> InitializePlan(const InitializeOptions& options, const v1::Target& target) {
  v1::Plan plan;
  plan.set_name("initialize");
  *plan.mutable_target() = target;
  v1::Setup& setup = *plan.mutable_setup();
  setup.set_workload(v1::WORKLOAD_PGBENCH);
  setup.set_scale(options.scale);
  setup.set_fillfactor(options.fillfactor);
  std::string steps = options.steps;
  if (options.no_vacuum) steps.erase(std::remove(steps.begin(), steps.end(), 'v'), steps.end());
  setup.set_steps(std::move(steps));
  setup.set_foreign_keys(options.foreign_keys);
  setup.set_unlogged(options.unlogged_tables);
  setup.set_partitions(options.partitions);
  setup.set_partition_method(options.partition_method);
  setup.set_tablespace(options.tablespace);
  setup.set_index_tablespace(options.index_tablespace);
  setup.set_loaders(options.loaders);
  setup.set_distribution(options.distribution);
  setup.set_distribute_by(options.distribute_by);
  return ValidatePlan(std::move(plan));
}

std::string InitializeMessages::OnProgress(const v1::Progress& progress) {
  std::string text;
  if (progress.step() != step_) {
    step_ = progress.step();
    told_at_s_ = 0;
    for (const auto& [step, message] : kMessages) {
      if (step_ == step) text = absl::StrCat(message, "\n");
    }
    if (step_ == "create tables" && partitions_ > 0) {
      absl::StrAppend(&text, "creating ", partitions_, " partitions...\n");
    }
  }
  const bool due = !quiet_ || progress.elapsed_s() >= told_at_s_ + kQuietSeconds;
  if (progress.rows_to_load() == 0 || progress.rows_loaded() == 0 || !due) return text;
  told_at_s_ = progress.elapsed_s();
  const auto loaded = static_cast<double>(progress.rows_loaded());
  const auto all = static_cast<double>(progress.rows_to_load());
  absl::StrAppendFormat(&text, "%d of %d tuples (%.0f%%) done (elapsed %.2f s, remaining %.2f s)\n",
                        progress.rows_loaded(), progress.rows_to_load(), loaded / all * 100,
                        progress.elapsed_s(), (all - loaded) * progress.elapsed_s() / loaded);
  return text;
}

std::string InitializeMessages::Summary(const v1::Run& run) {
  double seconds = 0;
  for (const v1::SetUpStep& step : run.set_up()) seconds += step.seconds();
  const std::string steps =
      absl::StrJoin(run.set_up(), ", ", [](std::string* out, const v1::SetUpStep& step) {
        absl::StrAppendFormat(out, "%s %.2f s", step.name(), step.seconds());
      });
  return absl::StrFormat("done in %.2f s (%s).\n", seconds, steps);
}

}  // namespace trunkload
