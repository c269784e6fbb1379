#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/run.h"
#include "controller/controller.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/simulated_clock.h"
#include "tests/simulation/simulated_load.h"
#include "tests/simulation/simulated_stream.h"

namespace trunkload {

struct FleetOptions {
  uint64_t seed = 1;
  int agents = 3;
  v1::Plan plan;
  NetworkOptions network;
  int64_t clock_offset_ns = 5'000'000'000;  // at most, either way
  double clock_drift = 100e-6;              // at most, either way
  // So many agents' machines die, each at a random moment of the first `crash_within_ns`.
  int crashes = 0;
  int64_t crash_within_ns = 15'000'000'000;
  // In simulated time; never by default.
  int64_t cancel_at_ns = INT64_MAX;
};

// A real controller and real agents' runs with simulated loads, joined by a simulated network on simulated
// clocks; all that happens follows from the seed. Not thread-safe.
class SimulatedFleet : private ControllerOutside {
 public:
  explicit SimulatedFleet(FleetOptions options);

  // Runs the plan to its end. DEADLINE_EXCEEDED where it has not ended after an hour of simulated time.
  absl::StatusOr<v1::RunResult> Run();

  // Of the agents, in the order of their names.
  const std::vector<LoadHistory>& histories() const { return histories_; }
  // The intervals that reached the controller while their agent was in the fleet.
  const std::vector<v1::Interval>& delivered() const { return delivered_; }
  const std::vector<v1::Progress>& progress() const { return progress_; }
  int results() const { return results_; }

 private:
  struct Agent {
    Agent(SimulatedFleet& fleet, int index);
    std::string name;
    SimulatedClock clock;
    SimulatedStream to_agent;
    SimulatedStream to_controller;
    std::unique_ptr<trunkload::Run> run;
  };
  // Owned by the agent's run, which may drop it while the queue still holds its events.
  class LoadHandle;

  void Send(AgentId to, const v1::ControllerMessage& message) override;
  void Disconnect(AgentId agent, const absl::Status& why) override;
  void PrepareTarget(const v1::Plan& plan) override;
  void FinishTarget(const v1::Plan& plan, bool) override { PrepareTarget(plan); }
  void CancelPrepareTarget() override { ++preparation_; }
  void OnProgress(const v1::Progress& progress) override { progress_.push_back(progress); }
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override;

  void Join(AgentId id);
  void Break(AgentId id);
  void ToController(AgentId from, v1::AgentMessage message);

  FleetOptions options_;
  std::mt19937_64 random_;
  EventQueue queue_;
  SimulatedClock clock_;
  std::vector<LoadHistory> histories_;
  std::deque<std::unique_ptr<SimulatedLoad>> loads_;
  std::deque<Agent> agents_;
  Controller controller_;
  uint64_t preparation_ = 0;
  int results_ = 0;
  std::optional<absl::StatusOr<v1::RunResult>> result_;
  std::vector<v1::Interval> delivered_;
  std::vector<v1::Progress> progress_;
};

}  // namespace trunkload
