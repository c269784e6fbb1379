#include "controller/run_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "controller/phase_times.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

// Time for messages and for a machine that is busy, over what the plan allows.
constexpr absl::Duration kMargin = absl::Seconds(5);
// Making tables takes no longer than this, and loading them no longer than this for each row.
constexpr absl::Duration kSetUpLimit = absl::Minutes(10);
constexpr absl::Duration kSetUpLimitPerRow = absl::Milliseconds(1);
// Agents answer clock probes within a round trip.
constexpr absl::Duration kReadClocksLimit = absl::Seconds(10);
// What writing down the start of a phase takes at first, and at most.
constexpr absl::Duration kSaveAllowance = absl::Milliseconds(50);
constexpr absl::Duration kStartLimit = absl::Seconds(30);
// In a phase that only a number of transactions ends, an agent that has sent nothing for so long is lost: a
// live one sends an interval each second.
constexpr absl::Duration kSilenceLimit = absl::Minutes(1);
// A run that is to end early is over two seconds later, whatever its agents do: this much after the drain.
constexpr absl::Duration kShortMargin = absl::Milliseconds(700);
// Agents dial a controller that was started again every two seconds.
constexpr absl::Duration kDialling = absl::Seconds(5);
// A database that is not read by then is loaded all the same; in a run that is to end early, this soon.
constexpr absl::Duration kReadingLimit = absl::Seconds(5);
// Behind a pooler it takes 10 s for the servers to know what was done.
constexpr absl::Duration kLastReadingLimit = absl::Seconds(16);
constexpr absl::Duration kShortReading = absl::Milliseconds(250);
// Once the database has come to rest, reading tables of checks takes no longer.
constexpr absl::Duration kSettlingLimit = absl::Minutes(30);

int64_t After(int64_t now_ns, absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return INT64_MAX;
  return now_ns + absl::ToInt64Nanoseconds(duration);
}

}  // namespace

RunState::RunState(const v1::Plan& plan, uint32_t agents_wanted, absl::Duration wait, int64_t now_ns)
    : wait_(wait),
      set_up_(kSetUpLimit + kSetUpLimitPerRow * RowsOfLargestTable(plan.setup())),
      connect_(FromProto(plan.fleet().pool().connect_timeout()) + kMargin),
      on_agent_lost_(plan.fleet().on_agent_lost()),
      lease_(FromProto(plan.fleet().lease())),
      agents_load_(AgentsLoad(plan)),
      agents_wanted_(std::max(agents_wanted, 1u)),
      min_agents_(plan.fleet().min_agents()),
      labels_wanted_(!plan.fleet().labels().empty()),
      deadline_ns_(After(now_ns, wait)),
      wake_ns_(deadline_ns_),
      now_ns_(now_ns) {
  for (const v1::Phase& phase : plan.phases()) {
    phase_names_.push_back(phase.name());
    planned_.push_back(PlannedDuration(phase));
    drain_.push_back(FromProto(phase.drain_timeout()));
  }
  if (!plan.checks().empty()) settling_ = FromProto(plan.check_options().settle_timeout()) + kSettlingLimit;
  if (plan.observer().enabled()) last_reading_ = FromProto(plan.observer().count_limit()) + kLastReadingLimit;
}

RunState::RunState(const v1::Plan& plan, uint32_t agents_wanted, absl::Duration wait, int64_t now_ns,
                   const Position& position)
    : RunState(plan, agents_wanted, wait, now_ns) {
  Resume(position);
  wake_ns_ = EarliestDeadlineNanos();
}

