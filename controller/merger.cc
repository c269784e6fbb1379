#include "controller/merger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "controller/agent_strain.h"
#include "controller/interval_check.h"
#include "controller/phase_times.h"
#include "controller/script_commands.h"

namespace trunkload {
namespace {

// An agent's clock and the way of its messages differ from the controller's by less.
constexpr double kClockToleranceSeconds = 2;
// A stream keeps its order, so that intervals are missing only where an agent is at fault.
constexpr size_t kMostAhead = 1000;
// A server has some hundred SQLSTATEs.
constexpr size_t kMostErrorCodes = 1000;
constexpr char kOtherErrors[] = "other";

void AddCommands(const v1::ScriptInterval& from, std::vector<Merger::Command>& into) {
  for (int i = 0; i < from.commands_size(); ++i) {
    Merger::Command& command = into[static_cast<size_t>(i)];
    command.latency.MergeChecked(from.commands(i).latency());
    command.failures += from.commands(i).failures();
    command.retries += from.commands(i).retries();
  }
}

v1::ScriptInterval ToProto(const Merger::Script& script) {
  v1::ScriptInterval proto;
  proto.set_offered(script.offered);
  proto.set_transactions(script.transactions);
  proto.set_rows(script.rows);
  proto.set_dropped(script.dropped);
  proto.set_skipped(script.skipped);
  proto.set_late(script.late);
  proto.set_retried(script.retried);
  proto.set_retries(script.retries);
  proto.set_deadlock_retries(script.deadlock_retries);
  proto.mutable_errors()->insert(script.errors.begin(), script.errors.end());
  proto.mutable_error_messages()->insert(script.error_messages.begin(), script.error_messages.end());
  *proto.mutable_response() = script.response.ToProto();
  *proto.mutable_service() = script.service.ToProto();
  *proto.mutable_pool_wait() = script.pool_wait.ToProto();
  *proto.mutable_send_lag() = script.send_lag.ToProto();
  *proto.mutable_failed() = script.failed.ToProto();
  for (const Merger::Command& command : script.commands) {
    v1::CommandInterval& to = *proto.add_commands();
    *to.mutable_latency() = command.latency.ToProto();
    to.set_failures(command.failures);
    to.set_retries(command.retries);
  }
  if (script.keys.counted() > 0) *proto.mutable_keys() = script.keys.ToProto();
  if (!script.ledger.empty()) *proto.mutable_ledger() = script.ledger.ToProto();
  if (script.findings.looks() > 0) *proto.mutable_findings() = script.findings;
  return proto;
}

absl::Status CheckSaved(const v1::ScriptInterval& script, size_t commands) {
  if (absl::Status status = Ledger::Check(script.ledger()); !status.ok()) return status;
  if (absl::Status status = CheckFindings(script.findings()); !status.ok()) return status;
  if (absl::Status status = FrequentKeys::Check(script.keys()); !status.ok()) return status;
  if (static_cast<size_t>(script.commands_size()) != commands)
    return absl::InvalidArgumentError("commands that the plan's script does not have");
  std::vector<const v1::Histogram*> histograms = {&script.response(), &script.service(), &script.pool_wait(),
                                                  &script.send_lag(), &script.failed()};
  for (const v1::CommandInterval& command : script.commands()) histograms.push_back(&command.latency());
  for (const v1::Histogram* histogram : histograms) {
    if (absl::Status status = Histogram::Check(*histogram); !status.ok()) return status;
  }
  return absl::OkStatus();
}

template <typename Errors>
uint64_t AddErrors(const Errors& from, std::map<std::string, uint64_t>& into) {
  uint64_t sum = 0;
  for (const auto& [code, count] : from) {
    into[into.size() < kMostErrorCodes || into.contains(code) ? code : kOtherErrors] += count;
    sum += count;
  }
  return sum;
}

}  // namespace

Merger::Merger(const v1::Plan& plan, uint32_t phase, const std::vector<AgentId>& agents)
    : phase_(phase),
      planned_seconds_(absl::ToDoubleSeconds(PlannedDuration(plan.phases(static_cast<int>(phase))))),
      scripts_(plan.scripts_size()) {
  for (int i = 0; i < plan.scripts_size(); ++i) {
    commands_.push_back(MeasuredCommands(plan.scripts(i)).size());
    recorded_.push_back(plan.scripts(i).recorded());
    scripts_[static_cast<size_t>(i)].commands.resize(commands_.back());
  }
  for (AgentId agent : agents) Await(agents_[agent]);
}

absl::Status Merger::Merge(AgentId agent, const v1::Interval& interval, double elapsed_seconds) {
  const auto found = agents_.find(agent);
  if (found == agents_.end())
    return absl::InvalidArgumentError("an Interval from an agent outside the phase");
  Agent& part = found->second;
  if (interval.phase() == phase_ &&
      (interval.number() < part.next || part.ahead.contains(interval.number()))) {
    return absl::OkStatus();
  }
  absl::Status status = CheckTurn(part, interval, elapsed_seconds);
  if (status.ok()) status = CheckInterval(interval, commands_, recorded_);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("its Interval ", interval.number(), " of phase ",
                                                   interval.phase(), " is malformed: ", status.message()));
  }
  MergeScripts(interval);
  StopAwaiting(part);
  MergeAgent(part, interval);
  Await(part);
  series_.Add(interval);
  CompleteSeries();
  return absl::OkStatus();
}

