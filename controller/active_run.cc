#include "controller/active_run.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "common/utf8.h"
#include "controller/phase_result.h"
#include "controller/phase_times.h"
#include "controller/plan/objective.h"
#include "controller/plan/plan_check.h"
#include "controller/planner.h"
#include "controller/preflight.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr int64_t kProgressNanos = 1'000'000'000;
// By then the intervals of the second that has just ended are here.
constexpr int64_t kProgressDelayNanos = 250'000'000;
constexpr size_t kLongestReason = 500;
// Of an interval of a phase that has ended, nothing is yet to come.
constexpr double kWholePhaseSeconds = 1e9;
// Agents look at their lease several times a second, on machines that may be busy.
constexpr absl::Duration kLeaseMargin = absl::Milliseconds(500);
// Of what comes due in a step of a search, so much has to be done.
constexpr double kDoneToHold = 0.97;
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
    case RunState::Stage::kObserving:
    case RunState::Stage::kReadingClocks:
    case RunState::Stage::kStarting:
      return first_phase ? v1::Progress::STAGE_CONNECTING : v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kRunning:
      return v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kDraining:
    case RunState::Stage::kEnded:
      break;
  }
  return v1::Progress::STAGE_DRAINING;
}

// How many keys are named at most, and from which share of all on.
constexpr size_t kHotKeys = 10;
constexpr double kHotShare = 0.005;

bool IsHot(const FrequentKeys& keys, const FrequentKeys::Key& key) {
  return static_cast<double>(key.count) >= kHotShare * static_cast<double>(keys.counted());
}

std::vector<v1::KeyFrequency> HotKeysOf(const FrequentKeys& keys) {
  std::vector<v1::KeyFrequency> hot;
  const auto all = static_cast<double>(keys.counted());
  for (const FrequentKeys::Key& key : keys.Keys()) {
    if (hot.size() == kHotKeys || !IsHot(keys, key)) break;
    v1::KeyFrequency& frequency = hot.emplace_back();
    frequency.set_key(key.key);
    frequency.set_share_low(static_cast<double>(key.count) / all);
    frequency.set_share_high(static_cast<double>(key.count + keys.undercount()) / all);
  }
  return hot;
}

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
      plan_(ExpandSearches(asked_, search_phases_)),
      boot_id_(surroundings.boot_id),
      clock_(surroundings.clock),
      outside_(surroundings.outside),
      fleet_(surroundings.fleet),
      state_(plan_, agents, wait, identity.began_ns),
      result_(Redacted(plan_), id_, identity.began_wall_ns),
      phases_(plan_, result_),
      next_progress_ns_(identity.began_ns) {
  for (const SearchPhases& search : search_phases_) {
    v1::SearchResult& result = searches_.emplace_back();
    result.set_phase(search.phase.name());
    result.set_objective(search.phase.load().search().objective());
  }
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
  SaveIfDue();
}

