#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "controller/cancellation.h"
#include "controller/citus/node_queries.h"
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
    absl::Duration interval;
    // For counting rows; zero: they are not counted.
    absl::Duration count_limit;
  };
  // Called on the observer's thread, with one thing at a time.
  using Sink = absl::AnyInvocable<void(v1::Observed)>;

  NodeObserver(Task task, Sink sink);
  // Cancels and waits for the end.
  ~NodeObserver();

  // A sample with relations, as soon as it can; Unreachable where that can't be.
  void Read() ABSL_LOCKS_EXCLUDED(mutex_);
  // The same once the server's counters stand still; the shards of the keys, where this is the target's own
  // node; and the rows of its relations.
  void ReadLast(std::vector<int64_t> keys) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does not wait.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Order { kNone, kRead, kReadLast, kStop };

  void Watch();
  Order WaitUntil(int64_t due_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Connect();
  absl::Status ReadSettings();
  // The answer to a query on the node.
  absl::StatusOr<std::string> Ask(const std::string& query, absl::Duration timeout);
  absl::StatusOr<v1::Observed::Sample> Sample(bool relations);
  absl::Status Report(bool reading);
  absl::Status ReportLast();
  void FindKeys();
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

  absl::Mutex mutex_;
  Order order_ ABSL_GUARDED_BY(mutex_) = Order::kNone;
  std::vector<int64_t> keys_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace trunkload
