#include "controller/pgbench/transaction_log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace trunkload {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;

using Outcome = v1::TransactionLog::Outcome;

bool IsFailure(Outcome outcome) {
  return outcome != v1::TransactionLog::OUTCOME_SUCCEEDED && outcome != v1::TransactionLog::OUTCOME_SKIPPED;
}

std::string FailureText(Outcome outcome, bool detailed) {
  if (!detailed) return "failed";
  if (outcome == v1::TransactionLog::OUTCOME_SERIALIZATION) return "serialization";
  return outcome == v1::TransactionLog::OUTCOME_DEADLOCK ? "deadlock" : "other";
}

}  // namespace

void TransactionLogFiles::Spread::Add(double value, bool first) {
  sum += value;
  squares += value * value;
  min = first ? value : std::min(min, value);
  max = first ? value : std::max(max, value);
}

TransactionLogFiles::~TransactionLogFiles() {
  Close().IgnoreError();
}

absl::Status TransactionLogFiles::Open() {
  return FileOf(0).status();
}

absl::StatusOr<TransactionLogFiles::File*> TransactionLogFiles::FileOf(uint32_t agent) {
  const auto [found, is_new] = files_.try_emplace(agent);
  File& file = found->second;
  if (!is_new) return &file;
  file.name = absl::StrCat(options_.log_prefix, ".", pid_, agent == 0 ? "" : absl::StrCat(".", agent));
  file.stream.reset(std::fopen(file.name.c_str(), "we"));
  if (file.stream != nullptr) return &file;
  const absl::Status status = absl::FailedPreconditionError(
      absl::StrCat("can't write the log ", file.name, ": ", std::strerror(errno)));
  files_.erase(found);
  return status;
}

absl::Status TransactionLogFiles::Add(uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& log) {
  if (!status_.ok()) return status_;
  absl::StatusOr<File*> file = FileOf(agent);
  if (!file.ok()) return status_ = file.status();
  // An agent's threads tell one after the other what they did in the same second.
  std::vector<int> in_order(static_cast<size_t>(log.client_size()));
  std::iota(in_order.begin(), in_order.end(), 0);
  std::stable_sort(in_order.begin(), in_order.end(),
                   [&log](int a, int b) { return log.ended_us(a) < log.ended_us(b); });
  for (const int i : in_order) {
    if (options_.aggregate_interval_s > 0) {
      Aggregated(**file, phase_start_us, log, i);
    } else {
      WriteLine(**file, phase_start_us, log, i);
    }
  }
  // Somebody may be looking.
  std::FILE* const stream = (*file)->stream.get();
  if (std::fflush(stream) != 0 || std::ferror(stream) != 0) {
    status_ = absl::UnavailableError(
        absl::StrCat("can't write the log ", (*file)->name, " any further: ", std::strerror(errno)));
  }
  return status_;
}

absl::Status TransactionLogFiles::Close() {
  for (auto& [agent, file] : files_) {
    if (options_.aggregate_interval_s > 0 && file.aggregate.start_s > 0) WriteAggregate(file);
    if (std::fclose(file.stream.release()) != 0 && status_.ok()) {
      status_ =
          absl::UnavailableError(absl::StrCat("can't write the log ", file.name, ": ", std::strerror(errno)));
    }
  }
  files_.clear();
  return status_;
}

void TransactionLogFiles::WriteLine(File& file, int64_t phase_start_us, const v1::TransactionLog& log,
                                    int index) const {
  const Outcome outcome = log.outcome(index);
  std::string line = absl::StrCat(log.client(index), " ", log.number(index), " ");
  if (outcome == v1::TransactionLog::OUTCOME_SUCCEEDED) {
    absl::StrAppend(&line, log.response_us(index));
  } else if (outcome == v1::TransactionLog::OUTCOME_SKIPPED) {
    line += "skipped";
  } else {
    line += FailureText(outcome, options_.failures_detailed);
  }
  const int64_t ended_us = phase_start_us + log.ended_us(index);
  absl::StrAppend(&line, " ", log.script(index), " ", ended_us / kMicrosPerSecond, " ",
                  ended_us % kMicrosPerSecond);
  // A failure has no lag in pgbench's log either.
  const bool has_lag = outcome == v1::TransactionLog::OUTCOME_SUCCEEDED;
  if (options_.rate_per_s > 0) absl::StrAppend(&line, " ", has_lag ? log.send_lag_us(index) : 0);
  if (options_.max_tries != 1) absl::StrAppend(&line, " ", log.retries(index));
  std::fprintf(file.stream.get(), "%s\n", line.c_str());
}

void TransactionLogFiles::Aggregated(File& file, int64_t phase_start_us, const v1::TransactionLog& log,
                                     int index) const {
  Aggregate& sums = file.aggregate;
  if (sums.start_s == 0) sums.start_s = phase_start_us / kMicrosPerSecond;
  const int64_t ended_us = phase_start_us + log.ended_us(index);
  const int64_t interval_us = options_.aggregate_interval_s * kMicrosPerSecond;
  // Counted from when the run began, to the second. An interval without transactions has its line, too.
  while (ended_us >= sums.start_s * kMicrosPerSecond + interval_us) WriteAggregate(file);
  const Outcome outcome = log.outcome(index);
  sums.retried += log.retries(index) > 0;
  sums.retries += log.retries(index);
  sums.skipped += outcome == v1::TransactionLog::OUTCOME_SKIPPED;
  sums.serialization += outcome == v1::TransactionLog::OUTCOME_SERIALIZATION;
  sums.deadlock += outcome == v1::TransactionLog::OUTCOME_DEADLOCK;
  sums.other += outcome == v1::TransactionLog::OUTCOME_OTHER;
  if (outcome == v1::TransactionLog::OUTCOME_SKIPPED || IsFailure(outcome)) return;
  sums.latency.Add(static_cast<double>(log.response_us(index)), sums.count == 0);
  if (options_.rate_per_s > 0) sums.lag.Add(static_cast<double>(log.send_lag_us(index)), sums.count == 0);
  ++sums.count;
}

void TransactionLogFiles::WriteAggregate(File& file) const {
  const Aggregate& sums = file.aggregate;
  const bool detailed = options_.failures_detailed;
  std::string line =
      absl::StrFormat("%d %d %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %d %d %d %d %d", sums.start_s,
                      sums.count, sums.latency.sum, sums.latency.squares, sums.latency.min, sums.latency.max,
                      sums.lag.sum, sums.lag.squares, sums.lag.min, sums.lag.max, sums.skipped, sums.retried,
                      sums.retries, detailed ? sums.serialization : 0, detailed ? sums.deadlock : 0);
  if (options_.continue_on_error) absl::StrAppend(&line, " ", detailed ? sums.other : 0);
  std::fprintf(file.stream.get(), "%s\n", line.c_str());
  const int64_t next_s = sums.start_s + options_.aggregate_interval_s;
  file.aggregate = {};
  file.aggregate.start_s = next_s;
}

}  // namespace trunkload
