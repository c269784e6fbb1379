#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "controller/run_snapshot.h"

namespace trunkload {

// A run's snapshots as a disk keeps them: what was saved is added to what is there. Not thread-safe.
class SimulatedStore {
 public:
  void Save(const RunSnapshot& snapshot) {
    run_ = snapshot.run;
    for (const RunSnapshot::Phase& phase : snapshot.phases) {
      Phase& kept = phases_[phase.state.phase()];
      kept.state = phase.state;
      for (const v1::SeriesPoint& point : phase.points) kept.points[point.second()] = point;
    }
    observed_.insert(observed_.end(), snapshot.observed.begin(), snapshot.observed.end());
  }
  std::optional<RunSnapshot> Load() const {
    if (!run_) return std::nullopt;
    RunSnapshot snapshot{.run = *run_, .phases = {}, .observed = observed_};
    for (const auto& [number, phase] : phases_) {
      RunSnapshot::Phase& loaded = snapshot.phases.emplace_back();
      loaded.state = phase.state;
      for (const auto& [second, point] : phase.points) loaded.points.push_back(point);
    }
    return snapshot;
  }

 private:
  struct Phase {
    v1::PhaseCheckpoint state;
    std::map<uint32_t, v1::SeriesPoint> points;
  };
  std::optional<v1::RunCheckpoint> run_;
  std::map<uint32_t, Phase> phases_;
  std::vector<v1::Observed> observed_;
};

}  // namespace trunkload
