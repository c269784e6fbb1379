#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/slice.h"

namespace trunkload {

// The instants of one transaction, by the monotonic clock, in this order.
struct TransactionTimes {
  int64_t intended_start = 0;  // when it was due
  int64_t requested = 0;       // when it asked for a connection
  int64_t acquired = 0;        // when it got one
  int64_t sent = 0;
  int64_t ended = 0;
};

// One reactor's measuring: the slice being filled, and those that wait to be collected. Everything but
// Collect and Recycle belongs to the reactor's thread; those two may be called from one other. Recording
// takes no lock and allocates nothing.
class Recorder {
 public:
  static constexpr int64_t kSliceNanos = 1'000'000'000;

  explicit Recorder(size_t scripts);

  // Begins a phase at `start_ns`, with nothing recorded.
  void Start(int64_t start_ns);

  void Record(uint32_t script, const TransactionTimes& times, uint64_t rows) {
    RollIfDue(times.ended);
    ScriptSlice& slice = current_->scripts[script];
    ++slice.transactions;
    slice.rows += rows;
    slice.response.Record(times.ended - times.intended_start);
    slice.service.Record(times.ended - times.sent);
    slice.pool_wait.Record(times.acquired - times.requested);
    slice.send_lag.Record(times.sent - times.intended_start);
    last_completion_ = times.ended;
  }
  void RecordFailure(uint32_t script, int64_t intended_start, int64_t ended, std::string_view code);
  void RecordOffered(uint32_t script) { ++current_->scripts[script].offered; }
  void RecordDropped(uint32_t script) { ++current_->scripts[script].dropped; }
  void RecordScheduleLag(int64_t nanos) { current_->schedule_lag.Record(nanos); }
  void RecordConnectionLost() { ++current_->connections_lost; }
  void RecordConnectError(std::string_view code) { current_->connect_errors.Add(code); }

  // When the slice being filled ends. Where nobody has collected the slices before it, it goes on to the next
  // second: coarser, but complete.
  int64_t slice_end() const { return slice_end_; }
  void RollIfDue(int64_t now) {
    if (now >= slice_end_) [[unlikely]]
      Roll(now);
  }
  // Hands over what there is: the phase has ended.
  void Finish(int64_t now);

  // The oldest slice that is complete, or null. Give it back through Recycle.
  std::unique_ptr<Slice> Collect();
  void Recycle(std::unique_ptr<Slice> slice);

 private:
  // One being filled, and two on their way.
  static constexpr int kSlices = 3;

  void Roll(int64_t now);
  void Complete(int64_t now);

  std::unique_ptr<Slice> current_;
  int64_t start_ = 0;
  int64_t slice_end_ = INT64_MAX;
  int64_t slice_began_ = 0;
  int64_t cpu_at_slice_began_ = 0;
  int64_t last_completion_ = 0;

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<Slice>> complete_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slice>> spare_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload
