#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What a verdict is made from.
struct RunFacts {
  struct Agent {
    std::string name;
    uint64_t noticed = 0;        // arrivals
    uint64_t noticed_late = 0;   // later than kNoticedLateNanos after they were due
    double busiest_reactor = 0;  // share of a core, on average over the phase
    double start_skew_us = 0;
    uint64_t missing_intervals = 0;
  };
  struct Phase {
    std::string name;
    bool recorded = false;
    bool open = false;
    uint64_t transactions = 0;
    uint64_t aborted_clients = 0;
    // Why one of them ended; empty where that is not known.
    std::string abort_reason;
    std::vector<Agent> agents;
  };
  struct LostAgent {
    std::string name;
    std::string reason;
    std::string phase;
    double seconds = 0;  // into the phase; negative before its start
  };

  std::vector<Phase> phases;  // that were begun
  std::vector<LostAgent> lost;
  bool cancelled = false;
};

// Whether a run's figures say what the database can do, and if not, why: docs/verdict.md.
v1::Verdict Judge(const RunFacts& facts);

}  // namespace trunkload
