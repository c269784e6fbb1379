#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/lease.h"
#include "agent/outbox.h"
#include "agent/run.h"
#include "controller/controller.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/simulated_clock.h"
#include "tests/simulation/simulated_load.h"
#include "tests/simulation/simulated_store.h"
#include "tests/simulation/simulated_stream.h"

namespace trunkload {

// How many of each happen at random moments.
struct Faults {
  int agents_killed = 0;
  // Of those, so many are started again some time later.
  int agents_started_again = 0;
  int agents_told_to_stop = 0;
  // Started again some time later.
  int controller_killed = 0;
  // It does nothing for a while, as under SIGSTOP.
  int controller_stalled = 0;
  int streams_reset = 0;
  int partitions = 0;
  // Of the controller's wall clock, by up to an hour.
  int wall_clock_jumps = 0;
  // The controller's disk takes up to this long for a snapshot.
  int64_t slowest_save_ns = 20'000'000;
  int64_t longest_downtime_ns = 12'000'000'000;
  int64_t longest_stall_ns = 12'000'000'000;
  int64_t longest_partition_ns = 15'000'000'000;
  // All of them happen between these.
  int64_t from_ns = 0;
  int64_t within_ns = 15'000'000'000;
};

struct FleetOptions {
  uint64_t seed = 1;
  int agents = 3;
  v1::Plan plan;
  NetworkOptions network;
  int64_t clock_offset_ns = 5'000'000'000;  // at most, either way
  double clock_drift = 100e-6;              // at most, either way
  Faults faults;
  Outbox::Limits outbox;
  // In simulated time; never by default.
  int64_t cancel_at_ns = INT64_MAX;
};

// A real controller and real agents' runs with simulated loads, joined by a simulated network on simulated
// clocks; all that happens follows from the seed. Not thread-safe.
class SimulatedFleet : public ControllerOutside {
 public:
  explicit SimulatedFleet(FleetOptions options);
  ~SimulatedFleet() override;

  // Runs the plan to its end. DEADLINE_EXCEEDED where it has not ended after an hour of simulated time.
  absl::StatusOr<v1::RunResult> Run();

  // Of the agents, in the order of their names.
  const std::vector<LoadHistory>& histories() const { return histories_; }
  // Intervals that the controller had taken in when the run ended, by the sequence numbers that it had
  // reached and, where it was killed, found on its disk again.
  std::vector<v1::Interval> Counted() const;
  // What must never happen, and did: a load without a lease, a broken protocol, an acknowledged message that
  // is not on disk.
  std::vector<std::string> violations() const { return violations_; }
  const std::vector<v1::Progress>& progress() const { return progress_; }
  int results() const { return results_; }
  // How often a controller went on with the run of the one before.
  int resumed() const { return resumed_; }
  int64_t now_ns() const { return queue_.now_ns(); }
  int64_t cancelled_ns() const { return cancelled_ns_; }

 private:
  // An agent's process, and its connections. Kept until the end: the queue may hold events of theirs.
  struct Link;
  struct Process;
  class LoadHandle;

  void Send(StreamId to, const v1::ControllerMessage& message) override;
  void Disconnect(StreamId stream, const absl::Status& why) override;
  void PrepareTarget(const v1::Plan& plan, const std::string& run_id) override;
  void FinishTarget(const v1::Plan& plan, bool) override { PrepareTarget(plan, ""); }
  void CancelPrepareTarget() override { ++preparation_; }
  // Three nodes, which answer late, or not, or can't be found.
  void StartObserving(const v1::Plan& plan) override;
  void ReadDatabase(bool /*tracked*/) override { Read(false); }
  void ReadDatabaseLast(const std::vector<int64_t>&) override { Read(true); }
  void Read(bool last);
  void StopObserving() override { ++observer_; }
  void Observe(v1::Observed observed);
  void Save(RunSnapshot snapshot) override;
  void OnProgress(const v1::Progress& progress) override { progress_.push_back(progress); }
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override;

  // Processes.
  void StartAgent(int index);
  void KillAgent(int index);
  void StartController();
  void KillController();
  void StallController(int64_t how_long_ns);
  // Now, or as soon as the controller that is there goes on.
  void ToController(std::function<void()> event);
  void PlanFaults();
  void At(int64_t time_ns, std::function<void()> event);

  // One agent's way to the controller.
  void Dial(Process& process);
  void Redial(Process& process);
  void Connect(Process& process);
  // The agent gives the link up; the controller hears of it if it can.
  void Break(Process& process);
  void Pump(Process& process);
  void Tick(Process& process);
  void Beat(Process& process);
  void Answer(Process& process, Link* link, uint64_t number);
  void Deliver(Process& process, StreamId stream, const v1::AgentMessage& message);
  void CheckLease(const Process& process);
  int64_t Between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  FleetOptions options_;
  std::mt19937_64 random_;
  EventQueue queue_;
  SimulatedClock clock_;
  std::vector<LoadHistory> histories_;
  std::deque<SimulatedClock> agent_clocks_;
  std::vector<int64_t> cut_off_until_ns_;
  std::deque<std::unique_ptr<Process>> processes_;
  // The living one of each agent; null: none.
  std::vector<Process*> alive_;
  std::map<StreamId, Process*> streams_;
  StreamId last_stream_ = 0;

  std::unique_ptr<Controller> controller_;
  uint64_t incarnation_ = 0;
  // It stands still until then, and what comes for it waits.
  int64_t stalled_until_ns_ = 0;
  std::deque<std::function<void()>> held_up_;
  SimulatedStore store_;
  std::optional<RunSnapshot> saving_;
  std::string run_id_;
  uint64_t preparation_ = 0;
  uint64_t observer_ = 0;
  int results_ = 0;
  int resumed_ = 0;
  int64_t cancelled_ns_ = INT64_MAX;
  std::optional<absl::StatusOr<v1::RunResult>> result_;
  // By process: the highest sequence number that the controller has taken in.
  std::map<uint64_t, uint64_t> taken_in_;
  std::vector<v1::Progress> progress_;
  std::vector<std::string> violations_;
};

}  // namespace trunkload
