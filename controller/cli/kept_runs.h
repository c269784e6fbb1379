#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tls/transport.h"
#include "controller/store/run_store.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Where runs that were made are looked up: under a data directory or, where that is named, at a controller.
struct KeptRunsPlace {
  std::string data_dir;
  std::string controller;  // HOST:PORT
  Transport transport;     // to it
};

// INVALID_ARGUMENT where there is no place.
absl::StatusOr<std::unique_ptr<RunStore>> OpenStore(const KeptRunsPlace& place);
// Newest first.
absl::StatusOr<std::vector<v1::RunSummary>> ListRuns(const KeptRunsPlace& place);
// Of a run that has ended.
absl::StatusOr<v1::RunResult> ResultOf(const KeptRunsPlace& place, const std::string& run_id);
// Of the cells of a sweep that have ended in their own time, by number; the newest of each.
absl::StatusOr<std::map<uint32_t, absl::StatusOr<v1::RunResult>>> CellsOf(const KeptRunsPlace& place,
                                                                          const std::string& sweep);

}  // namespace trunkload
