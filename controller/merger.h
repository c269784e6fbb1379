#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/frequent_keys.h"
#include "common/histogram.h"
#include "common/ledger.h"
#include "controller/controller_outside.h"
#include "controller/series.h"
#include "trunkload/v1/checkpoint.pb.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Adds up what the agents measured in one phase, in whatever order it comes, each interval once. What it
// keeps does not grow with transactions, but for some numbers a second. Not thread-safe.
class Merger {
 public:
  struct Command {
    Histogram latency;
    uint64_t failures = 0;
    uint64_t retries = 0;
  };

  struct Script {
    uint64_t offered = 0;
    uint64_t transactions = 0;
    uint64_t rows = 0;
    uint64_t dropped = 0;
    uint64_t skipped = 0;
    uint64_t late = 0;
    uint64_t retried = 0;
    uint64_t retries = 0;
    uint64_t deadlock_retries = 0;
    std::map<std::string, uint64_t> errors;
    // Of each kind the first that came.
    std::map<std::string, std::string> error_messages;
    Histogram response;
    Histogram service;
    Histogram pool_wait;
    Histogram send_lag;
    Histogram failed;
    FrequentKeys keys;
    // Of a script that is recorded.
    Ledger ledger;
    v1::Findings findings;
    // All of the script's, where it asks for that; else none.
    std::vector<Command> commands;
  };

  // One agent's part in the phase.
  struct Agent {
    uint64_t offered = 0;
    uint64_t transactions = 0;
    v1::AgentStrain strain;
    v1::Histogram schedule_lag;
    // As it said at the end of the phase; absent where that never came.
    std::optional<v1::PhaseEnded> ended;
    // Sent by its own account, but not here. 0 before its end.
    uint64_t missing_intervals = 0;
    // How many of the phase's seconds were told together with others, because the agent could not send them
    // one by one.
    uint64_t coarse_seconds = 0;
    // Logged transactions that it counts, but gave up the log of.
    uint64_t log_dropped = 0;

    // In how many seconds it is known what it did; 0: nothing came from it.
    uint32_t known_seconds() const { return received == 0 ? 0 : newest_second + 1; }

   private:
    friend class Merger;
    bool left = false;
    uint64_t received = 0;
    // All intervals before this one are here, and those.
    uint64_t next = 0;
    absl::flat_hash_set<uint64_t> ahead;
    uint32_t newest_second = 0;
  };

  Merger(const v1::Plan& plan, uint32_t phase, const std::vector<AgentId>& agents);

  // All it has added up, and what changed of it since the last call.
  v1::PhaseCheckpoint Save() const;
  std::vector<v1::SeriesPoint> TakeChangedPoints() { return series_.TakeChangedPoints(); }
  // The merger that Save was called on. INVALID_ARGUMENT where `state` is none of this plan's.
  static absl::StatusOr<Merger> Restore(const v1::Plan& plan, const v1::PhaseCheckpoint& state,
                                        std::vector<v1::SeriesPoint> points);

  // INVALID_ARGUMENT, and no change, where the agent can't have measured that; nothing happens where it was
  // merged before. `elapsed_seconds`: how far the phase has come, by the controller's clock.
  absl::Status Merge(AgentId agent, const v1::Interval& interval, double elapsed_seconds);
  absl::Status End(AgentId agent, const v1::PhaseEnded& ended);
  // Nothing more is to come from it.
  void Leave(AgentId agent);

  const std::vector<Script>& scripts() const { return scripts_; }
  const std::map<AgentId, Agent>& agents() const { return agents_; }
  const Series& series() const { return series_; }
  uint64_t connections_lost() const { return connections_lost_; }
  uint64_t aborted_clients() const { return aborted_clients_; }
  const std::map<std::string, uint64_t>& connect_errors() const { return connect_errors_; }
  // From the start of the phase; 0: no transaction ended.
  uint64_t last_completion_ns() const { return last_completion_ns_; }
  uint64_t errors() const { return errors_; }
  uint64_t dropped() const { return dropped_; }

 private:
  absl::Status CheckTurn(const Agent& agent, const v1::Interval& interval, double elapsed_seconds) const;
  void MergeScript(const v1::ScriptInterval& from, Script& into);
  void MergeScripts(const v1::Interval& interval);
  void MergeAgent(Agent& agent, const v1::Interval& interval);
  // Takes the agent out of those that the series waits for, and puts it in again.
  void StopAwaiting(const Agent& agent);
  void Await(const Agent& agent);
  void CompleteSeries();

  const uint32_t phase_;
  // Slices that start later are part of the drain.
  double planned_seconds_;
  std::vector<Script> scripts_;
  // Of each script that is measured by them.
  std::vector<size_t> commands_;
  std::vector<bool> recorded_;
  std::map<AgentId, Agent> agents_;
  // How many of those that have not left have told so many seconds.
  std::map<uint32_t, size_t> awaited_;
  Series series_;
  std::map<std::string, uint64_t> connect_errors_;
  uint64_t connections_lost_ = 0;
  uint64_t aborted_clients_ = 0;
  uint64_t last_completion_ns_ = 0;
  uint64_t errors_ = 0;
  uint64_t dropped_ = 0;
  // For what an agent's sparse histograms are worked out with.
  Histogram scratch_;
};

// `sum` and `more` have passed Histogram::Check. Sparse, for sums of which there are as many as agents.
void MergeSparse(const v1::Histogram& more, Histogram& scratch, v1::Histogram& sum);

}  // namespace trunkload
