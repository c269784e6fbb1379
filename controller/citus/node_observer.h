#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "controller/citus/cluster_queries.h"
#include "controller/citus/tracking.h"
#include "controller/database.h"
#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// Samples one server, on a thread and over a connection of its own: one that is slow, frozen or gone keeps
// nobody else from being asked. Says once that it is out of reach, and tries again. Thread-safe.
class NodeObserver {
 public:
  struct Task {
    v1::Target target;
    // Index of DatabaseNode.
    uint32_t number = 0;
    v1::DatabaseNode node;
    // HOST:PORT; empty: the target's.
    std::string server;
    // Where the server can't be reached, the target may ask it.
    bool through_target = false;
    ServerObjects objects;
    std::vector<v1::Relation> relations;
    // The load's sessions stay open after it.
    bool pooled = false;
    // To find them again; empty: it is not asked for them.
    std::string relations_query;
    absl::Duration interval;
    // For counting rows; zero: they are not counted.
    absl::Duration count_limit;
  };
  // Called on the observer's thread, with one thing at a time.
  using Sink = absl::AnyInvocable<void(v1::Observed)>;

  NodeObserver(Task task, Sink sink);
  // Cancels and waits for the end.
  ~NodeObserver();

  // A sample with relations, as soon as it can; Unreachable where that can't be. From then on, until the next
  // reading, the server counts statements or does not: see Tracking.
  void Read(bool tracked) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same, untracked, once the server's counters stand still; the shards of the keys and where shards are,
  // where this is the target's own node; what a rebalancing would do, where it is the coordinator; and the
  // rows of its relations.
  void ReadLast(std::vector<int64_t> keys) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does not wait. What was turned on is put back then.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Order { kNone, kRead, kReadLast, kStop };

  void Watch();
  bool Tracked() ABSL_LOCKS_EXCLUDED(mutex_);
  Order WaitUntil(int64_t due_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Connect();
  absl::Status ReadSettings();
  // The answer to a query on the node.
  absl::StatusOr<std::string> Ask(const std::string& query, absl::Duration timeout);
  template <typename Message>
  absl::StatusOr<Message> AskFor(const std::string& query, absl::Duration timeout);
  absl::StatusOr<v1::Observed::Sample> Sample(bool relations);
  void TellSample(v1::Observed::Sample sample);
  absl::Status Report(bool reading);
  absl::Status ReportLast();
  absl::Status ReportWaits();
  absl::Status FollowTracking(bool tracked);
  void ReadTracked(v1::Observed::Tracked& told);
  // When there is no time for more.
  void PutBack();
  void FindKeys();
  void FindShards();
  void AskForMoves();
  void CountRows();
  void TellUnreachable(const absl::Status& why, bool awaited);

  const Task task_;
  Sink sink_;
  const std::string sample_query_;
  const std::string reading_query_;
  Cancellation cancellation_;

  // Of the thread alone.
  std::unique_ptr<Database> database_;
  bool direct_ = true;
  bool told_unreachable_ = false;
  Tracking tracking_;
  int64_t waits_due_ns_ = 0;

  absl::Mutex mutex_;
  Order order_ ABSL_GUARDED_BY(mutex_) = Order::kNone;
  bool tracked_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int64_t> keys_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace trunkload
