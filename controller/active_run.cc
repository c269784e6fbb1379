#include "controller/active_run.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "controller/phase_times.h"
#include "controller/plan/plan_check.h"
#include "controller/planner.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr int64_t kProgressNanos = 1'000'000'000;
// By then the intervals of the second that has just ended are here.
constexpr int64_t kProgressDelayNanos = 250'000'000;
constexpr size_t kLongestReason = 500;
constexpr uint64_t kLongestConnectingNanos = uint64_t{1} << 60;

v1::Progress::Stage ToProto(RunState::Stage stage, bool first_phase) {
  switch (stage) {
    case RunState::Stage::kWaitingForAgents:
      return v1::Progress::STAGE_WAITING_FOR_AGENTS;
    case RunState::Stage::kSettingUp:
    case RunState::Stage::kFinishingTables:
      return v1::Progress::STAGE_SETTING_UP;
    case RunState::Stage::kConnecting:
      return v1::Progress::STAGE_CONNECTING;
    case RunState::Stage::kReadingClocks:
      return first_phase ? v1::Progress::STAGE_CONNECTING : v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kRunning:
      return v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kDraining:
    case RunState::Stage::kEnded:
      break;
  }
  return v1::Progress::STAGE_DRAINING;
}

}  // namespace

ActiveRun::ActiveRun(const Identity& identity, v1::Plan plan, uint32_t agents, absl::Duration wait,
                     const Surroundings& surroundings)
    : id_(identity.id),
      plan_(std::move(plan)),
      clock_(surroundings.clock),
      outside_(surroundings.outside),
      fleet_(surroundings.fleet),
      state_(plan_, agents, wait, identity.began_ns),
      result_(Redacted(plan_), id_, identity.began_wall_ns),
      next_progress_ns_(identity.began_ns) {}

void ActiveRun::Cancel() {
  Apply(RunState::Cancelled{}).IgnoreError();
}

absl::Status ActiveRun::OnAgentJoined(AgentId agent) {
  if (agents_taken_in_) return Apply(RunState::AgentsJoined{{{agent, fleet_.hello(agent).name()}}});
  TakeAgentsIn();
  return absl::OkStatus();
}

absl::Status ActiveRun::OnReady(AgentId agent, const v1::Ready& ready) {
  if (!IsTold(agent, ready.run_id())) return absl::OkStatus();
  if (ready.connecting_ns() > kLongestConnectingNanos)
    return absl::InvalidArgumentError("its Ready has a time that no clock gives");
  result_.SetConnecting(agent, static_cast<double>(ready.connecting_ns()) / 1000);
  if (state_.loading() && !fleet_.clock(agent).known()) {
    return absl::FailedPreconditionError("Ready came before the answer to a clock probe");
  }
  return Apply(RunState::AgentReady{agent});
}

absl::Status ActiveRun::OnFailed(AgentId agent, const v1::Failed& failed) {
  if (!IsTold(agent, failed.run_id())) return absl::OkStatus();
  return Apply(RunState::AgentFailed{agent, OneLine(failed.reason(), kLongestReason)});
}

absl::Status ActiveRun::OnClockReply(AgentId agent) {
  const bool awaited = state_.stage() == RunState::Stage::kReadingClocks && state_.TakesPart(agent);
  if (!awaited || !fleet_.Probed(agent)) return absl::OkStatus();
  return Apply(RunState::ClockRead{agent, fleet_.LeadNanos(agent)});
}

void ActiveRun::OnAgentLeft(AgentId agent, std::string why) {
  Apply(RunState::AgentLeft{agent, std::move(why)}).IgnoreError();
}

void ActiveRun::OnTick() {
  const int64_t now_ns = clock_.MonotonicNanos();
  if (!agents_taken_in_) TakeAgentsIn();
  if (!outcome_ && now_ns >= state_.DeadlineNanos()) Apply(RunState::TimePassed{}).IgnoreError();
  if (!outcome_ && now_ns >= next_progress_ns_) SendProgress();
}

int64_t ActiveRun::NextTickNanos() const {
  // When the run began. Not now, which would always be a little later than what the caller read before.
  if (!agents_taken_in_) return next_progress_ns_;
  return std::min(state_.DeadlineNanos(), next_progress_ns_);
}

void ActiveRun::TakeAgentsIn() {
  agents_taken_in_ = true;
  RunState::AgentsJoined joined;
  for (AgentId agent : fleet_.joined_agents()) joined.agents.emplace(agent, fleet_.hello(agent).name());
  Apply(std::move(joined)).IgnoreError();
}

absl::Status ActiveRun::OnInterval(AgentId agent, const v1::Interval& interval) {
  if (!state_.IsReady(agent)) return absl::OkStatus();
  if (!merger_) return absl::FailedPreconditionError("an Interval came while no phase was under way");
  const double elapsed = static_cast<double>(clock_.MonotonicNanos() - state_.start_ns()) / 1e9;
  if (absl::Status status = merger_->Merge(agent, interval, elapsed); !status.ok()) return status;
  if (interval.log().client_size() > 0) TellTransactions(agent, interval.log());
  return Apply(RunState::AgentReported{agent});
}

