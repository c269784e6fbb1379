#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What the load tells the run that drives it.
class LoadEvents {
 public:
  virtual ~LoadEvents() = default;
  // Every connection is open and every statement prepared, so long after Open.
  virtual void OnLoadReady(uint32_t connections, uint64_t connecting_ns) = 0;
  // The load can't go on; one sentence, without secrets. No other event follows until the next Open.
  virtual void OnLoadFailed(const std::string& reason) = 0;
  virtual void OnInterval(v1::Interval interval) = 0;
  virtual void OnPhaseEnded(const v1::PhaseEnded& ended) = 0;
  // What one TakeOver named is part of the load from then on, or could not be. All but the run's id is set.
  virtual void OnTakenOver(const v1::TakenOver& taken_over) = 0;
};

// The load of one agent in one run: reactors in the program, a model of them in simulations. Nothing here
// blocks; what comes of a call is told through LoadEvents, on the thread that drives the run.
class Load {
 public:
  virtual ~Load() = default;
  // Opens connections and prepares statements, once, before anything else.
  virtual void Open(const v1::Assignment& assignment) = 0;
  // A phase that has not begun is this one instead, with the same kind of load.
  virtual void ChangePhase(uint32_t phase, const v1::Phase& described) = 0;
  // Starts a phase at an instant of the monotonic clock (at once where that has passed). Its intervals
  // follow, then its end.
  virtual void StartPhase(uint32_t phase, int64_t start_ns) = 0;
  // Ends the phase under way early: no new transactions, then the drain, for which the phase's limit or
  // `drain_timeout` is left, whichever is shorter.
  virtual void StopPhase(absl::Duration drain_timeout) = 0;
  // A phase is under way: emulates these too, from the moment on at which their connections are open.
  virtual void TakeOver(const std::vector<v1::ApplicationServer>& servers) = 0;
  // The load ends by itself then, as by StopPhase without a drain: whoever was kept from running until after
  // that starts nothing any more. INT64_MAX, as at first: never.
  virtual void RenewLease(int64_t ends_ns) = 0;
  // Drops what is under way and closes the connections. No event follows.
  virtual void Close() = 0;
};

}  // namespace trunkload
