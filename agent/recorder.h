#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/slice.h"
#include "common/ledger.h"
#include "common/random.h"

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
// takes no lock, and allocates nothing but for a transaction
// that is logged and the first error of a kind.
class Recorder {
 public:
  static constexpr int64_t kSliceNanos = 1'000'000'000;

  // For each script how many of its commands are measured.
  explicit Recorder(std::vector<size_t> commands_of_scripts);

  const std::vector<size_t>& commands_of_scripts() const { return commands_of_scripts_; }

  // What a phase asks for beside what is always recorded.
  struct Wishes {
    int64_t latency_limit_ns = INT64_MAX;
    // The share of transactions that are logged, and the seed of which ones.
    double log_sampling = 0;
    uint64_t log_seed = 0;
  };
  // Begins a phase that began at `start_ns`, with nothing recorded. `from_ns`: when it begins for this
  // recorder, which may be some seconds later.
  void Start(int64_t start_ns, const Wishes& wishes, int64_t from_ns);
  void Start(int64_t start_ns) { Start(start_ns, Wishes(), start_ns); }

  void Record(uint32_t script, const TransactionTimes& times, uint64_t rows) {
    RollIfDue(times.ended);
    ScriptSlice& slice = current_->scripts[script];
    ++slice.transactions;
    slice.rows += rows;
    slice.late += times.ended - times.intended_start > wishes_.latency_limit_ns;
    slice.response.Record(times.ended - times.intended_start);
    slice.service.Record(times.ended - times.sent);
    slice.pool_wait.Record(times.acquired - times.requested);
    slice.send_lag.Record(times.sent - times.intended_start);
    last_completion_ = times.ended;
  }
  // `message`: what was said about it, in words.
  void RecordFailure(uint32_t script, int64_t intended_start, int64_t ended, std::string_view code,
                     std::string_view message = {});
  void RecordOffered(uint32_t script) { ++current_->scripts[script].offered; }
  void RecordDropped(uint32_t script) { ++current_->scripts[script].dropped; }
  void RecordSkipped(uint32_t script) { ++current_->scripts[script].skipped; }
  // Of one transaction; `deadlocks`: how many of its retries came after one.
  void RecordRetries(uint32_t script, uint64_t retries, uint64_t deadlocks) {
    current_->scripts[script].retried += 1;
    current_->scripts[script].retries += retries;
    current_->scripts[script].deadlock_retries += deadlocks;
  }
  // That a transaction of the script reads or writes.
  void RecordKey(uint32_t script, int64_t key) { current_->scripts[script].keys.Count(key); }
  // Of a script that is recorded: what came of an operation, and what it saw where it looked for something.
  void RecordOperation(uint32_t script, uint64_t writer, uint64_t operation, Ledger::Outcome outcome) {
    Ledger& ledger = current_->scripts[script].ledger;
    if (++operations_ % kOperationsPerSample == 0) [[unlikely]] {
      RecordSample(ledger, writer, operation, outcome);
    } else {
      ledger.Record(writer, operation, outcome);
    }
  }
  void RecordLook(uint32_t script, v1::Finding& finding, int64_t now);
  void RecordAbortedClient() { ++current_->aborted_clients; }
  void RecordCommand(uint32_t script, size_t command, int64_t nanos) {
    current_->scripts[script].commands[command].latency.Record(nanos);
  }
  void RecordCommandFailure(uint32_t script, size_t command, bool tried_again) {
    CommandSlice& slice = current_->scripts[script].commands[command];
    ++slice.failures;
    slice.retries += tried_again;
  }
  bool logging() const { return wishes_.log_sampling > 0; }
  struct Logged {
    uint32_t client;
    uint64_t number;
    uint32_t script;
    v1::TransactionLog::Outcome outcome;
    uint32_t retries;
  };
  // Writes it down, or not, as sampling has it. Of one that was skipped only when it was due and ended count.
  void Log(const Logged& transaction, const TransactionTimes& times);
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

  // Of so many operations, what writing down takes is measured of one.
  static constexpr uint64_t kOperationsPerSample = 512;

  static void RecordSample(Ledger& ledger, uint64_t writer, uint64_t operation, Ledger::Outcome outcome);
  void Roll(int64_t now);
  void Complete(int64_t now);

  const std::vector<size_t> commands_of_scripts_;
  std::unique_ptr<Slice> current_;
  Wishes wishes_;
  Random log_random_{0};
  int64_t start_ = 0;
  int64_t slice_end_ = INT64_MAX;
  int64_t slice_began_ = 0;
  int64_t cpu_at_slice_began_ = 0;
  int64_t last_completion_ = 0;
  uint64_t operations_ = 0;

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<Slice>> complete_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slice>> spare_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace trunkload