void ActiveRun::TellTransactions(AgentId agent, const v1::TransactionLog& log) {
  const std::map<AgentId, Merger::Agent>& agents = merger_->agents();
  const int64_t phase_start_ns = clock_.WallNanos() - (clock_.MonotonicNanos() - state_.start_ns());
  outside_.OnTransactions(static_cast<uint32_t>(std::distance(agents.begin(), agents.find(agent))),
                          phase_start_ns / 1000, log);
}

absl::Status ActiveRun::OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended) {
  if (!state_.IsReady(agent)) return absl::OkStatus();
  if (!merger_) return absl::FailedPreconditionError("PhaseEnded came while no phase was under way");
  if (absl::Status status = merger_->End(agent, ended); !status.ok()) return status;
  const int64_t start_ns = state_.start_ns();
  const AgentClock& clock = fleet_.clock(agent);
  starts_[agent] = {
      .skew_us = static_cast<double>(clock.ToController(ended.started_ns(), start_ns) - start_ns) / 1000,
      .uncertainty_us = static_cast<double>(clock.UncertaintyNanos(start_ns)) / 1000};
  return Apply(RunState::AgentEndedPhase{agent});
}

void ActiveRun::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  const bool to_be_loaded = state_.stage() == RunState::Stage::kSettingUp && AgentsLoad(plan_);
  if (!to_be_loaded) EndStep();
  if (info.ok()) {
    result_.SetServer(*info);
    distributed_ = info->distributed();
  }
  Apply(RunState::TargetPrepared{info.status()}).IgnoreError();
}

void ActiveRun::OnTargetTask(const std::string& name) {
  EndStep();
  set_up_.emplace_back().set_name(name);
  step_began_ns_ = clock_.MonotonicNanos();
  SendProgress();
}

void ActiveRun::EndStep() {
  if (step_began_ns_ == 0) return;
  set_up_.back().set_seconds(static_cast<double>(clock_.MonotonicNanos() - step_began_ns_) / 1e9);
  step_began_ns_ = 0;
}

absl::Status ActiveRun::Apply(RunState::Event event) {
  if (outcome_) return absl::OkStatus();
  const RunState::Stage stage = state_.stage();
  absl::StatusOr<std::vector<RunState::Command>> commands = state_.Handle(event, clock_.MonotonicNanos());
  if (!commands.ok()) return commands.status();
  for (const RunState::Command& command : *commands) {
    std::visit([this](const auto& kind) { Do(kind); }, command);
  }
  if (!outcome_ && state_.stage() != stage) SendProgress();
  while (!events_.empty()) {
    RunState::Event raised = std::move(events_.front());
    events_.pop_front();
    Apply(std::move(raised)).IgnoreError();
  }
  return absl::OkStatus();
}

void ActiveRun::Do(const RunState::PrepareTarget&) {
  // Tables are not touched for a run that can't follow.
  if (absl::Status status = CheckAgents(plan_, state_.agents().size()); !status.ok()) {
    events_.emplace_back(RunState::TargetPrepared{std::move(status)});
    return;
  }
  outside_.PrepareTarget(plan_);
}

void ActiveRun::Do(const RunState::AssignLoad&) {
  static constexpr char kStep[] = "client-side generate";
  if (set_up_.empty() || set_up_.back().name() != kStep) OnTargetTask(kStep);
  const std::vector<AgentId> agents = state_.agents();
  load_ = TableLoadOf(plan_, distributed_);
  load_plan_ = PlanOfLoad(plan_, *load_, agents.size());
  std::vector<v1::Assignment> assignments = PlanAssignments(load_plan_, NamesOf(agents), id_).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    *assignments[i].mutable_load() = *load_;
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    outside_.Send(agents[i], message);
  }
}

void ActiveRun::Do(const RunState::StartLoad& command) {
  const std::vector<AgentId> agents = state_.agents();
  merger_.emplace(load_plan_, 0, agents);
  for (AgentId agent : agents) {
    v1::ControllerMessage message;
    message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(command.start_ns));
    outside_.Send(agent, message);
  }
}

uint64_t ActiveRun::RowsLoaded() const {
  uint64_t rows = 0;
  for (const Merger::Script& script : merger_->scripts()) rows += script.rows;
  return rows;
}

void ActiveRun::Do(const RunState::FinishTarget&) {
  const uint64_t rows = RowsLoaded();
  const bool smoothly = merger_->errors() == 0 && merger_->connections_lost() == 0;
  set_up_.back().set_rows(rows);
  merger_.reset();
  if (rows == load_->rows()) {
    outside_.FinishTarget(plan_, smoothly);
    return;
  }
  events_.emplace_back(RunState::TargetPrepared{absl::DataLossError(
      absl::StrCat("the agents loaded ", rows, " of ", load_->rows(), " rows: run it again"))});
}

std::vector<std::string> ActiveRun::NamesOf(const std::vector<AgentId>& agents) const {
  std::vector<std::string> names;
  for (const AgentId agent : agents) names.push_back(fleet_.hello(agent).name());
  return names;
}