void RunState::Resume(const Position& position) {
  target_prepared_ = position.target_prepared;
  cancelled_ = position.cancelled;
  phase_ = position.phase;
  if (phase_ == 0 && !position.begun) return;
  // The load was over, and the database about to be read for the last time.
  if (!position.begun && (phase_ == planned_.size() || position.agents.empty())) {
    stage_ = Stage::kObserving;
    deadline_ns_ = now_ns_;
    return;
  }
  unserved_ = position.unserved;
  const int64_t lease_ends_ns = After(now_ns_, lease_ + kDialling);
  for (const auto& [id, agent] : position.agents) {
    Agent& restored = agents_[id];
    restored.name = agent.name;
    restored.ready = true;
    restored.ended_phase = position.begun && agent.ended_phase;
    restored.heard_ns = now_ns_;
    restored.silent = true;
    restored.silence = "it did not come back to the controller that was started again";
    restored.lease_ends_ns = lease_ends_ns;
  }
  if (!position.begun) {
    stage_ = Stage::kReadingClocks;
    deadline_ns_ = lease_ends_ns;
    return;
  }
  stage_ = Stage::kRunning;
  start_ns_ = position.start_ns;
  const int64_t soonest_ns = After(now_ns_, kDialling);
  deadline_ns_ = cancelled_ ? soonest_ns : std::max(After(start_ns_, planned_[phase_]), soonest_ns);
}

absl::StatusOr<std::vector<RunState::Command>> RunState::Handle(const Event& event, int64_t now_ns) {
  if (stage_ == Stage::kEnded) return absl::FailedPreconditionError("the run has ended");
  now_ns_ = now_ns;
  commands_.clear();
  const absl::Status status = std::visit([this](const auto& kind) { return On(kind); }, event);
  // Of a large fleet nearly all events only put the deadline of one agent off, which waits for the next look
  // at all of them.
  if (!std::holds_alternative<AgentReported>(event)) wake_ns_ = EarliestDeadlineNanos();
  if (!status.ok()) return status;
  return std::exchange(commands_, {});
}

