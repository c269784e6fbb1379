#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "controller/cancellation.h"
#include "controller/citus/cluster_nodes.h"
#include "controller/citus/node_observer.h"
#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Watches the database of a run from outside the load: finds its nodes and tables, and has each node sampled
// until it is cancelled. What it can't do it says, and ends nothing. Thread-safe.
class Observer {
 public:
  // Called on threads of the observer, several at a time.
  using Sink = absl::AnyInvocable<void(v1::Observed) const>;

  // The plan's tables are made.
  Observer(v1::Plan plan, Sink sink);
  // Cancels and waits for the end.
  ~Observer();

  // See NodeObserver. Each node answers once, with a reading or Unreachable; before the nodes are known, once
  // they are.
  void Read(bool tracked) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, and Rows follow from each node that has answered with a reading.
  void ReadLast(const std::vector<int64_t>& keys) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does not wait.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Discover();
  absl::StatusOr<ClusterNodes> FindNodes();
  void Start(const ClusterNodes& found);

  const v1::Plan plan_;
  const Sink sink_;
  Cancellation cancellation_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  // Asked for before there was any node.
  bool read_ ABSL_GUARDED_BY(mutex_) = false;
  bool tracked_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_last_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int64_t> keys_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<NodeObserver>> nodes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace trunkload
