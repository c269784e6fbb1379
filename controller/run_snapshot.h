#pragma once

#include <vector>

#include "trunkload/v1/checkpoint.pb.h"
#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A run as it is kept on disk.
struct RunSnapshot {
  struct Phase {
    v1::PhaseCheckpoint state;
    // In order of their seconds. To be saved: those that changed since the last time; loaded: all.
    std::vector<v1::SeriesPoint> points;
  };
  v1::RunCheckpoint run;
  // To be saved: those that changed since the last time; loaded: all, in order.
  std::vector<Phase> phases;
  // What the database said of itself, in order. To be saved: what came since the last time; loaded: all.
  std::vector<v1::Observed> observed;
};

}  // namespace trunkload