absl::Status RunState::On(const AgentsJoined& event) {
  if (stage_ != Stage::kWaitingForAgents) {
    for (const auto& [id, name] : event.agents) {
      if (!TakesPart(id)) newcomers_[id] = name;
    }
    return absl::OkStatus();
  }
  for (const auto& [id, name] : event.agents) agents_[id].name = name;
  if (agents_.size() >= agents_wanted_) StartSetUp();
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentSilent& event) {
  const bool may_load = phase_ < planned_.size() && InPhase() && !loading_;
  if (!may_load || on_agent_lost_ == v1::ON_AGENT_LOST_ABORT) return On(AgentGone{event.agent, event.reason});
  if (const auto found = agents_.find(event.agent); found != agents_.end()) {
    found->second.silent = true;
    found->second.silence = event.reason;
    found->second.lease_ends_ns = event.lease_ends_ns;
  } else {
    newcomers_.erase(event.agent);
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentBack& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  (*agent)->silent = false;
  (*agent)->lease_ends_ns = INT64_MAX;
  (*agent)->heard_ns = now_ns_;
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentUnassigned& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  if (stage_ < Stage::kConnecting || stage_ > Stage::kStarting) {
    return absl::FailedPreconditionError("an agent lost its assignment in a phase");
  }
  (*agent)->ready = false;
  if (stage_ != Stage::kConnecting) {
    stage_ = Stage::kConnecting;
    deadline_ns_ = After(now_ns_, connect_);
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentGone& event) {
  newcomers_.erase(event.agent);
  if (!TakesPart(event.agent)) return absl::OkStatus();
  const bool only_tables = stage_ == Stage::kFinishingTables && planned_.empty();
  if (stage_ == Stage::kWaitingForAgents || only_tables) {
    agents_.erase(event.agent);
    return absl::OkStatus();
  }
  Lose(event.agent, event.reason, absl::StatusCode::kUnavailable, event.announced);
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentFailed& event) {
  if (absl::StatusOr<Agent*> agent = Find(event.agent); !agent.ok()) return agent.status();
  // What it says of loading comes too late to matter: its rows are there.
  if (stage_ == Stage::kFinishingTables) return absl::OkStatus();
  if (stage_ == Stage::kWaitingForAgents || stage_ == Stage::kSettingUp) {
    return absl::FailedPreconditionError("Failed came before an assignment");
  }
  commands_.emplace_back(EndRun{event.agent});
  Lose(event.agent, event.reason, absl::StatusCode::kUnavailable);
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentReady& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  if (stage_ != Stage::kConnecting || (*agent)->ready) {
    return absl::FailedPreconditionError("Ready came without an assignment that it could answer");
  }
  (*agent)->ready = true;
  PrepareStartIfAllReady();
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentReported& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  if (!InPhase() || (*agent)->ended_phase) {
    return absl::FailedPreconditionError("an Interval came while no phase was under way");
  }
  (*agent)->heard_ns = now_ns_;
  return absl::OkStatus();
}

absl::Status RunState::On(const AgentEndedPhase& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  if (!InPhase() || (*agent)->ended_phase) {
    return absl::FailedPreconditionError("PhaseEnded came while no phase was under way");
  }
  (*agent)->ended_phase = true;
  (*agent)->heard_ns = now_ns_;
  if (!event.cut.empty()) {
    if (!event.leaves) newcomers_[event.agent] = (*agent)->name;
    Lose(event.agent, event.cut, absl::StatusCode::kUnavailable, event.leaves);
  } else {
    EndPhaseIfAllHave();
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const TargetPrepared& event) {
  if (!preparing_target_) return absl::FailedPreconditionError("no target was to be prepared");
  preparing_target_ = false;
  if (!event.status.ok()) {
    End(event.status);
    return absl::OkStatus();
  }
  loading_ = stage_ == Stage::kSettingUp && agents_load_;
  target_prepared_ = !loading_;
  if (loading_) {
    Connect(AssignLoad{});
  } else if (planned_.empty()) {
    End(absl::OkStatus());
  } else {
    Connect(AssignAll{});
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const ClockRead& event) {
  absl::StatusOr<Agent*> agent = Find(event.agent);
  if (!agent.ok()) return agent.status();
  if (stage_ != Stage::kReadingClocks) return absl::FailedPreconditionError("no clocks were to be read");
  (*agent)->clock_read = true;
  (*agent)->lead_ns = event.lead_ns;
  PlanStartIfAllRead();
  return absl::OkStatus();
}

absl::Status RunState::On(const DatabaseRead&) {
  if (stage_ == Stage::kObserving) OnDeadline();
  return absl::OkStatus();
}

absl::Status RunState::On(const PhaseChosen& event) {
  if (InPhase() || stage_ == Stage::kStarting || event.phase < phase_ || event.phase > planned_.size())
    return absl::FailedPreconditionError("a phase can't be chosen now");
  // What is being read, is read for that one.
  if (phases_read_ > phase_) phases_read_ = event.phase + 1;
  const bool over = phase_ == planned_.size();
  phase_ = event.phase;
  if (event.takes) planned_[phase_] = *event.takes;
  if (phase_ == planned_.size() && !over) FinishRun();
  return absl::OkStatus();
}

absl::Status RunState::On(const Saved&) {
  if (stage_ != Stage::kStarting) return absl::OkStatus();
  if (now_ns_ + lead_ns_ > start_ns_) {
    // The disk was slower than was allowed for.
    PlanStart();
    return absl::OkStatus();
  }
  stage_ = Stage::kRunning;
  deadline_ns_ = After(start_ns_, planned_[phase_]);
  for (auto& [id, agent] : agents_) {
    agent.ended_phase = false;
    agent.heard_ns = start_ns_;
  }
  commands_.emplace_back(StartPhase{phase_, start_ns_});
  return absl::OkStatus();
}

absl::Status RunState::On(const ChecksSettled&) {
  if (stage_ == Stage::kChecking) End(absl::OkStatus());
  return absl::OkStatus();
}

absl::Status RunState::On(const TakenOver& event) {
  unserved_.erase(event.lost);
  return absl::OkStatus();
}

absl::Status RunState::On(const Stalled&) {
  const int64_t soonest_ns = After(now_ns_, kDialling);
  // Agents have waited for no answer from here, or dial again.
  if (stage_ != Stage::kWaitingForAgents && !stopping_) deadline_ns_ = std::max(deadline_ns_, soonest_ns);
  for (auto& [id, agent] : agents_) {
    if (agent.silent) agent.lease_ends_ns = std::max(agent.lease_ends_ns, soonest_ns);
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const Stopped& event) {
  if (!stopped_.empty() || cancelled_) return absl::OkStatus();
  stopped_ = event.reason;
  if (phase_ == 0 && (!InPhase() || loading_)) {
    End(absl::FailedPreconditionError(stopped_));
  } else {
    EndEarly();
  }
  return absl::OkStatus();
}

void RunState::EndEarly() {
  if (stage_ == Stage::kChecking) return End(absl::OkStatus());
  if (!InPhase()) return FinishRun();
  stopping_ = true;
  commands_.emplace_back(StopPhase{phase_});
  StartDraining(kShortDrain);
}

absl::Status RunState::On(const Cancelled&) {
  if (cancelled_) return absl::OkStatus();
  cancelled_ = true;
  if ((InPhase() && !loading_) || phase_ > 0) {
    EndEarly();
  } else {
    End(absl::CancelledError(loading_ ? "cancelled while rows were being loaded: the next run begins anew"
                             : stage_ == Stage::kFinishingTables
                                 ? "cancelled before the tables were finished: the next run begins anew"
                                 : "cancelled before the first phase began"));
  }
  return absl::OkStatus();
}

absl::Status RunState::On(const TimePassed&) {
  if (now_ns_ < EarliestDeadlineNanos()) return absl::OkStatus();
  LoseThoseWhoseLeaseEnded();
  if (stage_ == Stage::kEnded) return absl::OkStatus();
  if (now_ns_ >= deadline_ns_) {
    OnDeadline();
  } else if (stage_ == Stage::kRunning && PhaseCounts()) {
    LoseThoseThat(
        [this](const Agent& agent) {
          return !agent.ended_phase && !agent.silent && now_ns_ >= After(agent.heard_ns, kSilenceLimit);
        },
        absl::StrCat("it sent nothing for ", absl::FormatDuration(kSilenceLimit)));
  }
  return absl::OkStatus();
}

void RunState::OnDeadline() {
  // As it was when the controller before this one was killed.
  if (InPhase() && EveryAgentEndedPhase()) return EndPhaseIfAllHave();
  switch (stage_) {
    case Stage::kWaitingForAgents:
      if (min_agents_ > 0 && agents_.size() >= min_agents_) {
        agents_missed_ = agents_wanted_ - static_cast<uint32_t>(agents_.size());
        StartSetUp();
        break;
      }
      End(absl::DeadlineExceededError(
          absl::StrCat("only ", agents_.size(), " of ", agents_wanted_, " agents came within ",
                       absl::FormatDuration(wait_), ": start more of them, or wait longer",
                       labels_wanted_ ? "; only those count that bear the plan's fleet.labels" : "")));
      break;
    case Stage::kSettingUp:
    case Stage::kFinishingTables:
      End(absl::DeadlineExceededError(absl::StrCat("setting up the target took longer than ",
                                                   absl::FormatDuration(set_up_),
                                                   ": see what the database is busy with or waits for")));
      break;
    case Stage::kConnecting:
      if (phase_ > 0) {
        LoseThoseThat(
            [](const Agent& agent) { return !agent.ready; },
            absl::StrCat("it did not report open connections within ", absl::FormatDuration(connect_)));
        break;
      }
      End(absl::DeadlineExceededError(absl::StrCat(
          NamesOfNotReady(), " did not report open connections within ", absl::FormatDuration(connect_),
          " (pool.connect_timeout and a margin): see whether the database answers and the agent's machine is "
          "alive")));
      break;
    case Stage::kObserving:
      if (agents_.empty()) {
        SettleChecksOrEnd();
      } else {
        phases_read_ = phase_ + 1;
        StartReadingClocks();
      }
      break;
    case Stage::kReadingClocks:
      LoseThoseThat(
          [](const Agent& agent) { return !agent.clock_read; },
          absl::StrCat("it did not answer clock probes within ", absl::FormatDuration(kReadClocksLimit)));
      break;
    case Stage::kStarting:
      stopped_ = absl::StrCat("the controller could not write down the start of phase ", phase_names_[phase_],
                              " within ", absl::FormatDuration(kStartLimit));
      if (phase_ == 0) {
        End(absl::DeadlineExceededError(stopped_));
      } else {
        FinishRun();
      }
      break;
    case Stage::kRunning:
      if (cancelled_) {
        EndEarly();
      } else {
        StartDraining(drain_[phase_]);
      }
      break;
    case Stage::kDraining:
      LoseThoseThat([](const Agent& agent) { return !agent.ended_phase; },
                    "it did not report the end of the phase in time");
      break;
    case Stage::kChecking:
      End(absl::OkStatus());
      break;
    case Stage::kEnded:
      break;
  }
}

int64_t RunState::EarliestDeadlineNanos() const {
  if (stage_ == Stage::kEnded) return INT64_MAX;
  int64_t deadline = deadline_ns_;
  for (const auto& [id, agent] : agents_) deadline = std::min(deadline, agent.lease_ends_ns);
  if (stage_ == Stage::kRunning && PhaseCounts()) {
    for (const auto& [id, agent] : agents_) {
      if (agent.ended_phase || agent.silent) continue;
      deadline = std::min(deadline, After(agent.heard_ns, kSilenceLimit));
    }
  }
  return deadline;
}

std::vector<AgentId> RunState::agents() const {
  std::vector<AgentId> ids;
  for (const auto& [id, agent] : agents_) ids.push_back(id);
  return ids;
}

bool RunState::IsReady(AgentId agent) const {
  const auto found = agents_.find(agent);
  return found != agents_.end() && found->second.ready;
}

bool RunState::EndedPhase(AgentId agent) const {
  const auto found = agents_.find(agent);
  return found != agents_.end() && found->second.ended_phase;
}

bool RunState::EveryAgentEndedPhase() const {
  return std::all_of(agents_.begin(), agents_.end(),
                     [](const auto& entry) { return entry.second.ended_phase; });
}

uint32_t RunState::heard() const {
  return static_cast<uint32_t>(
      std::count_if(agents_.begin(), agents_.end(), [](const auto& entry) { return !entry.second.silent; }));
}

absl::StatusOr<RunState::Agent*> RunState::Find(AgentId agent) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return absl::FailedPreconditionError("the agent takes no part in the run");
  return &found->second;
}

void RunState::StartSetUp() {
  stage_ = Stage::kSettingUp;
  deadline_ns_ = After(now_ns_, set_up_);
  agents_wanted_ = static_cast<uint32_t>(agents_.size());
  if (target_prepared_) return Connect(AssignAll{});
  preparing_target_ = true;
  commands_.emplace_back(PrepareTarget{});
}

void RunState::Connect(Command assign) {
  stage_ = Stage::kConnecting;
  deadline_ns_ = After(now_ns_, connect_);
  for (auto& [id, agent] : agents_) agent.ready = false;
  commands_.push_back(std::move(assign));
}

// At once: nothing depends on when each agent begins.
void RunState::StartLoadingRows() {
  stage_ = Stage::kRunning;
  start_ns_ = now_ns_;
  deadline_ns_ = INT64_MAX;
  for (auto& [id, agent] : agents_) {
    agent.ended_phase = false;
    agent.heard_ns = now_ns_;
  }
  commands_.emplace_back(StartLoad{start_ns_});
}

void RunState::FinishTables() {
  loading_ = false;
  stage_ = Stage::kFinishingTables;
  deadline_ns_ = After(now_ns_, set_up_);
  for (const auto& [id, agent] : agents_) commands_.emplace_back(EndRun{id});
  preparing_target_ = true;
  commands_.emplace_back(FinishTarget{});
}

void RunState::BeginPhaseOrFinish() {
  if (cancelled_ || !stopped_.empty() || phase_ == planned_.size() ||
      (agents_.empty() && newcomers_.empty())) {
    FinishRun();
  } else if (MayReassign()) {
    StartReassigning();
  } else {
    PrepareStart();
  }
}

bool RunState::MayReassign() const {
  if (phase_ == 0) return false;
  if (!unserved_.empty() && on_agent_lost_ == v1::ON_AGENT_LOST_REDISTRIBUTE) return true;
  return !newcomers_.empty() && (!unserved_.empty() || taken_over_);
}

void RunState::StartReassigning() {
  Reassign reassign;
  for (const auto& [id, name] : newcomers_) {
    agents_[id] = {.name = name};
    reassign.newcomers.push_back(id);
  }
  newcomers_.clear();
  taken_over_ = reassign.newcomers.empty();
  unserved_.clear();
  Connect(std::move(reassign));
}

void RunState::PrepareStartIfAllReady() {
  const auto ready = [](const auto& entry) { return entry.second.ready; };
  if (!std::all_of(agents_.begin(), agents_.end(), ready)) return;
  if (loading_) {
    StartLoadingRows();
  } else if (cancelled_ || agents_.empty()) {
    FinishRun();
  } else {
    PrepareStart();
  }
}

void RunState::PrepareStart() {
  if (!last_reading_ || phases_read_ > phase_) return StartReadingClocks();
  stage_ = Stage::kObserving;
  deadline_ns_ = After(now_ns_, kReadingLimit);
  commands_.emplace_back(ReadDatabase{.last = false});
}

void RunState::StartReadingClocks() {
  stage_ = Stage::kReadingClocks;
  deadline_ns_ = After(now_ns_, kReadClocksLimit);
  for (auto& [id, agent] : agents_) agent.clock_read = false;
  commands_.emplace_back(ReadClocks{});
}

void RunState::PlanStartIfAllRead() {
  lead_ns_ = 0;
  for (const auto& [id, agent] : agents_) {
    if (!agent.clock_read) return;
    lead_ns_ = std::max(lead_ns_, agent.lead_ns);
  }
  for (auto& [id, agent] : agents_) agent.ended_phase = false;
  save_allowance_ = kSaveAllowance;
  PlanStart();
}

void RunState::PlanStart() {
  stage_ = Stage::kStarting;
  start_ns_ = now_ns_ + lead_ns_ + absl::ToInt64Nanoseconds(save_allowance_);
  save_allowance_ *= 4;
  deadline_ns_ = After(now_ns_, kStartLimit);
  commands_.emplace_back(StartPlanned{phase_});
}

void RunState::StartDraining(absl::Duration drain_timeout) {
  stage_ = Stage::kDraining;
  const absl::Duration margin = stopping_ ? kShortMargin : kMargin;
  deadline_ns_ = After(stopping_ ? now_ns_ : std::max(now_ns_, start_ns_), drain_timeout + margin);
}

void RunState::EndPhaseIfAllHave() {
  if (!EveryAgentEndedPhase()) return;
  if (loading_) return FinishTables();
  commands_.emplace_back(ClosePhase{phase_});
  ++phase_;
  BeginPhaseOrFinish();
}

void RunState::Lose(AgentId agent, const std::string& reason, absl::StatusCode code, bool announced) {
  const std::string name = agents_[agent].name;
  agents_.erase(agent);
  if (loading_ && InPhase()) {
    End(absl::Status(code, absl::StrCat("agent ", name, " was lost while it loaded rows: ", reason)));
    return;
  }
  if (phase_ == 0 && !InPhase()) {
    End(absl::Status(code, absl::StrCat("agent ", name, " can't take part: ", reason)));
    return;
  }
  const double seconds = InPhase() ? static_cast<double>(now_ns_ - start_ns_) / 1e9 : -1;
  commands_.emplace_back(LoseAgent{agent, reason, phase_, seconds, announced});
  unserved_.insert(agent);
  if (on_agent_lost_ == v1::ON_AGENT_LOST_ABORT && stopped_.empty() && !cancelled_) {
    stopped_ = absl::StrCat("agent ", name, " was lost, and fleet.on_agent_lost is abort");
    if (!agents_.empty()) return EndEarly();
  }
  if (InPhase()) {
    TakeOverInPhase(agent);
    EndPhaseIfAllHave();
  } else if (agents_.empty() || MayReassign()) {
    BeginPhaseOrFinish();
  } else if (stage_ == Stage::kConnecting) {
    PrepareStartIfAllReady();
  } else if (stage_ == Stage::kReadingClocks) {
    PlanStartIfAllRead();
  }
}

void RunState::TakeOverInPhase(AgentId lost) {
  const bool wanted = on_agent_lost_ == v1::ON_AGENT_LOST_REDISTRIBUTE && stage_ == Stage::kRunning;
  const auto loads = [](const auto& entry) { return !entry.second.ended_phase && !entry.second.silent; };
  if (!wanted || std::none_of(agents_.begin(), agents_.end(), loads)) return;
  taken_over_ = true;
  commands_.emplace_back(TakeOver{lost});
}

void RunState::LoseThoseWhoseLeaseEnded() {
  std::map<AgentId, std::string> ended;
  for (const auto& [id, agent] : agents_) {
    if (now_ns_ >= agent.lease_ends_ns) ended.emplace(id, agent.silence);
  }
  for (const auto& [id, silence] : ended) {
    if (stage_ == Stage::kEnded) return;
    if (TakesPart(id)) Lose(id, silence, absl::StatusCode::kUnavailable);
  }
}

void RunState::LoseThoseThat(absl::FunctionRef<bool(const Agent&)> have_not_answered,
                             const std::string& reason) {
  std::vector<AgentId> lost;
  for (const auto& [id, agent] : agents_) {
    if (have_not_answered(agent)) lost.push_back(id);
  }
  for (AgentId id : lost) {
    if (stage_ == Stage::kEnded) return;
    commands_.emplace_back(EndRun{id});
    Lose(id, reason, absl::StatusCode::kDeadlineExceeded);
  }
}

void RunState::FinishRun() {
  // Agents without a part in it any more are free, and close their connections.
  if (phase_ == 0) return End(absl::OkStatus());
  for (const auto& [id, agent] : agents_) commands_.emplace_back(EndRun{id});
  agents_.clear();
  if (!last_reading_) return SettleChecksOrEnd();
  const bool early = cancelled_ || !stopped_.empty();
  stage_ = Stage::kObserving;
  deadline_ns_ = After(now_ns_, early ? kShortReading : *last_reading_);
  commands_.emplace_back(ReadDatabase{.last = !early});
}

// One who cancels does not want to wait.
void RunState::SettleChecksOrEnd() {
  if (!settling_ || cancelled_) return End(absl::OkStatus());
  stage_ = Stage::kChecking;
  deadline_ns_ = After(now_ns_, *settling_);
  commands_.emplace_back(SettleChecks{});
}

void RunState::End(absl::Status status) {
  if (preparing_target_) commands_.emplace_back(CancelPrepareTarget{});
  if (stage_ >= Stage::kConnecting) {
    for (const auto& [id, agent] : agents_) commands_.emplace_back(EndRun{id});
  }
  stage_ = Stage::kEnded;
  commands_.emplace_back(Finish{std::move(status), cancelled_, stopped_});
}

std::string RunState::NamesOfNotReady() const {
  std::string first;
  size_t others = 0;
  for (const auto& [id, agent] : agents_) {
    if (agent.ready) continue;
    if (first.empty()) {
      first = agent.name;
    } else {
      ++others;
    }
  }
  if (others == 0) return absl::StrCat("agent ", first);
  return absl::StrCat("agent ", first, " and ", others, others == 1 ? " other" : " others");
}

}  // namespace trunkload
