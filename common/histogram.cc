#include "common/histogram.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace trunkload {

Histogram::Histogram() : buckets_(std::make_unique<std::array<uint64_t, kBuckets>>()) {}

Histogram::Histogram(const Histogram& other)
    : buckets_(std::make_unique<std::array<uint64_t, kBuckets>>(*other.buckets_)),
      in_range_(other.in_range_),
      over_range_(other.over_range_),
      min_ns_(other.min_ns_),
      max_ns_(other.max_ns_),
      sum_ns_(other.sum_ns_),
      sum_squares_ns2_(other.sum_squares_ns2_) {}

Histogram& Histogram::operator=(const Histogram& other) {
  if (this != &other) *this = Histogram(other);
  return *this;
}

void Histogram::Merge(const Histogram& other) {
  const Range of_other = other.used();
  for (uint32_t i = of_other.first; i < of_other.last; ++i) (*buckets_)[i] += (*other.buckets_)[i];
  in_range_ += other.in_range_;
  over_range_ += other.over_range_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
  sum_squares_ns2_ += other.sum_squares_ns2_;
}

void Histogram::Clear() {
  const Range range = used();
  std::fill(buckets_->begin() + range.first, buckets_->begin() + range.last, 0);
  in_range_ = 0;
  over_range_ = 0;
  min_ns_ = UINT64_MAX;
  max_ns_ = 0;
  sum_ns_ = 0;
  sum_squares_ns2_ = 0;
}

double Histogram::stddev_ns() const {
  if (count() == 0) return 0;
  const double mean_of_squares = sum_squares_ns2_ / static_cast<double>(count());
  // Rounding can leave less than nothing where all values are the same.
  return std::sqrt(std::max(0.0, mean_of_squares - mean_ns() * mean_ns()));
}

uint64_t Histogram::LowerNanos(uint32_t bucket) {
  if (bucket < 2 * kHalf) return bucket * uint64_t{1000};
  const uint32_t shift = bucket / kHalf - 1;
  return (static_cast<uint64_t>(bucket - shift * kHalf) << shift) * 1000;
}

uint64_t Histogram::UpperNanos(uint32_t bucket) {
  return LowerNanos(bucket + 1) - 1;
}

Histogram::Range Histogram::used() const {
  if (in_range_ == 0) return {0, 0};
  const uint64_t highest_micros = std::min(max_ns_ / 1000, kHighestMicros);
  return {histogram_internal::BucketOf(min_ns_ / 1000), histogram_internal::BucketOf(highest_micros) + 1};
}

uint64_t Histogram::PercentileNanos(double percent) const {
  if (count() == 0) return 0;
  const double wanted = std::ceil(std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count()));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  const Range range = used();
  for (uint32_t i = range.first; i < range.last; ++i) {
    seen += (*buckets_)[i];
    if (seen >= rank) return std::min(UpperNanos(i), max_ns_);
  }
  return max_ns_;
}

uint64_t Histogram::CountAbove(int64_t nanos) const {
  uint64_t above = over_range_;
  for (uint32_t i = used().last; i-- > 0 && static_cast<int64_t>(LowerNanos(i)) > nanos;)
    above += (*buckets_)[i];
  return above;
}

bool Histogram::operator==(const Histogram& other) const {
  return in_range_ == other.in_range_ && over_range_ == other.over_range_ && min_ns_ == other.min_ns_ &&
         max_ns_ == other.max_ns_ && sum_ns_ == other.sum_ns_ && sum_squares_ns2_ == other.sum_squares_ns2_ &&
         *buckets_ == *other.buckets_;
}

v1::Histogram Histogram::ToProto() const {
  v1::Histogram proto;
  if (count() == 0) return proto;
  proto.set_sum_ns(sum_ns_);
  proto.set_sum_squares_ns2(sum_squares_ns2_);
  proto.set_min_ns(min_ns_);
  proto.set_max_ns(max_ns_);
  proto.set_over_range(over_range_);
  uint32_t last = 0;
  const Range range = used();
  for (uint32_t i = range.first; i < range.last; ++i) {
    if ((*buckets_)[i] == 0) continue;
    proto.add_bucket_delta(i - last);
    proto.add_count((*buckets_)[i]);
    last = i;
  }
  return proto;
}

absl::StatusOr<Histogram> Histogram::FromProto(const v1::Histogram& proto) {
  if (absl::Status status = Check(proto); !status.ok()) return status;
  Histogram histogram;
  histogram.MergeChecked(proto);
  return histogram;
}

absl::Status Histogram::Check(const v1::Histogram& proto) {
  if (proto.bucket_delta_size() != proto.count_size()) {
    return absl::InvalidArgumentError(absl::StrCat("histogram: ", proto.bucket_delta_size(), " buckets but ",
                                                   proto.count_size(), " counts"));
  }
  // Sums of counts stay far below 2^64 when each is below 2^53, which no fleet reaches.
  constexpr uint64_t kHighestCount = uint64_t{1} << 53;
  uint64_t bucket = 0;
  for (int i = 0; i < proto.count_size(); ++i) {
    bucket += proto.bucket_delta(i);
    if (i > 0 && proto.bucket_delta(i) == 0)
      return absl::InvalidArgumentError("histogram: a bucket comes twice");
    if (bucket >= kBuckets) return absl::InvalidArgumentError("histogram: a bucket above 1 h");
    if (proto.count(i) == 0 || proto.count(i) > kHighestCount) {
      return absl::InvalidArgumentError("histogram: a count that cannot be");
    }
  }
  if (proto.over_range() > kHighestCount)
    return absl::InvalidArgumentError("histogram: a count that cannot be");
  if (proto.count_size() == 0 && proto.over_range() == 0) return absl::OkStatus();
  if (!std::isfinite(proto.sum_squares_ns2()) || proto.sum_squares_ns2() < 0) {
    return absl::InvalidArgumentError("histogram: a sum of squares that cannot be");
  }
  if (!std::isfinite(proto.sum_ns()) || proto.sum_ns() < 0 || proto.min_ns() > proto.max_ns()) {
    return absl::InvalidArgumentError("histogram: sum, min and max do not fit together");
  }
  if (proto.count_size() == 0) return absl::OkStatus();
  const bool min_fits = proto.min_ns() >= LowerNanos(proto.bucket_delta(0)) &&
                        proto.min_ns() <= UpperNanos(proto.bucket_delta(0));
  const auto last = static_cast<uint32_t>(bucket);
  const bool max_fits = proto.over_range() > 0
                            ? proto.max_ns() / 1000 > kHighestMicros
                            : proto.max_ns() >= LowerNanos(last) && proto.max_ns() <= UpperNanos(last);
  if (!min_fits || !max_fits)
    return absl::InvalidArgumentError("histogram: min and max are not in its first and last bucket");
  return absl::OkStatus();
}

void Histogram::MergeChecked(const v1::Histogram& proto) {
  uint64_t bucket = 0;
  uint64_t in_range = 0;
  for (int i = 0; i < proto.count_size(); ++i) {
    bucket += proto.bucket_delta(i);
    (*buckets_)[bucket] += proto.count(i);
    in_range += proto.count(i);
  }
  if (in_range + proto.over_range() == 0) return;
  in_range_ += in_range;
  over_range_ += proto.over_range();
  min_ns_ = std::min(min_ns_, proto.min_ns());
  max_ns_ = std::max(max_ns_, proto.max_ns());
  sum_ns_ += proto.sum_ns();
  sum_squares_ns2_ += proto.sum_squares_ns2();
}

}  // namespace trunkload