void ActiveRun::Do(const RunState::AssignAll&) {
  const std::vector<AgentId> agents = state_.agents();
  // Checked before the target was prepared; nobody has joined since.
  std::vector<v1::Assignment> assignments = PlanAssignments(plan_, NamesOf(agents), id_).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    result_.AddAgent(agents[i], fleet_.hello(agents[i]), assignments[i].application_servers_size());
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    outside_.Send(agents[i], message);
  }
}

void ActiveRun::Do(const RunState::ReadClocks&) {
  for (AgentId agent : state_.agents()) fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
}

void ActiveRun::Do(const RunState::StartPhase& command) {
  const std::vector<AgentId> agents = state_.agents();
  merger_.emplace(plan_, command.phase, agents);
  starts_.clear();
  for (AgentId agent : agents) {
    v1::ControllerMessage message;
    message.mutable_start_phase()->set_phase(command.phase);
    message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(command.start_ns));
    outside_.Send(agent, message);
    // Once more when it has begun, so that the skew is measured by more than the offset that it was started
    // with.
    fleet_.ProbeFrom(agent, command.start_ns);
  }
}

void ActiveRun::Do(const RunState::StopPhase& command) {
  stopped_ns_ = clock_.MonotonicNanos();
  v1::ControllerMessage message;
  message.mutable_stop_phase()->set_phase(command.phase);
  for (AgentId agent : state_.agents()) outside_.Send(agent, message);
}

void ActiveRun::Do(const RunState::ClosePhase& command) {
  const Merger& merger = *merger_;
  const int64_t ended_ns = std::min(stopped_ns_, clock_.MonotonicNanos());
  double seconds = std::max(0.0, static_cast<double>(ended_ns - state_.start_ns()) / 1e9);
  const absl::Duration planned = PlannedDuration(plan_.phases(static_cast<int>(command.phase)));
  if (planned == absl::InfiniteDuration()) {
    seconds = std::min(seconds, static_cast<double>(merger.last_completion_ns()) / 1e9);
  } else {
    seconds = std::min(seconds, absl::ToDoubleSeconds(planned));
  }
  result_.AddPhase(command.phase, seconds, merger, starts_);
  merger_.reset();
}

void ActiveRun::Do(const RunState::LoseAgent& command) {
  result_.LoseAgent(command.agent, command.reason, command.phase, command.seconds);
  if (merger_) merger_->Leave(command.agent);
}

void ActiveRun::Do(const RunState::EndRun& command) {
  v1::ControllerMessage message;
  message.mutable_end_run()->set_run_id(id_);
  outside_.Send(command.agent, message);
}

void ActiveRun::Do(const RunState::Finish& command) {
  if (!command.status.ok()) {
    outcome_ = command.status;
    return;
  }
  v1::RunResult result = result_.Build(command.cancelled);
  for (v1::SetUpStep& step : set_up_) *result.mutable_run()->add_set_up() = std::move(step);
  outcome_ = std::move(result);
}

void ActiveRun::SendProgress() {
  const RunState& state = state_;
  const int64_t now_ns = clock_.MonotonicNanos();
  v1::Progress progress;
  progress.set_run_id(id_);
  progress.set_stage(state.loading() ? v1::Progress::STAGE_SETTING_UP
                                     : ToProto(state.stage(), state.phase() == 0));
  progress.set_agents(static_cast<uint32_t>(state.agents().size()));
  progress.set_agents_wanted(state.agents_wanted());
  if (step_began_ns_ != 0) progress.set_step(set_up_.back().name());
  next_progress_ns_ = now_ns + kProgressNanos;
  if (merger_) {
    const int64_t elapsed_ns = std::max<int64_t>(0, now_ns - state.start_ns());
    progress.set_elapsed_s(static_cast<double>(elapsed_ns) / 1e9);
    if (state.loading()) {
      progress.set_rows_loaded(RowsLoaded());
      progress.set_rows_to_load(load_->rows());
    } else {
      DescribePhase(progress);
    }
    const int64_t whole_seconds = now_ns < state.start_ns() ? 0 : elapsed_ns / kProgressNanos;
    next_progress_ns_ = state.start_ns() + (whole_seconds + 1) * kProgressNanos + kProgressDelayNanos;
  }
  outside_.OnProgress(progress);
}

void ActiveRun::DescribePhase(v1::Progress& progress) const {
  const v1::Phase& phase = plan_.phases(static_cast<int>(state_.phase()));
  progress.set_phase(phase.name());
  if (!phase.has_transactions()) progress.set_duration_s(absl::ToDoubleSeconds(PlannedDuration(phase)));
  progress.set_errors(merger_->errors());
  progress.set_dropped(merger_->dropped());
  const Series& series = merger_->series();
  *progress.mutable_totals() = series.totals();
  if (series.complete() > 0) {
    const v1::SeriesPoint& newest = series.points()[series.complete() - 1];
    progress.set_throughput_per_s(static_cast<double>(newest.transactions()));
    progress.set_response_p99_us(newest.response_p99_us());
  }
}

}  // namespace trunkload
