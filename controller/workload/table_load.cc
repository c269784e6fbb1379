#include "controller/workload/table_load.h"

#include <algorithm>

#include "common/duration.h"
#include "common/table_chunks.h"

namespace trunkload {
namespace {

// As many chunks for each loader even out what some of them take longer, and show progress.
constexpr uint64_t kChunksPerLoader = 16;
// A transaction of fewer rows costs more than its rows; one of more takes long to be loaded again.
struct ChunkLimits {
  uint64_t fewest_rows;
  uint64_t most_rows;
};
constexpr ChunkLimits kPlain = {10'000, 250'000};
// Each transaction opens connections to all shards anew.
constexpr ChunkLimits kDistributed = {500'000, 2'000'000};
// Of a plain table, so many are loaded in one transaction, as a whole: up to here several loaders were no
// quicker.
constexpr uint64_t kMostRowsAsAWhole = 4'000'000;
// A reactor makes rows faster than so many sessions of a server take them.
constexpr uint32_t kLoadersPerReactor = 4;
// Without a connection for so long, loading is given up.
constexpr absl::Duration kPatience = absl::Minutes(1);

// Nothing refers to the table yet, and it has no partitions: it can be emptied, and filled with frozen rows.
bool NewAndInOnePiece(const v1::Setup& setup) {
  if (setup.workload() != v1::WORKLOAD_PGBENCH) return true;
  const std::string before = setup.steps().substr(0, setup.steps().find_last_of('g'));
  const size_t made = before.find_last_of('t');
  return setup.partitions() == 0 && made != std::string::npos && before.find('f', made) == std::string::npos;
}

}  // namespace

uint64_t RowsOf(const v1::Setup& setup) {
  if (setup.workload() != v1::WORKLOAD_PGBENCH) return setup.rows();
  return setup.steps().find_first_of("gG") == std::string::npos ? 0 : setup.scale() * kAccountsPerBranch;
}

uint64_t RowsOfLargestTable(const v1::Setup& setup) {
  return setup.workload() == v1::WORKLOAD_PGBENCH ? setup.scale() * kAccountsPerBranch : setup.rows();
}

bool AgentsLoad(const v1::Plan& plan) {
  return TableLoadOf(plan, /*distributed=*/false).has_value();
}

std::optional<v1::TableLoad> TableLoadOf(const v1::Plan& plan, bool distributed) {
  const v1::Setup& setup = plan.setup();
  const uint64_t rows = RowsOf(setup);
  if (rows == 0) return std::nullopt;
  if (setup.workload() == v1::WORKLOAD_PGBENCH) {
    // The last one empties the tables before it fills them.
    const size_t last = setup.steps().find_last_of("gG");
    if (setup.steps()[last] == 'G') return std::nullopt;
  }
  v1::TableLoad load;
  load.set_workload(setup.workload());
  load.set_rows(rows);
  if (rows <= kMostRowsAsAWhole && !distributed && NewAndInOnePiece(setup)) {
    load.set_loaders(1);
    load.set_rows_per_chunk(rows);
    load.set_whole(true);
    return load;
  }
  load.set_loaders(std::max(setup.loaders(), 1u));
  const ChunkLimits& limits = distributed ? kDistributed : kPlain;
  load.set_rows_per_chunk(
      std::clamp(rows / (load.loaders() * kChunksPerLoader), limits.fewest_rows, limits.most_rows));
  return load;
}

v1::Plan PlanOfLoad(const v1::Plan& plan, const v1::TableLoad& load, size_t agents) {
  v1::Plan result;
  *result.mutable_target() = plan.target();
  result.set_seed(plan.seed());
  // Each has one connection; those of agents above the number of loaders have nothing to load.
  const uint32_t servers = std::max(load.loaders(), static_cast<uint32_t>(agents));
  v1::Fleet& fleet = *result.mutable_fleet();
  fleet.set_application_servers(servers);
  fleet.set_connections(servers);
  const auto loaders_per_agent = static_cast<uint32_t>((load.loaders() - 1) / agents + 1);
  fleet.set_threads((loaders_per_agent - 1) / kLoadersPerReactor + 1);
  *fleet.mutable_pool() = plan.fleet().pool();
  fleet.mutable_pool()->set_mode(v1::POOL_MODE_TRANSACTION);
  *fleet.mutable_pool()->mutable_acquire_timeout() = ToProto(kPatience);
  v1::Script& script = *result.add_scripts();
  script.set_name("load");
  script.set_weight(1);
  v1::Phase& phase = *result.add_phases();
  phase.set_name("load");
  phase.set_transactions(ChunkCount(load));
  phase.mutable_load()->mutable_closed()->set_clients(load.loaders());
  *phase.mutable_load()->mutable_closed()->mutable_think_time() = ToProto(absl::ZeroDuration());
  *phase.mutable_drain_timeout() = ToProto(kPatience);
  return result;
}

}  // namespace trunkload