absl::Status Merger::CheckTurn(const Agent& agent, const v1::Interval& interval,
                               double elapsed_seconds) const {
  if (interval.phase() != phase_)
    return absl::InvalidArgumentError(absl::StrCat("phase ", phase_, " is under way"));
  if (agent.ended) return absl::InvalidArgumentError("it came after PhaseEnded");
  if (interval.number() > agent.next + kMostAhead || agent.ahead.size() >= kMostAhead) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMostAhead, " before it are missing"));
  }
  if (interval.number() == agent.next && agent.ahead.empty() &&
      interval.first_second() < agent.newest_second) {
    return absl::InvalidArgumentError("its seconds came before");
  }
  const double latest = std::max(elapsed_seconds, 0.0) + kClockToleranceSeconds;
  if (interval.last_second() > latest) {
    return absl::InvalidArgumentError(absl::StrCat("second ", interval.last_second(), " is yet to come"));
  }
  if (static_cast<double>(interval.last_completion_ns()) / 1e9 > latest + 1) {
    return absl::InvalidArgumentError("its last transaction is yet to end");
  }
  for (const int64_t ended_us : interval.log().ended_us()) {
    if (static_cast<double>(ended_us) / 1e6 > latest + 1) {
      return absl::InvalidArgumentError("a logged transaction is yet to end");
    }
  }
  return absl::OkStatus();
}

void Merger::MergeScript(const v1::ScriptInterval& from, Script& into) {
  into.offered += from.offered();
  into.transactions += from.transactions();
  into.rows += from.rows();
  into.dropped += from.dropped();
  into.skipped += from.skipped();
  into.late += from.late();
  into.retried += from.retried();
  into.retries += from.retries();
  into.deadlock_retries += from.deadlock_retries();
  dropped_ += from.dropped();
  errors_ += AddErrors(from.errors(), into.errors);
  for (const auto& [code, message] : from.error_messages()) {
    // Those of kinds that are counted as others are left out.
    if (into.errors.contains(code))
      into.error_messages.try_emplace(code, OneLine(message, kLongestErrorMessage));
  }
  AddCommands(from, into.commands);
  into.response.MergeChecked(from.response());
  into.service.MergeChecked(from.service());
  into.pool_wait.MergeChecked(from.pool_wait());
  into.send_lag.MergeChecked(from.send_lag());
  into.failed.MergeChecked(from.failed());
  into.keys.Merge(from.keys());
  if (from.has_ledger()) into.ledger.Merge(from.ledger());
  if (from.has_findings()) MergeFindings(from.findings(), into.findings);
}

void Merger::MergeScripts(const v1::Interval& interval) {
  for (size_t i = 0; i < scripts_.size(); ++i) {
    MergeScript(interval.scripts(static_cast<int>(i)), scripts_[i]);
  }
  connections_lost_ += interval.connections_lost();
  aborted_clients_ += interval.aborted_clients();
  AddErrors(interval.connect_errors(), connect_errors_);
  last_completion_ns_ = std::max(last_completion_ns_, interval.last_completion_ns());
}

void Merger::MergeAgent(Agent& agent, const v1::Interval& interval) {
  ++agent.received;
  agent.ahead.insert(interval.number());
  while (agent.ahead.erase(agent.next) > 0) ++agent.next;
  agent.newest_second = std::max(agent.newest_second, interval.last_second());
  const uint32_t together = interval.last_second() - interval.first_second() + 1;
  if (together > 1) agent.coarse_seconds += together;

  for (const v1::ScriptInterval& script : interval.scripts()) {
    agent.offered += script.offered();
    agent.transactions += script.transactions();
  }
  agent.log_dropped += interval.log_dropped();
  AddStrain(interval, planned_seconds_, scratch_, agent.strain);
  MergeSparse(interval.schedule_lag(), scratch_, agent.schedule_lag);
}

absl::Status Merger::End(AgentId agent, const v1::PhaseEnded& ended) {
  const auto found = agents_.find(agent);
  if (found == agents_.end() || found->second.ended || ended.phase() != phase_) {
    return absl::InvalidArgumentError(
        absl::StrCat("it sent PhaseEnded for phase ", ended.phase(), ", which was not under way on it"));
  }
  Agent& part = found->second;
  const uint64_t highest =
      part.ahead.empty() ? part.next : *std::max_element(part.ahead.begin(), part.ahead.end()) + 1;
  if (ended.intervals() < highest) {
    return absl::InvalidArgumentError(absl::StrCat("it counts ", ended.intervals(), " intervals in phase ",
                                                   ended.phase(), ", but sent ", highest));
  }
  constexpr int64_t kHighestStamp = int64_t{1} << 60;
  if (ended.started_ns() < 0 || ended.started_ns() > kHighestStamp ||
      ended.cpu_ns() > uint64_t{kHighestStamp}) {
    return absl::InvalidArgumentError("its PhaseEnded has times that no clock gives");
  }
  part.ended = ended;
  part.missing_intervals = ended.intervals() - part.received;
  Leave(agent);
  return absl::OkStatus();
}

