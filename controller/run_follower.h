#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Whoever asked for a run and hears of it: a call from another machine, or the terminal of an embedded
// controller.
class RunFollower {
 public:
  virtual ~RunFollower() = default;
  // Called on a thread of the controller, one call at a time; none may block.
  virtual void OnProgress(const v1::Progress& progress) = 0;
  // Where the phase asks for them: transactions of one agent, by its number in the run, from 0. The phase
  // began at `phase_start_us` since 1970, UTC.
  virtual void OnTransactions(uint32_t /*agent*/, int64_t /*phase_start_us*/,
                              const v1::TransactionLog& /*log*/) {}
  // The last call: the result, or why there is none.
  virtual void OnRunEnded(absl::StatusOr<v1::RunResult> result) = 0;
};

}  // namespace trunkload
