#pragma once

#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "controller/cancellation.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// A thread that connects to a plan's target, makes the tables that the plan asks for, or finishes them once
// their rows are loaded, and says what server it found.
class TargetPreparation {
 public:
  // Called once, on the thread of the preparation, also when it was cancelled.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::ServerInfo>)>;

  // Called on the same thread as each task of that begins.
  using OnTask = absl::AnyInvocable<void(const std::string& name)>;
  // The last one: after a load that broke no connection.
  enum class Part { kBeforeLoad, kAfterLoad, kAfterSmoothLoad };

  TargetPreparation(v1::Plan plan, std::string run_id, Part part, OnTask on_task, Done done);
  // Cancels and waits for the end.
  ~TargetPreparation();
  // Does not wait. Thread-safe.
  void Cancel() { cancellation_.Cancel(); }

 private:
  Cancellation cancellation_;
  std::thread thread_;
};

}  // namespace trunkload
