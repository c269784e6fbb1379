// What an ActiveRun says of itself while it is under way.
#include <algorithm>
#include <utility>

#include "controller/active_run.h"
#include "controller/phase_times.h"
#include "controller/preflight.h"

namespace trunkload {
namespace {

constexpr int64_t kProgressNanos = 1'000'000'000;
// By then the intervals of the second that has just ended are here.
constexpr int64_t kProgressDelayNanos = 250'000'000;

v1::Progress::Stage ToProto(RunState::Stage stage, bool first_phase) {
  switch (stage) {
    case RunState::Stage::kWaitingForAgents:
      return v1::Progress::STAGE_WAITING_FOR_AGENTS;
    case RunState::Stage::kSettingUp:
    case RunState::Stage::kFinishingTables:
      return v1::Progress::STAGE_SETTING_UP;
    case RunState::Stage::kConnecting:
      return v1::Progress::STAGE_CONNECTING;
    case RunState::Stage::kObserving:
    case RunState::Stage::kReadingClocks:
    case RunState::Stage::kStarting:
      return first_phase ? v1::Progress::STAGE_CONNECTING : v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kRunning:
      return v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kDraining:
    case RunState::Stage::kChecking:
    case RunState::Stage::kEnded:
      break;
  }
  return v1::Progress::STAGE_DRAINING;
}

}  // namespace

void ActiveRun::SendProgress() {
  const RunState& state = state_;
  const int64_t now_ns = clock_.MonotonicNanos();
  v1::Progress progress;
  progress.set_run_id(id_);
  progress.set_stage(state.loading() ? v1::Progress::STAGE_SETTING_UP
                                     : ToProto(state.stage(), state.phase() == 0));
  if (state.stage() == RunState::Stage::kObserving && state.agents().empty())
    progress.set_stage(v1::Progress::STAGE_READING);
  if (state.stage() == RunState::Stage::kChecking) progress.set_stage(v1::Progress::STAGE_CHECKING);
  progress.set_agents(state.heard());
  progress.set_agents_wanted(state.agents_wanted());
  if (step_began_ns_ != 0) progress.set_step(set_up_.back().name());
  for (std::string& warning : PreflightWarnings(plan_, server_.connections()))
    progress.add_warnings(std::move(warning));
  next_progress_ns_ = now_ns + kProgressNanos;
  const Merger* const merger =
      state.loading() ? (load_merger_ ? &*load_merger_ : nullptr) : phases_.merger(state.phase());
  if (merger != nullptr) {
    const int64_t elapsed_ns = std::max<int64_t>(0, now_ns - state.start_ns());
    progress.set_elapsed_s(static_cast<double>(elapsed_ns) / 1e9);
    if (state.loading()) {
      progress.set_rows_loaded(RowsLoaded());
      progress.set_rows_to_load(load_->rows());
    } else {
      DescribePhase(*merger, progress);
    }
    const int64_t whole_seconds = now_ns < state.start_ns() ? 0 : elapsed_ns / kProgressNanos;
    next_progress_ns_ = state.start_ns() + (whole_seconds + 1) * kProgressNanos + kProgressDelayNanos;
  }
  outside_.OnProgress(progress);
}

void ActiveRun::DescribePhase(const Merger& merger, v1::Progress& progress) const {
  const v1::Phase& phase = plan_.phases(static_cast<int>(state_.phase()));
  progress.set_phase(phase.name());
  if (!phase.has_transactions()) progress.set_duration_s(absl::ToDoubleSeconds(PlannedDuration(phase)));
  progress.set_errors(merger.errors());
  progress.set_dropped(merger.dropped());
  const Series& series = merger.series();
  *progress.mutable_totals() = series.totals();
  if (series.complete() > 0) {
    const v1::SeriesPoint& newest = series.points()[series.complete() - 1];
    progress.set_throughput_per_s(static_cast<double>(newest.transactions()));
    progress.set_response_p99_us(newest.response_p99_us());
  }
}

}  // namespace trunkload
