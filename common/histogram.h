#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trunkload/v1/histogram.pb.h"

namespace trunkload {

namespace histogram_internal {

constexpr uint32_t kSubBucketBits = 11;
constexpr uint32_t kHalf = 1u << (kSubBucketBits - 1);

constexpr uint32_t BucketOf(uint64_t micros) {
  // The number of doublings above the first 2,048 microseconds.
  const uint32_t shift = static_cast<uint32_t>(std::bit_width(micros | (2 * kHalf - 1))) - kSubBucketBits;
  return shift * kHalf + static_cast<uint32_t>(micros >> shift);
}

}  // namespace histogram_internal

// Latencies from 1 µs to 1 h at 3 significant digits, counted in log-linear buckets as HdrHistogram lays them
// out (hdrhistogram.org: 2,048 buckets of 1 µs, then for each doubling 1,024 of twice the width). Sum,
// minimum and maximum are exact, to the nanosecond (the sum as far as a double is: up to 104 days of it; that
// of the squares to a double's 16 digits, from which the standard deviation is worked out). Merging
// histograms and recording all their values in one give the same.
//
// A mergeable value; 181 KiB. Not thread-safe.
class Histogram {
 public:
  static constexpr uint64_t kHighestMicros = 3'600'000'000;

  Histogram();
  Histogram(const Histogram& other);
  Histogram& operator=(const Histogram& other);
  Histogram(Histogram&&) = default;
  Histogram& operator=(Histogram&&) = default;

  // Negative values count as 0. Values above 1 h count as over_range, and in count, sum and max.
  void Record(int64_t nanos) {
    const uint64_t value = nanos < 0 ? 0 : static_cast<uint64_t>(nanos);
    const uint64_t micros = value / 1000;
    const auto nanos_as_double = static_cast<double>(value);
    sum_ns_ += nanos_as_double;
    sum_squares_ns2_ += nanos_as_double * nanos_as_double;
    if (value < min_ns_) min_ns_ = value;
    if (value > max_ns_) max_ns_ = value;
    if (micros <= kHighestMicros) [[likely]] {
      ++(*buckets_)[histogram_internal::BucketOf(micros)];
      ++in_range_;
    } else {
      ++over_range_;
    }
  }

  void Merge(const Histogram& other);
  void Clear();

  uint64_t count() const { return in_range_ + over_range_; }
  uint64_t over_range() const { return over_range_; }
  double mean_ns() const { return count() == 0 ? 0 : sum_ns_ / static_cast<double>(count()); }
  double sum_ns() const { return sum_ns_; }
  double sum_squares_ns2() const { return sum_squares_ns2_; }
  // Of all values, not of a sample: the root of the mean of squares less the square of the mean. 0 while
  // empty.
  double stddev_ns() const;
  // 0 while empty.
  uint64_t min_ns() const { return count() == 0 ? 0 : min_ns_; }
  uint64_t max_ns() const { return max_ns_; }
  // The smallest value that at least `percent` (0 to 100) of all values do not exceed: the upper end of its
  // bucket, and never more than max_ns. 0 while empty. A rank that falls among those over range gives max_ns.
  uint64_t PercentileNanos(double percent) const;
  // How many values lie in buckets that start above `nanos`, those over range included.
  uint64_t CountAbove(int64_t nanos) const;

  bool operator==(const Histogram& other) const;

  // The wire form, and back: INVALID_ARGUMENT where the message does not describe a histogram.
  v1::Histogram ToProto() const;
  static absl::StatusOr<Histogram> FromProto(const v1::Histogram& proto);
  // FromProto in two steps, for the reader of many: its check, and what Merge does with a message that passed
  // it, at the cost of the buckets that hold something.
  static absl::Status Check(const v1::Histogram& proto);
  void MergeChecked(const v1::Histogram& proto);

 private:
  static constexpr uint32_t kHalf = histogram_internal::kHalf;
  static constexpr uint32_t kBuckets = histogram_internal::BucketOf(kHighestMicros) + 1;

  // The highest nanosecond that falls in the bucket, and the lowest.
  static uint64_t UpperNanos(uint32_t bucket);
  static uint64_t LowerNanos(uint32_t bucket);
  // What holds anything lies in [first, last): often little of it all.
  struct Range {
    uint32_t first;
    uint32_t last;
  };
  Range used() const;

  std::unique_ptr<std::array<uint64_t, kBuckets>> buckets_;
  uint64_t in_range_ = 0;
  uint64_t over_range_ = 0;
  uint64_t min_ns_ = UINT64_MAX;
  uint64_t max_ns_ = 0;
  double sum_ns_ = 0;
  double sum_squares_ns2_ = 0;
};

}  // namespace trunkload
