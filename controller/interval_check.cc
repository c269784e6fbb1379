#include "controller/interval_check.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/histogram.h"

namespace trunkload {
namespace {

// Doubles and so JSON hold every number up to here, and sums of a fleet's stay far below 2^64.
constexpr uint64_t kHighestCount = uint64_t{1} << 53;
constexpr uint64_t kHighestNanos = uint64_t{1} << 60;
constexpr int kMostErrorCodes = 200;

bool IsErrorCode(const std::string& code) {
  // "other": where an agent saw too many kinds to tell them apart.
  if (code == "pool_timeout" || code == "unfinished" || code == "other") return true;
  return code.size() == 5 && std::all_of(code.begin(), code.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

template <typename Errors>
absl::Status CheckErrors(const Errors& errors) {
  if (static_cast<int>(errors.size()) > kMostErrorCodes) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMostErrorCodes, " kinds of errors"));
  }
  for (const auto& [code, count] : errors) {
    if (!IsErrorCode(code)) return absl::InvalidArgumentError("an error that is no SQLSTATE");
    if (count > kHighestCount) return absl::InvalidArgumentError("a count that cannot be");
  }
  return absl::OkStatus();
}

absl::Status CheckScript(const v1::ScriptInterval& script) {
  for (uint64_t count : {script.offered(), script.transactions(), script.rows(), script.dropped()}) {
    if (count > kHighestCount) return absl::InvalidArgumentError("a count that cannot be");
  }
  for (const v1::Histogram* histogram :
       {&script.response(), &script.service(), &script.pool_wait(), &script.send_lag(), &script.failed()}) {
    if (absl::Status status = Histogram::Check(*histogram); !status.ok()) return status;
  }
  return CheckErrors(script.errors());
}

}  // namespace

absl::Status CheckInterval(const v1::Interval& interval, int scripts) {
  if (interval.scripts_size() != scripts) {
    return absl::InvalidArgumentError(absl::StrCat(interval.scripts_size(), " scripts instead of ", scripts));
  }
  if (interval.first_second() > interval.last_second()) {
    return absl::InvalidArgumentError("its first second is after its last");
  }
  if (!std::isfinite(interval.busiest_reactor()) || interval.busiest_reactor() < 0) {
    return absl::InvalidArgumentError("a share of a core that cannot be");
  }
  if (interval.connections_lost() > kHighestCount || interval.reactor_cpu_ns() > kHighestNanos ||
      interval.last_completion_ns() > kHighestNanos) {
    return absl::InvalidArgumentError("a number that cannot be");
  }
  for (const v1::ScriptInterval& script : interval.scripts()) {
    if (absl::Status status = CheckScript(script); !status.ok()) return status;
  }
  if (absl::Status status = CheckErrors(interval.connect_errors()); !status.ok()) return status;
  return Histogram::Check(interval.schedule_lag());
}

}  // namespace trunkload
