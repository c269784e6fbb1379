#include "controller/phase_records.h"

#include <algorithm>
#include <utility>

namespace trunkload {

void PhaseRecords::Plan(uint32_t phase, const std::vector<AgentId>& agents) {
  records_.erase(phase);
  records_.emplace(phase, Record{.merger = Merger(plan_, phase, agents), .starts = {}});
}

const Merger* PhaseRecords::merger(uint32_t phase) const {
  const auto found = records_.find(phase);
  return found == records_.end() ? nullptr : &found->second.merger;
}

PhaseRecords::Record* PhaseRecords::Find(uint32_t phase, AgentId agent) {
  const auto found = records_.find(phase);
  return found != records_.end() && found->second.merger.agents().contains(agent) ? &found->second : nullptr;
}

absl::StatusOr<bool> PhaseRecords::Merge(AgentId agent, const v1::Interval& interval,
                                         double elapsed_seconds) {
  Record* const record = Find(interval.phase(), agent);
  if (record == nullptr) return false;
  if (absl::Status status = record->merger.Merge(agent, interval, elapsed_seconds); !status.ok())
    return status;
  record->changed = true;
  return true;
}

absl::StatusOr<bool> PhaseRecords::End(AgentId agent, const v1::PhaseEnded& ended) {
  Record* const record = Find(ended.phase(), agent);
  if (record == nullptr) return false;
  if (absl::Status status = record->merger.End(agent, ended); !status.ok()) return status;
  record->changed = true;
  return true;
}

void PhaseRecords::SetStart(uint32_t phase, AgentId agent, const RunResultBuilder::Start& start) {
  if (Record* const record = Find(phase, agent)) record->starts[agent] = start;
}

void PhaseRecords::Leave(uint32_t phase, AgentId agent) {
  Record* const record = Find(phase, agent);
  if (record == nullptr) return;
  record->merger.Leave(agent);
  record->changed = true;
}

void PhaseRecords::Close(uint32_t phase, double seconds) {
  Record& record = records_.at(phase);
  record.closed = true;
  record.seconds = seconds;
  record.changed = true;
}

bool PhaseRecords::Complete(const Record& record) {
  const auto& agents = record.merger.agents();
  return record.closed && std::all_of(agents.begin(), agents.end(), [](const auto& entry) {
           return entry.second.ended && entry.second.missing_intervals == 0;
         });
}

v1::PhaseCheckpoint PhaseRecords::Save(const Record& record) {
  v1::PhaseCheckpoint state = record.merger.Save();
  state.set_closed(record.closed);
  state.set_seconds(record.seconds);
  for (v1::AgentPhaseCheckpoint& agent : *state.mutable_agents()) {
    const auto start = record.starts.find(agent.agent());
    if (start == record.starts.end()) continue;
    agent.set_start_skew_us(start->second.skew_us);
    agent.set_start_uncertainty_us(start->second.uncertainty_us);
  }
  return state;
}

std::vector<RunSnapshot::Phase> PhaseRecords::TakeChanged() {
  std::vector<RunSnapshot::Phase> changed;
  for (auto entry = records_.begin(); entry != records_.end();) {
    Record& record = entry->second;
    if (std::exchange(record.changed, false)) {
      changed.push_back({Save(record), record.merger.TakeChangedPoints()});
    }
    if (!Complete(record)) {
      ++entry;
      continue;
    }
    result_.AddPhase(entry->first, record.seconds, record.merger, record.starts);
    entry = records_.erase(entry);
  }
  return changed;
}

absl::Status PhaseRecords::Restore(std::vector<RunSnapshot::Phase> phases) {
  for (RunSnapshot::Phase& phase : phases) {
    const v1::PhaseCheckpoint& state = phase.state;
    absl::StatusOr<Merger> merger = Merger::Restore(plan_, state, std::move(phase.points));
    if (!merger.ok()) return merger.status();
    Record record{.merger = *std::move(merger), .starts = {}};
    // It may not have been, but then it is about to be.
    record.begun = true;
    record.closed = state.closed();
    record.seconds = state.seconds();
    record.changed = false;
    for (const v1::AgentPhaseCheckpoint& agent : state.agents()) {
      if (!agent.has_start_skew_us()) continue;
      record.starts[agent.agent()] = {.skew_us = agent.start_skew_us(),
                                      .uncertainty_us = agent.start_uncertainty_us()};
    }
    if (!records_.emplace(state.phase(), std::move(record)).second) {
      return absl::InvalidArgumentError("a phase twice");
    }
  }
  return absl::OkStatus();
}

LoadCounts PhaseRecords::counts() const {
  LoadCounts counts;
  for (const auto& [number, record] : records_) {
    if (!record.begun) continue;
    for (const Merger::Script& script : record.merger.scripts()) {
      counts += {.offered = script.offered,
                 .transactions = script.transactions,
                 .rows = script.rows,
                 .dropped = script.dropped};
    }
    counts.errors += record.merger.errors();
  }
  return counts;
}

FrequentKeys PhaseRecords::keys() const {
  FrequentKeys keys;
  for (const auto& [phase, record] : records_) {
    for (const Merger::Script& script : record.merger.scripts()) keys.Merge(script.keys);
  }
  return keys;
}

void PhaseRecords::AddOperationsTo(OperationRecord& operations) const {
  for (const auto& [phase, record] : records_) {
    if (record.begun) operations.Add(record.merger);
  }
}

void PhaseRecords::Finish() {
  for (const auto& [phase, record] : records_) {
    if (record.begun) result_.AddPhase(phase, record.seconds, record.merger, record.starts);
  }
  records_.clear();
}

}  // namespace trunkload
