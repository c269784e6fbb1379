#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "controller/faults/fault_nodes.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Carries out the faults of a run, each on a thread of its own, and makes whole again what they broke.
// Thread-safe.
class FaultInjector {
 public:
  struct Options {
    std::string run_id;
    bool allow_commands = false;
  };
  // Each fault that was begun ends once; before that it is told to have begun, where it has. Faults are
  // indexed like the plan's.
  struct Event {
    int fault = 0;
    bool ended = false;
    // Of one that has ended: why it could not be done, or undone; empty: it was.
    std::string failure;
  };
  // Called on threads of the injector, several at a time.
  using Sink = absl::AnyInvocable<void(Event) const>;

  // Asks the target where its nodes are, on a thread of its own.
  FaultInjector(v1::Plan plan, Options options, Sink sink);
  // As EndAll, and waits for the end.
  ~FaultInjector();

  // Does not wait.
  void Begin(int fault) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whatever is broken is made whole now; commands are ended. Faults that are begun after that fail. Does not
  // wait.
  void EndAll() { ending_.Cancel(); }

 private:
  void FindNodes() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<FaultNodes> AskForNodes();
  absl::StatusOr<FaultNode> NodeFor(const v1::Fault& fault) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CarryOut(int number);
  absl::Status Terminate(int number, const FaultNode& node);
  absl::Status BreakFor(int number, const FaultNode& node);
  void TellBegan(int number) { sink_({.fault = number}); }
  // Until the time has passed or the faults are to end.
  void Wait(absl::Duration time);

  const v1::Plan plan_;
  const Options options_;
  const Sink sink_;
  Cancellation ending_;

  absl::Mutex mutex_;
  // None: they are being asked for.
  std::optional<absl::StatusOr<FaultNodes>> nodes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload
