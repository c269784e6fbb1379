#include "agent/recorder.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/clock.h"

namespace trunkload {
Recorder::Recorder(std::vector<size_t> commands_of_scripts)
    : commands_of_scripts_(std::move(commands_of_scripts)),
      current_(std::make_unique<Slice>(commands_of_scripts_)) {
  absl::MutexLock lock(&mutex_);
  for (int i = 1; i < kSlices; ++i) spare_.push_back(std::make_unique<Slice>(commands_of_scripts_));
}

void Recorder::Start(int64_t start_ns, const Wishes& wishes, int64_t from_ns) {
  wishes_ = wishes;
  log_random_ = Random(wishes.log_seed);
  current_->Clear();
  start_ = start_ns;
  slice_began_ = std::max(start_ns, from_ns);
  current_->first_second = static_cast<uint32_t>((slice_began_ - start_ns) / kSliceNanos);
  slice_end_ = start_ns + (current_->first_second + int64_t{1}) * kSliceNanos;
  last_completion_ = 0;
  cpu_at_slice_began_ = ThreadCpuNanos();
}

void Recorder::RecordFailure(uint32_t script, int64_t intended_start, int64_t ended, std::string_view code,
                             std::string_view message) {
  RollIfDue(ended);
  ScriptSlice& slice = current_->scripts[script];
  slice.AddError(code, message);
  slice.failed.Record(ended - intended_start);
  // One that is given up has not ended.
  if (code != kUnfinished) last_completion_ = ended;
}

void Recorder::Log(const Logged& transaction, const TransactionTimes& times) {
  if (wishes_.log_sampling < 1 && log_random_.Uniform() >= wishes_.log_sampling) return;
  RollIfDue(times.ended);
  constexpr int64_t kNanosPerMicro = 1000;
  const bool skipped = transaction.outcome == v1::TransactionLog::OUTCOME_SKIPPED;
  v1::TransactionLog& log = current_->log;
  log.add_client(transaction.client);
  log.add_number(transaction.number);
  log.add_script(transaction.script);
  log.add_outcome(transaction.outcome);
  log.add_ended_us((times.ended - start_) / kNanosPerMicro);
  log.add_response_us(skipped ? 0 : (times.ended - times.intended_start) / kNanosPerMicro);
  // One that was skipped, or whose connection did not open, was never sent.
  const int64_t sent = times.sent == 0 ? times.ended : times.sent;
  log.add_send_lag_us((sent - times.intended_start) / kNanosPerMicro);
  log.add_retries(transaction.retries);
}

void Recorder::RecordSample(Ledger& ledger, uint64_t writer, uint64_t operation, Ledger::Outcome outcome) {
  // Longer than that another process had the processor.
  constexpr int64_t kLongestNanos = 100'000;
  // The CPU clock of a thread takes longer to read than what is measured.
  const SystemClock clock;
  // The first one fetches what the others need.
  clock.MonotonicNanos();
  const int64_t before = clock.MonotonicNanos();
  const int64_t began = clock.MonotonicNanos();
  ledger.Record(writer, operation, outcome);
  const int64_t took = clock.MonotonicNanos() - began;
  // Less what reading the clock takes.
  const int64_t cost = std::clamp(took - (began - before), -kLongestNanos, kLongestNanos);
  ledger.AddCost(cost * static_cast<int64_t>(kOperationsPerSample));
}

void Recorder::RecordLook(uint32_t script, v1::Finding& finding, int64_t now) {
  v1::Findings& findings = current_->scripts[script].findings;
  findings.set_looks(findings.looks() + 1);
  if (finding.expected() == finding.seen()) [[likely]]
    return;
  findings.set_deviating(findings.deviating() + 1);
  // In the text of a script, what it expects is far from the ends of the range.
  int64_t difference;
  if (__builtin_sub_overflow(finding.seen(), finding.expected(), &difference) || difference == INT64_MIN)
    difference = INT64_MAX;
  if (std::abs(difference) > std::abs(findings.largest())) findings.set_largest(difference);
  if (findings.first_size() >= kMostFindings) return;
  finding.set_at_us(std::max<int64_t>(0, now - start_) / 1000);
  *findings.add_first() = finding;
}

void Recorder::Complete(int64_t now) {
  const int64_t cpu = ThreadCpuNanos();
  current_->reactor_cpu_ns = cpu - cpu_at_slice_began_;
  if (now > slice_began_) {
    current_->busiest_reactor = std::min(
        1.0, static_cast<double>(current_->reactor_cpu_ns) / static_cast<double>(now - slice_began_));
  }
  cpu_at_slice_began_ = cpu;
  slice_began_ = now;
  // The second before the one that `now` falls in, but never one before the slice's own.
  const auto second = static_cast<uint32_t>(std::max<int64_t>(0, slice_end_ - start_) / kSliceNanos - 1);
  current_->last_second = std::max(current_->first_second, second);
  current_->last_completion_ns = last_completion_ == 0 ? 0 : std::max<int64_t>(0, last_completion_ - start_);
}

void Recorder::Roll(int64_t now) {
  // A reactor that was kept from running for seconds goes on in the second that it wakes up in.
  const int64_t passed = (now - slice_end_) / kSliceNanos;
  std::unique_ptr<Slice> next;
  {
    absl::MutexLock lock(&mutex_);
    if (!spare_.empty()) {
      next = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (next != nullptr) {
    Complete(now);
    const uint32_t after = current_->last_second + 1;
    {
      absl::MutexLock lock(&mutex_);
      complete_.push_back(std::move(current_));
    }
    current_ = std::move(next);
    current_->first_second = after + static_cast<uint32_t>(passed);
  }
  slice_end_ += (passed + 1) * kSliceNanos;
}

void Recorder::Finish(int64_t now) {
  Complete(now);
  slice_end_ = INT64_MAX;
  auto next = std::make_unique<Slice>(commands_of_scripts_);
  absl::MutexLock lock(&mutex_);
  complete_.push_back(std::move(current_));
  current_ = std::move(next);
}

std::unique_ptr<Slice> Recorder::Collect() {
  absl::MutexLock lock(&mutex_);
  if (complete_.empty()) return nullptr;
  std::unique_ptr<Slice> slice = std::move(complete_.front());
  complete_.pop_front();
  return slice;
}

void Recorder::Recycle(std::unique_ptr<Slice> slice) {
  slice->Clear();
  absl::MutexLock lock(&mutex_);
  if (spare_.size() < kSlices - 1) spare_.push_back(std::move(slice));
}

}  // namespace trunkload
