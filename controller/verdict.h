#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trunkload/v1/checkpoint.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What a verdict is made from.
struct RunFacts {
  struct Agent {
    std::string name;
    v1::AgentStrain strain;
    double start_skew_us = 0;
    uint64_t missing_intervals = 0;
    // As in AgentResult.
    uint64_t coarse_seconds = 0;
    uint64_t log_dropped = 0;
  };
  struct Phase {
    std::string name;
    bool recorded = false;
    bool open = false;
    // One agent at least loaded until it was over.
    bool loaded_to_the_end = true;
    // Of the whole fleet, as in PhaseResult.
    uint64_t offered = 0;
    uint64_t transactions = 0;
    uint64_t dropped = 0;
    uint64_t pool_timeouts = 0;
    uint64_t aborted_clients = 0;
    // Why one of them ended; empty where that is not known.
    std::string abort_reason;
    std::vector<Agent> agents;
  };

  std::vector<Phase> phases;  // that were begun
  std::vector<v1::Loss> losses;
  size_t agents = 0;  // that ever took part
  size_t lost_agents = 0;
  // With so many left the run is valid, whoever was lost; 0: only with all.
  size_t min_agents = 0;
  bool cancelled = false;
  // Why it ended before its time; empty: it did not, or was cancelled.
  std::string stopped;
};

// Whether a run's figures say what the database can do, and if not, why: docs/verdict.md.
v1::Verdict Judge(const RunFacts& facts);

}  // namespace trunkload
