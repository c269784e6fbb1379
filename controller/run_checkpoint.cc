// How an ActiveRun is written down, and how another controller goes on with it.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/active_run.h"
#include "controller/plan/plan_check.h"

namespace trunkload {
namespace {

// More assignments than are made between two checkpoints.
constexpr uint32_t kVersionsBetween = 1'000'000;
constexpr int64_t kSaveNanos = 1'000'000'000;

// By the monotonic clock; through wall clocks where the machine is another, or was started again.
int64_t ToMonotonic(const v1::Instant& instant, const std::string& boot_id, const Clock& clock) {
  if (!boot_id.empty() && instant.boot_id() == boot_id) return instant.monotonic_ns();
  return clock.MonotonicNanos() - (clock.WallNanos() - instant.wall_ns());
}

}  // namespace

void ActiveRun::SaveIfDue() {
  if (saving_ || !dirty_ || outcome_) return;
  const int64_t now_ns = clock_.MonotonicNanos();
  if (!save_soon_ && now_ns < next_save_ns_) return;
  saving_ = true;
  dirty_ = save_soon_ = false;
  being_saved_ = std::exchange(to_take_over_, {});
  save_answers_ = std::exchange(save_asked_, false);
  next_save_ns_ = now_ns + kSaveNanos;
  outside_.Save(TakeSnapshot());
}

void ActiveRun::OnSaved(const absl::Status& status) {
  saving_ = false;
  if (!status.ok()) {
    Apply(RunState::Stopped{std::string(status.message())}).IgnoreError();
    return;
  }
  faults_.SetSaved(faults_being_saved_);
  for (const auto& [agent, sequence] : sequences_) {
    v1::ControllerMessage message;
    message.mutable_acknowledge()->set_sequence(sequence);
    Send(agent, message);
  }
  for (const AgentId agent : being_saved_) {
    if (state_.TakesPart(agent) && state_.stage() == RunState::Stage::kRunning) SendTakeOver(agent);
  }
  if (save_answers_) Apply(RunState::Saved{}).IgnoreError();
}

RunSnapshot ActiveRun::TakeSnapshot() {
  RunSnapshot snapshot;
  snapshot.run = Checkpoint();
  snapshot.phases = phases_.TakeChanged();
  snapshot.observed = observation_.TakeNew();
  faults_being_saved_ = faults_.announced();
  sequences_.clear();
  for (const v1::AgentCheckpoint& agent : snapshot.run.agents()) {
    sequences_[agent.id()] = agent.sequence();
  }
  return snapshot;
}

v1::RunCheckpoint ActiveRun::Checkpoint() const {
  v1::RunCheckpoint run;
  run.set_run_id(id_);
  *run.mutable_plan() = Redacted(asked_);
  run.set_agents_wanted(state_.agents_wanted());
  run.set_wait_s(static_cast<uint32_t>(absl::ToInt64Seconds(wait_)));
  run.set_began_wall_ns(began_wall_ns_);
  run.set_target_prepared(state_.target_prepared());
  *run.mutable_server() = server_;
  for (const v1::SetUpStep& step : set_up_) *run.add_set_up() = step;
  run.set_phase(state_.phase());
  const bool begun = phases_.merger(state_.phase()) != nullptr;
  if (begun) {
    v1::Instant& start = *run.mutable_start();
    start.set_boot_id(boot_id_);
    start.set_monotonic_ns(state_.start_ns());
    start.set_wall_ns(clock_.WallNanos() - (clock_.MonotonicNanos() - state_.start_ns()));
  }
  run.set_cancelled(state_.cancelled());
  run.set_version(last_version_);
  for (const auto& [id, number] : numbers_) {
    v1::AgentCheckpoint& agent = *run.add_agents();
    agent.set_id(id);
    agent.set_number(number);
    *agent.mutable_hello() = hellos_.at(id);
    agent.set_gone(!fleet_.contains(id));
    if (!agent.gone()) agent.set_sequence(fleet_.sequence(id));
    agent.set_assigned_version(versions_.at(id).assigned);
    agent.set_version(versions_.at(id).newest);
    const Parts::Servers& servers = parts_.of(id);
    *agent.mutable_application_servers() = {servers.begin(), servers.end()};
    agent.set_ended_phase(state_.EndedPhase(id));
    agent.set_lost(!state_.TakesPart(id));
    if (const auto connecting = connecting_us_.find(id); connecting != connecting_us_.end())
      agent.set_connecting_us(connecting->second);
  }
  for (const v1::Loss& loss : result_.losses()) *run.add_losses() = loss;
  for (const v1::SearchResult& search : searches_.results()) *run.add_searches() = search;
  for (const v1::FaultResult& fault : faults_.results()) *run.add_faults() = fault;
  return run;
}

absl::StatusOr<std::unique_ptr<ActiveRun>> ActiveRun::Restore(RunSnapshot snapshot,
                                                              const Surroundings& surroundings) {
  const v1::RunCheckpoint& run = snapshot.run;
  absl::StatusOr<v1::Plan> plan = ValidatePlan(run.plan());
  if (!plan.ok()) {
    return absl::DataLossError(absl::StrCat("the plan of run ", run.run_id(), ": ", plan.status().message()));
  }
  const Identity identity{.id = run.run_id(),
                          .began_ns = surroundings.clock.MonotonicNanos(),
                          .began_wall_ns = run.began_wall_ns()};
  auto restored = std::make_unique<ActiveRun>(identity, *std::move(plan), run.agents_wanted(),
                                              absl::Seconds(run.wait_s()), surroundings);
  if (absl::Status status = restored->Restore(std::move(snapshot)); !status.ok()) {
    return absl::DataLossError(absl::StrCat("run ", identity.id, ": ", status.message()));
  }
  return restored;
}

absl::Status ActiveRun::Restore(RunSnapshot snapshot) {
  const v1::RunCheckpoint& run = snapshot.run;
  const int64_t now_ns = clock_.MonotonicNanos();
  began_ns_ = now_ns - (clock_.WallNanos() - began_wall_ns_);
  for (const v1::Observed& observed : snapshot.observed) observation_.Add(observed);
  observation_.TakeNew();
  server_ = run.server();
  result_.SetServer(server_);
  set_up_.assign(run.set_up().begin(), run.set_up().end());
  RunState::Position position{.target_prepared = run.target_prepared(),
                              .phase = run.phase(),
                              .begun = run.has_start(),
                              .cancelled = run.cancelled()};
  if (static_cast<int>(position.phase) > plan_.phases_size()) {
    return absl::DataLossError("a phase that its plan does not have");
  }
  absl::Status searched = searches_.Restore({run.searches().begin(), run.searches().end()}, plan_);
  if (!searched.ok()) return searched;
  if (absl::Status restored = faults_.Restore(run.faults()); !restored.ok()) return restored;
  if (position.begun) position.start_ns = ToMonotonic(run.start(), boot_id_, clock_);
  // Those that were given out after the checkpoint are fewer.
  last_version_ = run.version() + kVersionsBetween;
  // Before the first phase it does not matter who was there: all is assigned anew.
  const bool any_phase = position.phase > 0 || position.begun;
  for (const v1::AgentCheckpoint& agent : run.agents()) {
    if (!any_phase) break;
    fleet_.Reserve(agent.id());
    if (!agent.gone()) fleet_.Restore(agent.id(), agent.hello(), agent.sequence(), now_ns);
    numbers_[agent.id()] = agent.number();
    hellos_[agent.id()] = agent.hello();
    versions_[agent.id()] = {.newest = agent.version(), .assigned = agent.assigned_version()};
    for (const v1::ApplicationServer& server : agent.application_servers()) {
      if (server.shares_size() != plan_.phases_size())
        return absl::DataLossError("application servers without shares");
      parts_.Add(agent.id(), server);
    }
    result_.AddAgent(agent.id(), agent.hello(), agent.application_servers_size());
    result_.SetConnecting(agent.id(), agent.connecting_us());
    if (agent.lost()) {
      if (agent.application_servers_size() > 0) position.unserved.insert(agent.id());
      continue;
    }
    // Whether it has taken over what it was to is not known.
    if (agent.version() > agent.assigned_version()) {
      for (const v1::ApplicationServer& server : agent.application_servers())
        taking_over_[server.number()].insert(agent.id());
      position.unserved.insert(agent.id());
    }
    position.agents[agent.id()] = {.name = agent.hello().name(), .ended_phase = agent.ended_phase()};
  }
  for (const v1::Loss& loss : run.losses()) result_.AddLoss(loss);
  agents_taken_in_ = any_phase;
  state_ = RunState(plan_, run.agents_wanted(), wait_, now_ns, position);
  if (any_phase && plan_.observer().enabled()) outside_.StartObserving(plan_);
  if (any_phase && !plan_.faults().empty()) outside_.PrepareFaults(plan_, id_);
  return phases_.Restore(std::move(snapshot.phases));
}

}  // namespace trunkload
