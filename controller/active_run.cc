#include "controller/active_run.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "common/utf8.h"
#include "controller/checks/unsettled.h"
#include "controller/citus/hot_keys.h"
#include "controller/phase_result.h"
#include "controller/phase_times.h"
#include "controller/plan/plan_check.h"
#include "controller/planner.h"
#include "controller/preflight.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr size_t kLongestReason = 500;
// Of an interval of a phase that has ended, nothing is yet to come.
constexpr double kWholePhaseSeconds = 1e9;
// Agents look at their lease several times a second, on machines that may be busy.
constexpr absl::Duration kLeaseMargin = absl::Milliseconds(500);
constexpr uint64_t kLongestConnectingNanos = uint64_t{1} << 60;

std::string CutReason(const v1::PhaseEnded& ended) {
  switch (ended.cut()) {
    case v1::PhaseEnded::CUT_LEASE:
      return "it stopped its load, because it had not heard from the controller for as long as its lease";
    case v1::PhaseEnded::CUT_LEAVING:
      return "it was told to stop";
    default:
      return "";
  }
}

}  // namespace

ActiveRun::ActiveRun(const Identity& identity, v1::Plan plan, uint32_t agents, absl::Duration wait,
                     const Surroundings& surroundings)
    : id_(identity.id),
      began_wall_ns_(identity.began_wall_ns),
      began_ns_(identity.began_ns),
      wait_(wait),
      asked_(std::move(plan)),
      searches_(asked_, plan_),
      faults_(plan_),
      boot_id_(surroundings.boot_id),
      clock_(surroundings.clock),
      outside_(surroundings.outside),
      fleet_(surroundings.fleet),
      state_(plan_, agents, wait, identity.began_ns),
      result_(Redacted(plan_), id_, identity.began_wall_ns),
      phases_(plan_, result_),
      next_progress_ns_(identity.began_ns) {}

LoadCounts ActiveRun::counts() const {
  LoadCounts counts = result_.counts();
  return counts += phases_.counts();
}

std::optional<v1::SeriesPoint> ActiveRun::newest_second() const {
  const bool under_load =
      state_.stage() == RunState::Stage::kRunning || state_.stage() == RunState::Stage::kDraining;
  const Merger* const merger = under_load && !state_.loading() ? phases_.merger(state_.phase()) : nullptr;
  if (merger == nullptr || merger->series().complete() == 0) return std::nullopt;
  return merger->series().points()[merger->series().complete() - 1];
}

void ActiveRun::Cancel() {
  Apply(RunState::Cancelled{}).IgnoreError();
}

absl::Status ActiveRun::OnAgentJoined(AgentId agent, const v1::HeldRun* held, bool more_to_come) {
  if (state_.TakesPart(agent) && agents_taken_in_) {
    if (absl::Status status = Apply(RunState::AgentBack{agent}); !status.ok()) return status;
    SendProgress();
    return CatchUp(agent, held, more_to_come);
  }
  if (held != nullptr) Do(RunState::EndRun{agent});
  if (agents_taken_in_ && !Fits(fleet_.hello(agent))) return absl::OkStatus();
  if (agents_taken_in_) return Apply(RunState::AgentsJoined{{{agent, fleet_.hello(agent).name()}}});
  TakeAgentsIn();
  return absl::OkStatus();
}