int64_t ActiveRun::NextTickNanos() const {
  // When the run began. Not now, which would always be a little later than what the caller read before.
  if (!agents_taken_in_) return next_progress_ns_;
  int64_t save_ns = saving_ || !dirty_ ? INT64_MAX : next_save_ns_;
  if (save_ns != INT64_MAX && save_soon_) save_ns = 0;
  return std::min({state_.DeadlineNanos(), next_progress_ns_, save_ns});
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
  const bool awaited = taken_over.run_id() == id_ && taken_over.phase() == state_.phase();
  if (!awaited || !taking_over_.contains(agent)) return absl::OkStatus();
  const AgentId lost = taking_over_.at(agent);
  const auto found = loss_of_.find(lost);
  v1::Loss* const loss = found == loss_of_.end() ? nullptr : &result_.losses()[found->second];
  if (!taken_over.failure().empty()) {
    // It stays among those that are to take over: before the next phase all is dealt out anew.
    if (loss != nullptr) {
      loss->set_reason(absl::StrCat(loss->reason(), "; agent ", hellos_.at(agent).name(),
                                    " could not take over: ", OneLine(taken_over.failure(), kLongestReason)));
    }
    return absl::OkStatus();
  }
  taking_over_.erase(agent);
  const double seconds = static_cast<double>(clock_.MonotonicNanos() - state_.start_ns()) / 1e9;
  const bool all = std::none_of(taking_over_.begin(), taking_over_.end(),
                                [lost](const auto& entry) { return entry.second == lost; });
  if (!all) return absl::OkStatus();
  if (loss != nullptr) loss->set_taken_over_s(seconds);
  return Apply(RunState::TakenOver{lost});
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

absl::Status ActiveRun::Apply(RunState::Event event) {
  if (outcome_) return absl::OkStatus();
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
  outside_.PrepareTarget(plan_);
}

void ActiveRun::Do(const RunState::AssignLoad&) {
  static constexpr char kStep[] = "client-side generate";
  if (set_up_.empty() || set_up_.back().name() != kStep) OnTargetTask(kStep);
  const std::vector<AgentId> agents = state_.agents();
  load_ = TableLoadOf(plan_, server_.distributed());
  load_plan_ = PlanOfLoad(plan_, *load_, agents.size());
  std::vector<v1::Assignment> assignments = PlanAssignments(load_plan_, NamesOf(agents), id_).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    *assignments[i].mutable_load() = *load_;
    versions_[agents[i]] = {++last_version_, last_version_};
    assignments[i].set_version(last_version_);
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    Send(agents[i], message);
  }
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

absl::Status ActiveRun::CheckAssignments(const std::vector<AgentId>& agents) const {
  const absl::StatusOr<std::vector<v1::Assignment>> assignments =
      PlanAssignments(plan_, NamesOf(agents), id_, GroupsOf(agents));
  if (!assignments.ok()) return assignments.status();
  for (size_t i = 0; i < agents.size(); ++i) {
    if (absl::Status status = CheckOpenFiles((*assignments)[i], fleet_.hello(agents[i])); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

std::vector<std::string> ActiveRun::GroupsOf(const std::vector<AgentId>& agents) const {
  std::vector<std::string> groups;
  if (!plan_.fleet().has_spread_over()) return groups;
  for (const AgentId agent : agents) {
    const auto& labels = fleet_.hello(agent).labels();
    const auto label = labels.find(plan_.fleet().spread_over());
    groups.push_back(label == labels.end() ? "" : label->second);
  }
  return groups;
}

std::vector<std::string> ActiveRun::NamesOf(const std::vector<AgentId>& agents) const {
  std::vector<std::string> names;
  for (const AgentId agent : agents) names.push_back(fleet_.hello(agent).name());
  return names;
}

void ActiveRun::Do(const RunState::AssignAll&) {
  const std::vector<AgentId> agents = state_.agents();
  // Checked before the target was prepared; nobody has joined since.
  const std::vector<v1::Assignment> assignments =
      PlanAssignments(plan_, NamesOf(agents), id_, GroupsOf(agents)).value();
  if (plan_.observer().enabled()) outside_.StartObserving(plan_);
  for (const AgentId agent : agents) Admit(agent);
  for (size_t i = 0; i < agents.size(); ++i) {
    for (const v1::ApplicationServer& server : assignments[i].application_servers())
      parts_.Add(agents[i], server);
    result_.AddAgent(agents[i], fleet_.hello(agents[i]), assignments[i].application_servers_size());
    Assign(agents[i]);
  }
}

void ActiveRun::AssignAnew(AgentId agent) {
  parts_.Renew(agent);
  Assign(agent);
}

void ActiveRun::Admit(AgentId agent) {
  numbers_.emplace(agent, static_cast<uint32_t>(numbers_.size()));
  hellos_[agent] = fleet_.hello(agent);
}

void ActiveRun::Assign(AgentId agent) {
  v1::ControllerMessage message;
  v1::Assignment& assignment = *message.mutable_assignment();
  assignment = PlanCommon(plan_, id_, numbers_.size());
  assignment.set_agent(numbers_.at(agent));
  forgotten_.erase(agent);
  versions_[agent] = {++last_version_, last_version_};
  assignment.set_version(last_version_);
  assignment.set_next_phase(state_.phase());
  const Parts::Servers& servers = parts_.of(agent);
  *assignment.mutable_application_servers() = {servers.begin(), servers.end()};
  assignment.set_threads(std::min(assignment.threads(), static_cast<uint32_t>(servers.size())));
  Send(agent, message);
}

void ActiveRun::Do(const RunState::Reassign& command) {
  const std::vector<AgentId> agents = state_.agents();
  // Some may have been lost by the same event.
  if (agents.empty()) return;
  std::vector<AgentId> newcomers;
  for (const AgentId agent : command.newcomers) {
    if (!state_.TakesPart(agent)) continue;
    Admit(agent);
    newcomers.push_back(agent);
  }
  std::set<AgentId> changed = parts_.Rebalance(agents, newcomers);
  for (const auto& [taker, lost] : std::exchange(taking_over_, {})) {
    if (changed.insert(taker).second) parts_.Renew(taker);
  }
  for (const AgentId agent : agents) {
    result_.AddAgent(agent, hellos_.at(agent), static_cast<int>(parts_.of(agent).size()));
    if (changed.contains(agent)) {
      Assign(agent);
    } else {
      events_.emplace_back(RunState::AgentReady{agent});
    }
  }
}

void ActiveRun::Do(const RunState::TakeOver& command) {
  std::vector<AgentId> receivers;
  for (const AgentId agent : state_.agents()) {
    if (fleet_.StreamOf(agent) && !state_.EndedPhase(agent)) receivers.push_back(agent);
  }
  if (receivers.empty()) return;
  parts_.Change(command.agent, Remaining(command.agent, parts_.of(command.agent)));
  for (const AgentId agent : parts_.TakeOver(command.agent, receivers)) {
    versions_[agent].newest = ++last_version_;
    taking_over_[agent] = command.agent;
    // Not before it is on disk: another controller might give them to somebody else.
    to_take_over_.insert(agent);
  }
  save_soon_ = true;
}

void ActiveRun::SendTakeOver(AgentId agent) {
  v1::ControllerMessage message;
  v1::TakeOver& take_over = *message.mutable_take_over();
  take_over.set_run_id(id_);
  take_over.set_phase(state_.phase());
  take_over.set_version(versions_.at(agent).newest);
  const Parts::Servers& servers = parts_.of(agent);
  *take_over.mutable_application_servers() = {servers.begin(), servers.end()};
  Send(agent, message);
}

// In a phase that is limited by transactions: what was not started yet, as far as is known.
Parts::Servers ActiveRun::Remaining(AgentId agent, Parts::Servers servers) const {
  const int phase = static_cast<int>(state_.phase());
  const Merger* const merger = phases_.merger(state_.phase());
  const bool counted = plan_.phases(phase).has_transactions() && plan_.phases(phase).load().has_closed();
  if (!counted || merger == nullptr) return servers;
  uint64_t started = merger->agents().at(agent).offered;
  for (v1::ApplicationServer& server : servers) {
    v1::PhaseShare& share = *server.mutable_shares(phase);
    const uint64_t of_this = std::min(started, share.transactions());
    share.set_transactions(share.transactions() - of_this);
    started -= of_this;
  }
  return servers;
}

double ActiveRun::ShareOf(AgentId agent, uint32_t phase) const {
  const v1::Load& load = plan_.phases(static_cast<int>(phase)).load();
  const Parts::Servers& servers = parts_.of(agent);
  if (load.has_open()) {
    return static_cast<double>(servers.size()) / plan_.fleet().application_servers();
  }
  double clients = 0;
  for (const v1::ApplicationServer& server : servers)
    clients += server.shares(static_cast<int>(phase)).clients();
  return clients / load.closed().clients();
}

void ActiveRun::Do(const RunState::ReadDatabase& command) {
  observation_.Ask(command.last);
  if (!observation_.awaits()) {
    events_.emplace_back(RunState::DatabaseRead{});
  } else if (command.last) {
    FrequentKeys keys = result_.keys();
    keys.Merge(phases_.keys());
    std::vector<int64_t> hottest;
    for (const FrequentKeys::Key& key : keys.Keys()) {
      if (hottest.size() < kHotKeys && IsHot(keys, key)) hottest.push_back(key.key);
    }
    outside_.ReadDatabaseLast(hottest);
  } else {
    outside_.ReadDatabase();
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
  if (SearchOf(state_.phase())) {
    const v1::Phase& step = plan_.phases(static_cast<int>(state_.phase()));
    message.mutable_start_phase()->set_rate(step.load().open().rate());
    *message.mutable_start_phase()->mutable_duration() = step.duration();
  }
  Send(agent, message);
}

std::optional<size_t> ActiveRun::SearchOf(uint32_t phase) const {
  for (size_t i = 0; i < search_phases_.size(); ++i) {
    const uint32_t first = search_phases_[i].first;
    if (phase >= first && phase < first + kMostSearchSteps) return i;
  }
  return std::nullopt;
}

CapacitySearch ActiveRun::ProgressOf(size_t search) const {
  CapacitySearch progress(search_phases_[search].phase.load().search());
  for (const v1::SearchStep& step : searches_[search].steps()) progress.Add(step.held());
  return progress;
}

void ActiveRun::SetRate(uint32_t phase, double rate, absl::Duration takes) {
  v1::Phase& step = *plan_.mutable_phases(static_cast<int>(phase));
  step.mutable_load()->mutable_open()->set_rate(rate);
  *step.mutable_duration() = ToProto(takes);
}

void ActiveRun::EndSearchStep(size_t search, uint32_t phase, double seconds) {
  // One that was cut short says nothing.
  if (state_.cancelled() || !state_.stopped().empty()) return;
  const Merger& merger = *phases_.merger(phase);
  const Merger::Script total = Total(merger);
  const v1::PhaseResult result = MakePhaseResult(plan_, phase, seconds, merger, total);
  v1::SearchResult& found = searches_[search];
  const v1::ObjectiveResult judged =
      Objective::Parse(found.objective())
          .value()
          .Evaluate({{result.name(), total.response, total.service, total.pool_wait, total.send_lag,
                      total.failed, result.error_rate(), result.throughput_per_s(), result.rows_per_s()}});
  v1::SearchStep& step = *found.add_steps();
  step.set_phase(result.name());
  step.set_rate_per_s(plan_.phases(static_cast<int>(phase)).load().open().rate());
  step.set_value(judged.value());
  if (result.offered() > 0)
    step.set_done(static_cast<double>(result.transactions()) / static_cast<double>(result.offered()));
  step.set_held(judged.met() && step.done() >= kDoneToHold);
  const CapacitySearch progress = ProgressOf(search);
  found.set_capacity_per_s(progress.holds());
  found.set_failed_per_s(progress.fails());
  found.set_complete(!progress.NextRate() && progress.holds() > 0 && progress.fails() > 0);
  ChooseNext(search, progress);
}

void ActiveRun::ChooseNext(size_t search, const CapacitySearch& progress) {
  const uint32_t first = search_phases_[search].first;
  const uint32_t next = first + static_cast<uint32_t>(searches_[search].steps_size());
  const std::optional<double> rate = progress.NextRate();
  if (!rate || next >= first + kMostSearchSteps) {
    events_.emplace_back(RunState::PhaseChosen{first + kMostSearchSteps});
    return;
  }
  const absl::Duration takes = progress.StepAt(*rate);
  SetRate(next, *rate, takes);
  events_.emplace_back(RunState::PhaseChosen{next, takes});
}

void ActiveRun::Do(const RunState::StopPhase& /*command*/) {
  stopped_ns_ = clock_.MonotonicNanos();
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
  if (const std::optional<size_t> search = SearchOf(command.phase))
    EndSearchStep(*search, command.phase, seconds);
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
  if (!command.status.ok()) {
    outcome_ = command.status;
    return;
  }
  phases_.Finish();
  result_.Stop(command.stopped);
  for (const v1::SearchResult& search : searches_) {
    for (const v1::SearchStep& step : search.steps()) {
      // The capacity is what the run has found; whether it was the agents' own is seen where it did not hold.
      if (step.rate_per_s() == search.capacity_per_s()) result_.JudgeStep(step.phase(), /*recorded=*/true);
      if (step.rate_per_s() == search.failed_per_s()) result_.JudgeStep(step.phase(), /*recorded=*/false);
    }
  }
  v1::RunResult result = result_.Build(command.cancelled);
  *result.mutable_run()->mutable_plan() = Redacted(asked_);
  for (const v1::SearchResult& search : searches_) *result.add_searches() = search;
  if (state_.agents_missed() > 0) {
    result.mutable_verdict()->add_notes(absl::StrCat("the run began without ", state_.agents_missed(),
                                                     " of the agents it "
                                                     "waited for, after ",
                                                     absl::FormatDuration(wait_)));
  }
  for (std::string& warning : PreflightWarnings(plan_, server_.connections()))
    result.mutable_verdict()->add_notes(absl::StrCat("before the start: ", warning));
  for (v1::SetUpStep& step : set_up_) *result.mutable_run()->add_set_up() = std::move(step);
  observation_.AddTo(plan_, HotKeysOf(result_.keys()), result);
  outcome_ = std::move(result);
}

void ActiveRun::Send(AgentId agent, const v1::ControllerMessage& message) {
  // One that is away is told when it is back.
  if (const std::optional<StreamId> stream = fleet_.StreamOf(agent)) outside_.Send(*stream, message);
}

void ActiveRun::SendProgress() {
  const RunState& state = state_;
  const int64_t now_ns = clock_.MonotonicNanos();
  v1::Progress progress;
  progress.set_run_id(id_);
  progress.set_stage(state.loading() ? v1::Progress::STAGE_SETTING_UP
                                     : ToProto(state.stage(), state.phase() == 0));
  if (state.stage() == RunState::Stage::kObserving && state.agents().empty())
    progress.set_stage(v1::Progress::STAGE_READING);
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
