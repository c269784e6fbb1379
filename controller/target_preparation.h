#pragma once

#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "controller/cancellation.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A thread that connects to a plan's target, makes the tables that the plan asks for and says what server it
// found.
class TargetPreparation {
 public:
  // Called once, on the thread of the preparation, also when it was cancelled.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::ServerInfo>)>;

  TargetPreparation(v1::Plan plan, Done done);
  // Cancels and waits for the end.
  ~TargetPreparation();
  // Does not wait. Thread-safe.
  void Cancel() { cancellation_.Cancel(); }

 private:
  Cancellation cancellation_;
  std::thread thread_;
};

}  // namespace trunkload
