#include "controller/faults/recovery.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"

namespace trunkload {
namespace {

constexpr size_t kSecondsBefore = 10;
// One good second may be chance.
constexpr size_t kSecondsOfBack = 3;
constexpr double kThroughputBack = 0.9;
constexpr double kP99Back = 1.5;
// A phase's length is no exact number of seconds where it was measured.
constexpr double kRounding = 1e-3;

using Seconds = std::vector<v1::SeriesPoint>;
using Good = absl::FunctionRef<bool(const v1::SeriesPoint&)>;

Seconds WholeSeconds(const google::protobuf::RepeatedPtrField<v1::SeriesPoint>& series, double load_s) {
  const auto count = static_cast<size_t>(std::max(0.0, std::floor(load_s + kRounding)));
  Seconds seconds(count);
  // Those in which nothing happened are seconds too.
  for (size_t i = 0; i < count; ++i) seconds[i].set_second(static_cast<uint32_t>(i));
  for (const v1::SeriesPoint& point : series) {
    if (point.second() < count) seconds[point.second()] = point;
  }
  return seconds;
}

// The first second from `own` on from which on all is good; none: it never is.
std::optional<size_t> FirstGood(const Seconds& seconds, size_t own, Good good) {
  for (size_t i = own; i < seconds.size(); ++i) {
    // The fault's own second is in part from before it, and says nothing alone.
    if (i == own && i + 1 == seconds.size()) break;
    const size_t end = std::min(i + kSecondsOfBack, seconds.size());
    if (std::all_of(seconds.begin() + static_cast<std::ptrdiff_t>(i),
                    seconds.begin() + static_cast<std::ptrdiff_t>(end), good)) {
      return i;
    }
  }
  return std::nullopt;
}

}  // namespace

void MeasureRecovery(const google::protobuf::RepeatedPtrField<v1::SeriesPoint>& series, double load_s,
                     v1::FaultResult& fault) {
  const Seconds seconds = WholeSeconds(series, load_s);
  const auto own = static_cast<size_t>(std::max(0.0, std::floor(fault.began_s())));
  if (own >= seconds.size()) return;
  const size_t from = own - std::min(own, kSecondsBefore);
  double transactions = 0, p99 = 0, with_p99 = 0;
  for (size_t i = from; i < own; ++i) {
    transactions += static_cast<double>(seconds[i].transactions());
    if (seconds[i].transactions() == 0) continue;
    p99 += seconds[i].response_p99_us();
    ++with_p99;
  }
  std::optional<size_t> throughput_back, p99_back;
  if (transactions > 0) {
    fault.set_throughput_before_per_s(transactions / static_cast<double>(own - from));
    fault.set_p99_before_us(p99 / with_p99);
    throughput_back = FirstGood(seconds, own, [&fault](const v1::SeriesPoint& second) {
      return static_cast<double>(second.transactions()) >= kThroughputBack * fault.throughput_before_per_s();
    });
    p99_back = FirstGood(seconds, own, [&fault](const v1::SeriesPoint& second) {
      return second.transactions() > 0 && second.response_p99_us() <= kP99Back * fault.p99_before_us();
    });
  }
  const auto after = [&fault, own](size_t second) {
    return second == own ? 0 : static_cast<double>(second) - fault.began_s();
  };
  if (throughput_back) fault.set_throughput_back_s(after(*throughput_back));
  if (p99_back) fault.set_p99_back_s(after(*p99_back));
  const bool both = throughput_back && p99_back;
  const size_t end = both ? std::max({*throughput_back, *p99_back, own + 1}) : seconds.size();
  uint64_t lowest = seconds[own].transactions();
  for (size_t i = own; i < end; ++i) {
    lowest = std::min(lowest, seconds[i].transactions());
    fault.set_p99_highest_us(std::max(fault.p99_highest_us(), seconds[i].response_p99_us()));
    fault.set_errors(fault.errors() + seconds[i].errors());
  }
  fault.set_throughput_lowest_per_s(static_cast<double>(lowest));
}

}  // namespace trunkload
