#include "controller/run_result_builder.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "controller/phase_result.h"
#include "controller/plan/objective.h"

namespace trunkload {
namespace {

// Whether an error of this kind ends the client, and not only its transaction.
bool EndsClient(const v1::Script& script, const std::string& code) {
  if (code == "script_error" || code == "not_one_row" || code == "pipeline_open" || code == "shell_failed")
    return true;
  const bool of_one_transaction =
      code == "40001" || code == "40P01" || code == "pool_timeout" || code == "unfinished";
  return !script.continue_on_error() && !of_one_transaction;
}

// One error that ended a client of the phase, in the server's words where they are known.
std::string AbortReason(const v1::Plan& plan, const Merger& merger) {
  for (int i = 0; i < plan.scripts_size(); ++i) {
    const Merger::Script& script = merger.scripts()[static_cast<size_t>(i)];
    for (const auto& [code, count] : script.errors) {
      if (!EndsClient(plan.scripts(i), code)) continue;
      const auto message = script.error_messages.find(code);
      return message == script.error_messages.end() ? code : message->second;
    }
  }
  return "";
}

}  // namespace

RunResultBuilder::RunResultBuilder(v1::Plan plan, std::string run_id, int64_t started_wall_ns)
    : plan_(std::move(plan)), run_id_(std::move(run_id)), started_wall_ns_(started_wall_ns) {}

void RunResultBuilder::AddAgent(AgentId agent, const v1::Hello& hello, int application_servers) {
  v1::AgentResult& result = agents_[agent].result;
  result.set_name(hello.name());
  result.set_host(hello.host());
  result.set_application_servers(static_cast<uint32_t>(application_servers));
}

void RunResultBuilder::SetConnecting(AgentId agent, double connecting_us) {
  if (const auto found = agents_.find(agent); found != agents_.end())
    found->second.result.set_connecting_us(connecting_us);
}

void RunResultBuilder::AddPhase(uint32_t phase, double seconds, const Merger& merger,
                                const std::map<AgentId, Start>& starts) {
  const v1::Phase& planned = plan_.phases(static_cast<int>(phase));
  Merger::Script total = Total(merger);
  Phase& added = phases_[phase];
  added.result = MakePhaseResult(plan_, phase, seconds, merger, total);
  RunFacts::Phase& facts = added.facts;
  facts.name = planned.name();
  facts.recorded = planned.record();
  facts.open = planned.load().has_open();
  const auto loaded_to_the_end = [](const auto& agent) {
    return agent.second.ended && agent.second.ended->cut() == v1::PhaseEnded::CUT_UNSPECIFIED;
  };
  facts.loaded_to_the_end = std::any_of(merger.agents().begin(), merger.agents().end(), loaded_to_the_end);
  facts.offered = total.offered;
  facts.transactions = total.transactions;
  facts.dropped = total.dropped;
  if (const auto timeouts = total.errors.find("pool_timeout"); timeouts != total.errors.end())
    facts.pool_timeouts = timeouts->second;
  facts.aborted_clients = merger.aborted_clients();
  if (facts.aborted_clients > 0) facts.abort_reason = AbortReason(plan_, merger);
  AddToAgents(merger, starts, added);
  keys_.Merge(total.keys);
  operations_.Add(merger);
  if (planned.record() && !plan_.objectives().empty()) added.total = std::move(total);
}

void RunResultBuilder::JudgeStep(const std::string& phase, bool recorded) {
  for (auto& [number, step] : phases_) {
    if (step.result.name() != phase) continue;
    step.facts.recorded = true;
    if (!recorded) continue;
    step.result.set_recorded(true);
    for (const auto& [agent, strain] : std::exchange(step.strains, {})) AddStrain(agent, strain);
  }
}

void RunResultBuilder::AddToAgents(const Merger& merger, const std::map<AgentId, Start>& starts,
                                   Phase& phase) {
  for (const auto& [id, part] : merger.agents()) {
    v1::AgentResult& result = agents_.at(id).result;
    RunFacts::Agent facts;
    facts.name = result.name();
    facts.strain = part.strain;
    facts.missing_intervals = part.missing_intervals;
    facts.coarse_seconds = part.coarse_seconds;
    facts.log_dropped = part.log_dropped;
    if (const auto start = starts.find(id); start != starts.end()) {
      facts.start_skew_us = start->second.skew_us;
      result.set_start_skew_us(std::max(result.start_skew_us(), std::abs(start->second.skew_us)));
      result.set_clock_uncertainty_us(std::max(result.clock_uncertainty_us(), start->second.uncertainty_us));
    }
    phase.facts.agents.push_back(std::move(facts));

    result.set_transactions(result.transactions() + part.transactions);
    result.set_coarse_seconds(result.coarse_seconds() + part.coarse_seconds);
    result.set_log_dropped(result.log_dropped() + part.log_dropped);
    if (part.ended) result.set_cpu_s(result.cpu_s() + static_cast<double>(part.ended->cpu_ns()) / 1e9);
    const Strain strain{part.schedule_lag, part.strain};
    if (phase.facts.recorded) {
      AddStrain(id, strain);
    } else {
      phase.strains[id] = strain;
    }
  }
}

void RunResultBuilder::AddStrain(AgentId agent, const Strain& strain) {
  Histogram scratch;
  MergeSparse(strain.schedule_lag, scratch, agents_.at(agent).schedule_lag);
  v1::AgentResult& result = agents_.at(agent).result;
  const v1::MachineUse& machine = strain.of_agent.machine();
  result.set_busiest_reactor(std::max(result.busiest_reactor(), strain.of_agent.busiest_reactor()));
  result.set_process_cpus(std::max(result.process_cpus(), machine.process_cpus()));
  result.set_machine_cpu(std::max(result.machine_cpu(), machine.machine_cpu()));
  result.set_stolen_cpu(std::max(result.stolen_cpu(), machine.stolen_cpu()));
  result.set_waited(std::max(result.waited(), machine.waited()));
  result.set_throttled_s(result.throttled_s() + static_cast<double>(machine.throttled_ns()) / 1e9);
}

LoadCounts RunResultBuilder::counts() const {
  LoadCounts counts;
  for (const auto& [number, phase] : phases_) counts += LoadCounts::Of(phase.result);
  return counts;
}

v1::RunResult RunResultBuilder::Build(bool cancelled) const {
  v1::RunResult result;
  v1::Run& run = *result.mutable_run();
  run.set_id(run_id_);
  *run.mutable_plan() = plan_;
  run.set_started_at(
      absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(started_wall_ns_), absl::UTCTimeZone()));
  run.set_version(TRUNKLOAD_VERSION);
  *run.mutable_server() = server_;
  run.set_cancelled(cancelled);

