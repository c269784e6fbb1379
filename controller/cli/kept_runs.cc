#include "controller/cli/kept_runs.h"

#include <optional>
#include <utility>

#include "controller/control_client.h"

namespace trunkload {
namespace {

class ResultOnly final : public RunFollower {
 public:
  void OnProgress(const v1::Progress&) override {}
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override { result_ = std::move(result); }
  absl::StatusOr<v1::RunResult> Take() { return std::move(result_); }

 private:
  absl::StatusOr<v1::RunResult> result_ = absl::UnknownError("no result");
};

}  // namespace

absl::StatusOr<std::unique_ptr<RunStore>> OpenStore(const KeptRunsPlace& place) {
  if (place.data_dir.empty())
    return absl::InvalidArgumentError(
        "neither HOME nor XDG_DATA_HOME is set: name the place with --data-dir");
  return RunStore::Open(place.data_dir, /*resumable=*/false);
}

absl::StatusOr<std::vector<v1::RunSummary>> ListRuns(const KeptRunsPlace& place) {
  if (!place.controller.empty()) {
    const absl::StatusOr<std::unique_ptr<ControlClient>> client =
        ControlClient::Open(place.controller, place.transport);
    return client.ok() ? (*client)->ListRuns() : client.status();
  }
  const absl::StatusOr<std::unique_ptr<RunStore>> store = OpenStore(place);
  return store.ok() ? (*store)->List() : store.status();
}

absl::StatusOr<v1::RunResult> ResultOf(const KeptRunsPlace& place, const std::string& run_id) {
  if (!place.controller.empty()) {
    ResultOnly result;
    const absl::StatusOr<std::unique_ptr<ControlClient>> client =
        ControlClient::Open(place.controller, place.transport);
    if (!client.ok()) return client.status();
    (*client)->Follow(run_id, result);
    return result.Take();
  }
  const absl::StatusOr<std::unique_ptr<RunStore>> store = OpenStore(place);
  return store.ok() ? (*store)->Result(run_id) : store.status();
}

absl::StatusOr<std::map<uint32_t, absl::StatusOr<v1::RunResult>>> CellsOf(const KeptRunsPlace& place,
                                                                          const std::string& sweep) {
  const absl::StatusOr<std::vector<v1::RunSummary>> runs = ListRuns(place);
  if (!runs.ok()) return runs.status();
  std::map<uint32_t, absl::StatusOr<v1::RunResult>> cells;
  for (const v1::RunSummary& run : *runs) {
    const bool ended = run.state() == v1::RunSummary::STATE_ENDED && !run.cancelled();
    if (run.sweep() != sweep || !ended || cells.contains(run.cell())) continue;
    absl::StatusOr<v1::RunResult> result = ResultOf(place, run.run_id());
    if (!result.ok()) return result.status();
    cells.emplace(run.cell(), std::move(result));
  }
  return cells;
}

}  // namespace trunkload