absl::Status ActiveRun::CatchUp(AgentId agent, const v1::HeldRun* held, bool more_to_come) {
  using Stage = RunState::Stage;
  const Versions versions = versions_.contains(agent) ? versions_.at(agent) : Versions();
  // One that was given out after the last snapshot of the controller before this one is not what it is to
  // have.
  if (held != nullptr && held->version() > versions.newest) forgotten_.insert(agent);
  const bool assigned =
      held != nullptr && held->version() >= versions.assigned && !forgotten_.contains(agent);
  switch (state_.stage()) {
    case Stage::kConnecting:
    case Stage::kObserving:
    case Stage::kReadingClocks:
    case Stage::kStarting:
      if (assigned) {
        if (state_.stage() == Stage::kReadingClocks) fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
        return absl::OkStatus();
      }
      if (state_.loading()) return Apply(RunState::AgentGone{agent, "it lost its assignment"});
      if (absl::Status status = Apply(RunState::AgentUnassigned{agent}); !status.ok()) return status;
      AssignAnew(agent);
      return absl::OkStatus();
    case Stage::kRunning:
    case Stage::kDraining:
      if (state_.EndedPhase(agent)) return absl::OkStatus();
      if (held == nullptr || (!assigned && !forgotten_.contains(agent))) {
        // That its load ended, and with what, is on the way; or it never heard of the phase.
        if (held != nullptr || more_to_come) return absl::OkStatus();
        return Apply(RunState::AgentEndedPhase{agent, "its lease ended before it heard of the phase"});
      }
      if (held->phases_started() <= state_.phase()) {
        to_start_.insert(agent);
        return absl::OkStatus();
      }
      if (held->version() < versions_.at(agent).newest) SendTakeOver(agent);
      if (state_.stopping()) SendStop(agent);
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status ActiveRun::OnReady(AgentId agent, const v1::Ready& ready) {
  const bool answers = IsTold(agent, ready.run_id()) && versions_.contains(agent) &&
                       ready.version() == versions_.at(agent).newest && !state_.IsReady(agent);
  if (!answers) return absl::OkStatus();
  if (ready.connecting_ns() > kLongestConnectingNanos)
    return absl::InvalidArgumentError("its Ready has a time that no clock gives");
  connecting_us_[agent] = static_cast<double>(ready.connecting_ns()) / 1000;
  result_.SetConnecting(agent, connecting_us_[agent]);
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
  if (!state_.TakesPart(agent) || !fleet_.Probed(agent)) return absl::OkStatus();
  if (to_start_.erase(agent) > 0) {
    SendStart(agent);
    if (versions_.at(agent).newest > versions_.at(agent).assigned) SendTakeOver(agent);
    if (state_.stopping()) SendStop(agent);
  }
  if (state_.stage() != RunState::Stage::kReadingClocks) return absl::OkStatus();
  return Apply(RunState::ClockRead{agent, fleet_.LeadNanos(agent)});
}

void ActiveRun::OnAgentLeaving(AgentId agent) {
  Apply(RunState::AgentGone{agent, "it was told to stop", /*announced=*/true}).IgnoreError();
  save_soon_ = true;
}

void ActiveRun::OnAgentSilent(AgentId agent, int64_t last_heard_ns) {
  const absl::Duration lease = FromProto(plan_.fleet().lease()) + kLeaseMargin;
  Apply(RunState::AgentSilent{agent, absl::StrCat("it was not heard any more"),
                              last_heard_ns + absl::ToInt64Nanoseconds(lease)})
      .IgnoreError();
  if (!outcome_) SendProgress();
}

void ActiveRun::OnAgentGone(AgentId agent, std::string why) {
  Apply(RunState::AgentGone{agent, std::move(why)}).IgnoreError();
}

void ActiveRun::OnTick() {
  const int64_t now_ns = clock_.MonotonicNanos();
  if (!agents_taken_in_) TakeAgentsIn();
  if (!outcome_ && now_ns >= state_.DeadlineNanos()) Apply(RunState::TimePassed{}).IgnoreError();
  if (!outcome_ && now_ns >= next_progress_ns_) SendProgress();
  AnnounceFaults();
  SaveIfDue();
  BeginDueFaults();
}

int64_t ActiveRun::NextTickNanos() const {
  // When the run began. Not now, which would always be a little later than what the caller read before.
  if (!agents_taken_in_) return next_progress_ns_;
  int64_t save_ns = saving_ || !dirty_ ? INT64_MAX : next_save_ns_;
  if (save_ns != INT64_MAX && save_soon_) save_ns = 0;
  const int64_t fault_ns = FaultsMayBegin() ? faults_.NextNanos(FaultPhase()) : INT64_MAX;
  return std::min({state_.DeadlineNanos(), next_progress_ns_, save_ns, fault_ns});
}

bool ActiveRun::Fits(const v1::Hello& hello) const {
  const auto& labels = plan_.fleet().labels();
  return std::all_of(labels.begin(), labels.end(), [&hello](const auto& label) {
    const auto found = hello.labels().find(label.first);
    return found != hello.labels().end() && found->second == label.second;
  });
}

void ActiveRun::TakeAgentsIn() {
  agents_taken_in_ = true;
  RunState::AgentsJoined joined;
  for (AgentId agent : fleet_.joined_agents()) {
    if (Fits(fleet_.hello(agent))) joined.agents.emplace(agent, fleet_.hello(agent).name());
  }
  Apply(std::move(joined)).IgnoreError();
}

absl::Status ActiveRun::OnInterval(AgentId agent, const v1::Interval& interval) {
  if (interval.run_id() != id_) return absl::OkStatus();
  const double elapsed = static_cast<double>(clock_.MonotonicNanos() - state_.start_ns()) / 1e9;
  dirty_ = true;
  if (load_merger_) {
    if (!state_.TakesPart(agent)) return absl::OkStatus();
    if (absl::Status status = load_merger_->Merge(agent, interval, elapsed); !status.ok()) return status;
    return Apply(RunState::AgentReported{agent});
  }
  const bool of_this_phase = interval.phase() == state_.phase();
  const absl::StatusOr<bool> merged =
      phases_.Merge(agent, interval, of_this_phase ? elapsed : kWholePhaseSeconds);
  if (!merged.ok()) return merged.status();
  if (!*merged) return absl::OkStatus();
  if (interval.log().client_size() > 0) TellTransactions(agent, interval.log());
  if (!of_this_phase || !state_.TakesPart(agent) || state_.EndedPhase(agent)) return absl::OkStatus();
  return Apply(RunState::AgentReported{agent});
}

void ActiveRun::TellTransactions(AgentId agent, const v1::TransactionLog& log) {
  const int64_t phase_start_ns = clock_.WallNanos() - (clock_.MonotonicNanos() - state_.start_ns());
  outside_.OnTransactions(numbers_.at(agent), phase_start_ns / 1000, log);
}

absl::Status ActiveRun::OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended) {
  if (ended.run_id() != id_) return absl::OkStatus();
  dirty_ = true;
  if (load_merger_) {
    if (!state_.TakesPart(agent)) return absl::OkStatus();
    if (absl::Status status = load_merger_->End(agent, ended); !status.ok()) return status;
    return Apply(RunState::AgentEndedPhase{agent, CutReason(ended)});
  }
  const absl::StatusOr<bool> known = phases_.End(agent, ended);
  if (!known.ok()) return known.status();
  if (!*known || ended.phase() != state_.phase()) return absl::OkStatus();
  const int64_t start_ns = state_.start_ns();
  if (const AgentClock& clock = fleet_.clock(agent); clock.known()) {
    phases_.SetStart(
        ended.phase(), agent,
        {.skew_us = static_cast<double>(clock.ToController(ended.started_ns(), start_ns) - start_ns) / 1000,
         .uncertainty_us = static_cast<double>(clock.UncertaintyNanos(start_ns)) / 1000});
  }
  if (!state_.TakesPart(agent)) return absl::OkStatus();
  return Apply(
      RunState::AgentEndedPhase{agent, CutReason(ended), ended.cut() == v1::PhaseEnded::CUT_LEAVING});
}

absl::Status ActiveRun::OnTakenOver(AgentId agent, const v1::TakenOver& taken_over) {
  if (taken_over.run_id() != id_ || taken_over.phase() != state_.phase()) return absl::OkStatus();
  const std::set<uint32_t> named(taken_over.application_servers().begin(),
                                 taken_over.application_servers().end());
  std::set<AgentId> concerned;
  for (const v1::ApplicationServer& server : parts_.of(agent)) {
    const auto given = taking_over_.find(server.number());
    if (given == taking_over_.end() || !named.contains(server.number())) continue;
    concerned.insert(given->second.begin(), given->second.end());
    // One that failed stays: before the next phase all is dealt out anew.
    if (taken_over.failure().empty()) taking_over_.erase(given);
  }
  for (const AgentId lost : concerned) {
    const auto found = loss_of_.find(lost);
    v1::Loss* const loss = found == loss_of_.end() ? nullptr : &result_.losses()[found->second];
    if (!taken_over.failure().empty()) {
      if (loss == nullptr) continue;
      loss->set_reason(absl::StrCat(loss->reason(), "; agent ", hellos_.at(agent).name(),
                                    " could not take over: ", OneLine(taken_over.failure(), kLongestReason)));
      continue;
    }
    const bool all = std::none_of(taking_over_.begin(), taking_over_.end(),
                                  [lost](const auto& entry) { return entry.second.contains(lost); });
    if (!all) continue;
    if (loss != nullptr)
      loss->set_taken_over_s(static_cast<double>(clock_.MonotonicNanos() - state_.start_ns()) / 1e9);
    if (absl::Status status = Apply(RunState::TakenOver{lost}); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void ActiveRun::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  const bool to_be_loaded = state_.stage() == RunState::Stage::kSettingUp && AgentsLoad(plan_);
  if (!to_be_loaded) EndStep();
  if (info.ok()) {
    // Rows were loaded since it was read.
    if (server_.has_connections()) *info->mutable_connections() = server_.connections();
    result_.SetServer(*info);
    server_ = *info;
    save_soon_ = true;
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

void ActiveRun::OnObserved(v1::Observed observed) {
  const int64_t now_ns = clock_.MonotonicNanos();
  using Stage = RunState::Stage;
  const bool in_phase =
      !state_.loading() && (state_.stage() == Stage::kRunning || state_.stage() == Stage::kDraining);
  observed.set_phase(state_.phase());
  observed.set_under_load(in_phase && now_ns >= state_.start_ns());
  if (in_phase) observed.set_second(static_cast<double>(now_ns - state_.start_ns()) / 1e9);
  observed.set_at_s(static_cast<double>(now_ns - began_ns_) / 1e9);
  observation_.Add(observed);
  dirty_ = true;
  if (state_.stage() == Stage::kObserving && !observation_.awaits())
    Apply(RunState::DatabaseRead{}).IgnoreError();
}

bool ActiveRun::FaultsMayBegin() const {
  return !outcome_ && !state_.loading() && state_.stage() == RunState::Stage::kRunning && !state_.stopping();
}

void ActiveRun::AnnounceFaults() {
  if (FaultsMayBegin() && faults_.Announce(FaultPhase(), clock_.MonotonicNanos())) dirty_ = save_soon_ = true;
}

void ActiveRun::BeginDueFaults() {
  if (!FaultsMayBegin()) return;
  while (const std::optional<int> fault = faults_.TakeDue(FaultPhase(), clock_.MonotonicNanos()))
    outside_.BeginFault(*fault);
}

void ActiveRun::EndFaults() {
  if (faults_.under_way()) outside_.EndFaults();
}

void ActiveRun::OnFaultBegan(int fault) {
  faults_.OnBegan(fault, clock_.MonotonicNanos());
  dirty_ = true;
}

void ActiveRun::OnFaultEnded(int fault, const std::string& failure) {
  faults_.OnEnded(fault, clock_.MonotonicNanos(), failure);
  dirty_ = true;
  if (finish_ && !faults_.under_way()) Do(RunState::Finish(*finish_));
}

absl::Status ActiveRun::Apply(RunState::Event event) {
  if (outcome_ || finish_) return absl::OkStatus();
  dirty_ = true;
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
  const std::vector<AgentId> agents = state_.agents();
  absl::Status status = CheckAgents(plan_, agents.size());
  if (status.ok() && !plan_.phases().empty()) status = CheckAssignments(agents);
  if (!status.ok()) {
    events_.emplace_back(RunState::TargetPrepared{std::move(status)});
    return;
  }
  outside_.PrepareTarget(plan_, id_);
}

void ActiveRun::Do(const RunState::StartLoad& command) {
  const std::vector<AgentId> agents = state_.agents();
  load_merger_.emplace(load_plan_, 0, agents);
  for (AgentId agent : agents) {
    v1::ControllerMessage message;
    message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(command.start_ns));
    Send(agent, message);
  }
}

uint64_t ActiveRun::RowsLoaded() const {
  uint64_t rows = 0;
  for (const Merger::Script& script : load_merger_->scripts()) rows += script.rows;
  return rows;
}

void ActiveRun::Do(const RunState::FinishTarget&) {
  const uint64_t rows = RowsLoaded();
  const bool smoothly = load_merger_->errors() == 0 && load_merger_->connections_lost() == 0;
  set_up_.back().set_rows(rows);
  load_merger_.reset();
  if (rows == load_->rows()) {
    outside_.FinishTarget(plan_, smoothly);
    return;
  }
  events_.emplace_back(RunState::TargetPrepared{absl::DataLossError(
      absl::StrCat("the agents loaded ", rows, " of ", load_->rows(), " rows: run it again"))});
}

void ActiveRun::Do(const RunState::ReadDatabase& command) {
  if (command.last || state_.agents().empty()) EndFaults();
  observation_.Ask(command.last);
  if (!observation_.awaits()) {
    events_.emplace_back(RunState::DatabaseRead{});
  } else if (command.last) {
    FrequentKeys keys = result_.keys();
    keys.Merge(phases_.keys());
    std::vector<int64_t> hottest;
    for (const v1::KeyFrequency& hot : HotKeys(keys)) hottest.push_back(hot.key());
    outside_.ReadDatabaseLast(hottest);
  } else {
    // After a run that was cut short no phase follows.
    const int phase = static_cast<int>(state_.phase());
    outside_.ReadDatabase(!state_.agents().empty() && plan_.phases(phase).observed());
  }
}

void ActiveRun::Do(const RunState::ReadClocks&) {
  for (AgentId agent : state_.agents()) {
    if (!forgotten_.contains(agent)) continue;
    AssignAnew(agent);
    events_.emplace_back(RunState::AgentUnassigned{agent});
  }
  for (AgentId agent : state_.agents()) fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
}

void ActiveRun::Do(const RunState::StartPlanned& command) {
  phases_.Plan(command.phase, state_.agents());
  to_start_.clear();
  // Those that come first are on disk with the start.
  faults_.Announce(FaultPhase(), clock_.MonotonicNanos());
  save_soon_ = save_asked_ = true;
}

void ActiveRun::Do(const RunState::StartPhase& command) {
  phases_.Begin(command.phase);
  for (AgentId agent : state_.agents()) {
    SendStart(agent);
    // Once more when it has begun, so that the skew is measured by more than the offset that it was started
    // with.
    fleet_.ProbeFrom(agent, command.start_ns);
  }
}

void ActiveRun::SendStart(AgentId agent) {
  v1::ControllerMessage message;
  message.mutable_start_phase()->set_phase(state_.phase());
  message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(state_.start_ns()));
  if (searches_.IsStep(state_.phase())) {
    const v1::Phase& step = plan_.phases(static_cast<int>(state_.phase()));
    message.mutable_start_phase()->set_rate(step.load().open().rate());
    *message.mutable_start_phase()->mutable_duration() = step.duration();
  }
  Send(agent, message);
}

void ActiveRun::Do(const RunState::StopPhase& /*command*/) {
  stopped_ns_ = clock_.MonotonicNanos();
  EndFaults();
  for (AgentId agent : state_.agents()) SendStop(agent);
}

void ActiveRun::SendStop(AgentId agent) {
  v1::ControllerMessage message;
  message.mutable_stop_phase()->set_phase(state_.phase());
  *message.mutable_stop_phase()->mutable_drain_timeout() = ToProto(RunState::kShortDrain);
  Send(agent, message);
}

void ActiveRun::Do(const RunState::ClosePhase& command) {
  const Merger& merger = *phases_.merger(command.phase);
  const int64_t ended_ns = std::min(stopped_ns_, clock_.MonotonicNanos());
  double seconds = std::max(0.0, static_cast<double>(ended_ns - state_.start_ns()) / 1e9);
  const absl::Duration planned = PlannedDuration(plan_.phases(static_cast<int>(command.phase)));
  if (planned == absl::InfiniteDuration()) {
    seconds = std::min(seconds, static_cast<double>(merger.last_completion_ns()) / 1e9);
  } else {
    seconds = std::min(seconds, absl::ToDoubleSeconds(planned));
  }
  phases_.Close(command.phase, seconds);
  faults_.Skip(command.phase + 1, "its phase was over before");
  if (static_cast<int>(command.phase) + 1 == plan_.phases_size()) EndFaults();
  // A step that was cut short says nothing.
  if (searches_.IsStep(command.phase) && !state_.cancelled() && state_.stopped().empty()) {
    const Merger::Script total = Total(merger);
    const RunSearches::Next next = searches_.EndStep(
        command.phase, MakePhaseResult(plan_, command.phase, seconds, merger, total), total, plan_);
    events_.emplace_back(RunState::PhaseChosen{next.phase, next.takes});
  }
}

OperationRecord ActiveRun::Operations() const {
  OperationRecord operations = result_.operations();
  phases_.AddOperationsTo(operations);
  return operations;
}

void ActiveRun::Do(const RunState::SettleChecks&) {
  // No phase may have followed the one that they were for.
  EndFaults();
  outside_.SettleChecks(plan_, id_, Operations());
}

void ActiveRun::OnChecksSettled(std::vector<v1::CheckResult> checks) {
  checks_ = std::move(checks);
  Apply(RunState::ChecksSettled{}).IgnoreError();
}

void ActiveRun::Do(const RunState::LoseAgent& command) {
  v1::Loss loss;
  loss.set_agent(hellos_.at(command.agent).name());
  loss.set_reason(command.reason);
  loss.set_phase(plan_.phases(static_cast<int>(command.phase)).name());
  loss.set_noticed_s(command.seconds);
  loss.set_announced(command.announced);
  loss.set_share(ShareOf(command.agent, command.phase));
  if (const Merger* const merger = phases_.merger(command.phase); merger != nullptr) {
    const auto part = merger->agents().find(command.agent);
    if (part != merger->agents().end()) loss.set_from_s(part->second.known_seconds());
  }
  loss_of_[command.agent] = result_.losses().size();
  result_.AddLoss(std::move(loss));
  phases_.Leave(command.phase, command.agent);
  to_start_.erase(command.agent);
}

void ActiveRun::Do(const RunState::EndRun& command) {
  v1::ControllerMessage message;
  message.mutable_end_run()->set_run_id(id_);
  Send(command.agent, message);
}

void ActiveRun::Do(const RunState::Finish& command) {
  outside_.StopObserving();
  outside_.CancelSettling();
  if (faults_.under_way()) {
    EndFaults();
    finish_ = command;
    return;
  }
  if (!command.status.ok()) {
    outcome_ = command.status;
    return;
  }
  if (!plan_.checks().empty()) outside_.KeepCheckRecord(id_, Operations().ToProto(plan_));
  phases_.Finish();
  result_.Stop(command.stopped);
  for (const v1::SearchResult& search : searches_.results()) {
    for (const v1::SearchStep& step : search.steps()) {
      // The capacity is what the run has found; whether it was the agents' own is seen where it did not hold.
      if (step.rate_per_s() == search.capacity_per_s()) result_.JudgeStep(step.phase(), /*recorded=*/true);
      if (step.rate_per_s() == search.failed_per_s()) result_.JudgeStep(step.phase(), /*recorded=*/false);
    }
  }
  faults_.Skip(UINT32_MAX, "the run ended before its phase began");
  v1::RunResult result = result_.Build(command.cancelled);
  *result.mutable_run()->mutable_plan() = Redacted(asked_);
  for (const v1::SearchResult& search : searches_.results()) *result.add_searches() = search;
  if (state_.agents_missed() > 0) {
    result.mutable_verdict()->add_notes(absl::StrCat("the run began without ", state_.agents_missed(),
                                                     " of the agents it "
                                                     "waited for, after ",
                                                     absl::FormatDuration(wait_)));
  }
  for (std::string& warning : PreflightWarnings(plan_, server_.connections()))
    result.mutable_verdict()->add_notes(absl::StrCat("before the start: ", warning));
  for (v1::SetUpStep& step : set_up_) *result.mutable_run()->add_set_up() = std::move(step);
  faults_.AddTo(result);
  observation_.AddTo(plan_, HotKeys(result_.keys()), result);
  if (checks_.empty()) {
    const std::string stopped = command.stopped.empty() ? "the database took too long" : command.stopped;
    checks_ = Unsettled(plan_, command.cancelled ? "the run was cancelled" : stopped);
  }
  for (v1::CheckResult& check : checks_) *result.add_checks() = std::move(check);
  outcome_ = std::move(result);
}

void ActiveRun::Send(AgentId agent, const v1::ControllerMessage& message) {
  // One that is away is told when it is back.
  if (const std::optional<StreamId> stream = fleet_.StreamOf(agent)) outside_.Send(*stream, message);
}

}  // namespace trunkload