  std::set<std::string> lost_names;
  for (const v1::Loss& loss : losses_) lost_names.insert(loss.agent());
  RunFacts facts = facts_;
  facts.cancelled = cancelled;
  facts.agents = agents_.size();
  facts.min_agents = plan_.fleet().min_agents();
  facts.lost_agents = lost_names.size();
  facts.losses = losses_;
  for (const auto& [number, phase] : phases_) facts.phases.push_back(phase.facts);
  *result.mutable_verdict() = Judge(facts);
  for (v1::ObjectiveResult& objective : Objectives()) *result.add_objectives() = std::move(objective);
  for (const auto& [number, phase] : phases_) *result.add_phases() = phase.result;
  for (const v1::Loss& loss : losses_) *result.add_losses() = loss;

  uint64_t transactions = 0;
  for (const auto& [id, agent] : agents_) transactions += agent.result.transactions();
  Histogram lag;
  for (const auto& [id, agent] : agents_) {
    v1::AgentResult& to = *result.add_agents();
    to = agent.result;
    to.set_lost(lost_names.contains(to.name()));
    if (transactions > 0)
      to.set_share(static_cast<double>(to.transactions()) / static_cast<double>(transactions));
    lag.Clear();
    lag.MergeChecked(agent.schedule_lag);
    to.set_schedule_lag_p99_us(static_cast<double>(lag.PercentileNanos(99)) / 1000);
    to.set_schedule_lag_max_us(static_cast<double>(lag.max_ns()) / 1000);
  }
  return result;
}

std::vector<v1::ObjectiveResult> RunResultBuilder::Objectives() const {
  std::vector<PhaseMeasure> measures;
  for (const auto& [number, measured] : phases_) {
    if (!measured.total) continue;
    const v1::PhaseResult& phase = measured.result;
    const Merger::Script& total = *measured.total;
    measures.push_back({phase.name(), total.response, total.service, total.pool_wait, total.send_lag,
                        total.failed, phase.error_rate(), phase.throughput_per_s(), phase.rows_per_s()});
  }
  std::vector<v1::ObjectiveResult> results;
  for (const std::string& text : plan_.objectives()) {
    if (absl::StatusOr<Objective> objective = Objective::Parse(text); objective.ok()) {
      results.push_back(objective->Evaluate(measures));
      continue;
    }
    // The plan was checked when the run was accepted; one that does not parse all the same counts as missed.
    results.emplace_back().set_text(text);
  }
  return results;
}

}  // namespace trunkload
