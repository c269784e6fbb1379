#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/controller_outside.h"
#include "controller/load_counts.h"
#include "controller/merger.h"
#include "controller/operation_record.h"
#include "controller/run_result_builder.h"
#include "controller/run_snapshot.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// What agents measured, phase by phase: of the one under way, and of those that ended while something of them
// was still to come, from agents that were lost and may come back. Not thread-safe.
class PhaseRecords {
 public:
  // Both must outlive this.
  PhaseRecords(const v1::Plan& plan, RunResultBuilder& result) : plan_(plan), result_(result) {}

  // Once more where the start is planned anew.
  void Plan(uint32_t phase, const std::vector<AgentId>& agents);
  // Agents are told of it. One that is not begun is not part of the result.
  void Begin(uint32_t phase) { records_.at(phase).begun = true; }
  // Of a phase that was begun, as long as something of it may come; else null.
  const Merger* merger(uint32_t phase) const;

  // See Merger. Both are passed over where nothing of that phase is waited for any more, or nothing of that
  // agent.
  absl::StatusOr<bool> Merge(AgentId agent, const v1::Interval& interval, double elapsed_seconds);
  absl::StatusOr<bool> End(AgentId agent, const v1::PhaseEnded& ended);
  void SetStart(uint32_t phase, AgentId agent, const RunResultBuilder::Start& start);
  // Nothing more is to come from it in this phase, as far as anybody knows.
  void Leave(uint32_t phase, AgentId agent);
  // The phase has ended after so many seconds.
  void Close(uint32_t phase, double seconds);

  // What changed since the last call. Phases that have ended, and of which nothing is to come any more, go
  // into the result then and are forgotten.
  std::vector<RunSnapshot::Phase> TakeChanged();
  // INVALID_ARGUMENT where they are not this plan's.
  absl::Status Restore(std::vector<RunSnapshot::Phase> phases);
  // Those of phases that are not in the result yet.
  LoadCounts counts() const;
  FrequentKeys keys() const;
  void AddOperationsTo(OperationRecord& record) const;
  // All that are left go into the result: the run has ended.
  void Finish();

 private:
  struct Record {
    Merger merger;
    std::map<AgentId, RunResultBuilder::Start> starts;
    bool begun = false;
    bool closed = false;
    double seconds = 0;
    bool changed = true;
  };
  Record* Find(uint32_t phase, AgentId agent);
  static bool Complete(const Record& record);
  static v1::PhaseCheckpoint Save(const Record& record);

  const v1::Plan& plan_;
  RunResultBuilder& result_;
  std::map<uint32_t, Record> records_;
};

}  // namespace trunkload
