#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/load.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/simulated_clock.h"

namespace trunkload {

// What a load did, by the simulation's own account.
struct LoadHistory {
  struct Phase {
    int64_t started_ns = -1;  // simulated time
    std::vector<v1::Interval> intervals;
  };
  std::vector<Phase> phases;
  std::string protocol_error;
  // When transactions of which application server were started, in simulated time.
  struct Span {
    uint32_t server;
    uint32_t phase;
    int64_t from_ns;
    int64_t to_ns;
  };
  std::vector<Span> spans;
};

// A load without a database: makes plausible intervals, one a second and some late ones of several seconds,
// and writes down what it made. Not thread-safe; its queue must not outlive it with events of its own, so
// that it is kept until the simulation's end.
class SimulatedLoad : public Load {
 public:
  SimulatedLoad(EventQueue& queue, const SimulatedClock& clock, std::mt19937_64& random, LoadEvents& events,
                LoadHistory& history)
      : queue_(queue), clock_(clock), random_(random), events_(&events), history_(history) {}

  void Open(const v1::Assignment& assignment) override;
  void ChangePhase(uint32_t phase, const v1::Phase& described) override {
    *assignment_.mutable_phases(static_cast<int>(phase)) = described;
  }
  void StartPhase(uint32_t phase, int64_t start_ns) override;
  void StopPhase(absl::Duration drain_timeout) override;
  void TakeOver(const std::vector<v1::ApplicationServer>& servers) override;
  void RenewLease(int64_t) override {}
  void Close() override;
  bool loading() const { return !serving_.empty(); }

 private:
  void After(int64_t delay_ns, void (SimulatedLoad::*step)());
  void Begin();
  void Slice();
  void Drain();
  void EndPhase();
  void SendInterval();
  void Serve(const v1::ApplicationServer& server) { serving_[server.number()] = queue_.now_ns(); }
  void StopServing();
  v1::ScriptInterval MakeScript(size_t commands);
  int64_t Uniform(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  uint32_t ElapsedSeconds() const;

  EventQueue& queue_;
  const SimulatedClock& clock_;
  std::mt19937_64& random_;
  LoadEvents* events_;
  LoadHistory& history_;
  v1::Assignment assignment_;
  // Of each script that is measured by them.
  std::vector<size_t> commands_;
  uint64_t generation_ = 0;
  uint32_t phase_ = 0;
  int64_t planned_start_ns_ = 0;
  bool under_way_ = false;
  bool stopping_ = false;
  std::map<uint32_t, int64_t> serving_;
  uint64_t next_number_ = 0;
  uint32_t next_second_ = 0;
};

}  // namespace trunkload
