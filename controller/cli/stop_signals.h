#pragma once

#include <thread>

#include "absl/functional/any_invocable.h"
#include "controller/cancellation.h"

namespace trunkload {

// SIGINT and SIGTERM as calls on a thread of its own.
class StopSignals {
 public:
  // Keeps them from this thread and all that it starts: to be called before there are others.
  static void Block();

  // `on_signal` gets 1 with the first signal, 2 with the second, and so on.
  explicit StopSignals(absl::AnyInvocable<void(int)> on_signal);
  ~StopSignals();

 private:
  void Wait(absl::AnyInvocable<void(int)>& on_signal);

  Cancellation ended_;
  std::thread thread_;
};

}  // namespace trunkload
