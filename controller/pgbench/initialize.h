#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What the options of pgbench -i say, and ours beside them.
struct InitializeOptions {
  uint32_t scale = 1;
  uint32_t fillfactor = 100;
  std::string steps = "dtgvp";
  bool no_vacuum = false;
  bool foreign_keys = false;
  bool unlogged_tables = false;
  uint32_t partitions = 0;
  v1::PartitionMethod partition_method = v1::PARTITION_METHOD_RANGE;
  std::string tablespace;
  std::string index_tablespace;
  uint32_t loaders = 4;
  v1::Distribution distribution = v1::DISTRIBUTION_AUTO;
  v1::DistributeBy distribute_by = v1::DISTRIBUTE_BY_KEY;
};

// A plan without phases that makes and loads the tables, checked. INVALID_ARGUMENT with what is wrong.
absl::StatusOr<v1::Plan> InitializePlan(const InitializeOptions& options, const v1::Target& target);

// What pgbench -i says on standard error, from what a controller tells of the run. Not thread-safe.
class InitializeMessages {
 public:
  // Quiet: how far loading has come is told every five seconds, not each second.
  InitializeMessages(bool quiet, uint32_t partitions) : quiet_(quiet), partitions_(partitions) {}

  // What there is to say after this one: whole lines, or nothing.
  std::string OnProgress(const v1::Progress& progress);
  // The last line.
  static std::string Summary(const v1::Run& run);

 private:
  const bool quiet_;
  const uint32_t partitions_;
  std::string step_;
  double told_at_s_ = 0;
};

}  // namespace trunkload