void Merger::Leave(AgentId agent) {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) return;
  StopAwaiting(found->second);
  found->second.left = true;
  CompleteSeries();
}

v1::PhaseCheckpoint Merger::Save() const {
  v1::PhaseCheckpoint state;
  state.set_phase(phase_);
  for (const Script& script : scripts_) *state.add_scripts() = ToProto(script);
  for (const auto& [id, agent] : agents_) {
    v1::AgentPhaseCheckpoint& saved = *state.add_agents();
    saved.set_agent(id);
    saved.set_offered(agent.offered);
    saved.set_transactions(agent.transactions);
    *saved.mutable_strain() = agent.strain;
    *saved.mutable_schedule_lag() = agent.schedule_lag;
    if (agent.ended) *saved.mutable_ended() = *agent.ended;
    saved.set_left(agent.left);
    saved.set_received(agent.received);
    saved.set_next_interval(agent.next);
    for (const uint64_t number : agent.ahead) saved.add_ahead(number);
    saved.set_missing_intervals(agent.missing_intervals);
    saved.set_newest_second(agent.newest_second);
    saved.set_log_dropped(agent.log_dropped);
    saved.set_coarse_seconds(agent.coarse_seconds);
  }
  state.set_connections_lost(connections_lost_);
  for (const auto& [code, count] : connect_errors_) (*state.mutable_connect_errors())[code] = count;
  state.set_last_completion_ns(last_completion_ns_);
  state.set_aborted_clients(aborted_clients_);
  series_.SaveTo(state);
  return state;
}

absl::StatusOr<Merger> Merger::Restore(const v1::Plan& plan, const v1::PhaseCheckpoint& state,
                                       std::vector<v1::SeriesPoint> points) {
  if (static_cast<int>(state.phase()) >= plan.phases_size() || state.scripts_size() != plan.scripts_size()) {
    return absl::InvalidArgumentError("a phase that the plan does not have");
  }
  Merger merger(plan, state.phase(), {});
  for (int i = 0; i < state.scripts_size(); ++i) {
    const absl::Status status = CheckSaved(state.scripts(i), merger.commands_[static_cast<size_t>(i)]);
    if (!status.ok()) return status;
    merger.MergeScript(state.scripts(i), merger.scripts_[static_cast<size_t>(i)]);
  }
  for (const v1::AgentPhaseCheckpoint& saved : state.agents()) {
    if (absl::Status status = Histogram::Check(saved.schedule_lag()); !status.ok()) return status;
    Agent& agent = merger.agents_[saved.agent()];
    agent.offered = saved.offered();
    agent.transactions = saved.transactions();
    agent.strain = saved.strain();
    agent.schedule_lag = saved.schedule_lag();
    if (saved.has_ended()) agent.ended = saved.ended();
    agent.left = saved.left();
    agent.received = saved.received();
    agent.next = saved.next_interval();
    agent.ahead.insert(saved.ahead().begin(), saved.ahead().end());
    agent.missing_intervals = saved.missing_intervals();
    agent.newest_second = saved.newest_second();
    agent.log_dropped = saved.log_dropped();
    agent.coarse_seconds = saved.coarse_seconds();
    merger.Await(agent);
  }
  merger.connections_lost_ = state.connections_lost();
  for (const auto& [code, count] : state.connect_errors()) merger.connect_errors_[code] = count;
  merger.last_completion_ns_ = state.last_completion_ns();
  merger.aborted_clients_ = state.aborted_clients();
  if (absl::Status status = merger.series_.Restore(state, std::move(points)); !status.ok()) return status;
  return merger;
}

void Merger::Await(const Agent& agent) {
  if (!agent.left) ++awaited_[agent.known_seconds()];
}

void Merger::StopAwaiting(const Agent& agent) {
  if (agent.left) return;
  const auto found = awaited_.find(agent.known_seconds());
  if (--found->second == 0) awaited_.erase(found);
}

void Merger::CompleteSeries() {
  const auto seconds = static_cast<uint32_t>(series_.points().size());
  series_.CompleteBefore(awaited_.empty() ? seconds : std::min(seconds, awaited_.begin()->first));
}

void MergeSparse(const v1::Histogram& more, Histogram& scratch, v1::Histogram& sum) {
  scratch.Clear();
  scratch.MergeChecked(sum);
  scratch.MergeChecked(more);
  sum = scratch.ToProto();
}

}  // namespace trunkload
