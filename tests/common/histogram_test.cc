#include "common/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace trunkload {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

TEST(HistogramTest, EmptyHasNoValues) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.PercentileNanos(99), 0u);
  EXPECT_EQ(histogram.min_ns(), 0u);
  EXPECT_EQ(histogram.max_ns(), 0u);
  EXPECT_EQ(histogram.mean_ns(), 0);
}

TEST(HistogramTest, PercentilesAreWithinThreeDigitsOfTheSortedValues) {
  std::mt19937_64 random(7);
  std::vector<int64_t> values;
  Histogram histogram;
  for (int i = 0; i < 200'000; ++i) {
    // From microseconds to an hour, evenly over the orders of magnitude.
    const auto value = static_cast<int64_t>(
        std::exp(std::uniform_real_distribution<>(std::log(1e3), std::log(3.5e12))(random)));
    values.push_back(value);
    histogram.Record(value);
  }
  std::sort(values.begin(), values.end());
  for (double percent : {0.1, 1.0, 25.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * values.size()));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto got = static_cast<double>(histogram.PercentileNanos(percent));
    EXPECT_GE(got, exact) << percent;
    EXPECT_LE(got, exact * 1.001 + 1000) << percent;
  }
  EXPECT_EQ(histogram.max_ns(), static_cast<uint64_t>(values.back()));
  EXPECT_EQ(histogram.min_ns(), static_cast<uint64_t>(values.front()));
}

TEST(HistogramTest, AnHourIsInRangeAndMoreIsCountedAsOver) {
  Histogram histogram;
  histogram.Record(kHour);
  EXPECT_EQ(histogram.over_range(), 0u);
  histogram.Record(kHour + 1'000'000);
  EXPECT_EQ(histogram.over_range(), 1u);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.PercentileNanos(100), static_cast<uint64_t>(kHour + 1'000'000));
  EXPECT_EQ(histogram.CountAbove(kHour * 2), 1u);
}

TEST(HistogramTest, NegativeValuesCountAsZero) {
  Histogram histogram;
  histogram.Record(-5);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max_ns(), 0u);
}

TEST(HistogramTest, MergingIsRecordingAllInOne) {
  std::mt19937_64 random(3);
  Histogram parts[3], all;
  for (int i = 0; i < 30'000; ++i) {
    const auto value = static_cast<int64_t>(random() % (2 * kHour));
    parts[i % 3].Record(value);
    all.Record(value);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.Merge(part);
  EXPECT_EQ(merged.count(), all.count());
  EXPECT_EQ(merged.over_range(), all.over_range());
  EXPECT_EQ(merged.max_ns(), all.max_ns());
  EXPECT_EQ(merged.min_ns(), all.min_ns());
  EXPECT_NEAR(merged.mean_ns(), all.mean_ns(), 1);
  for (double percent = 0; percent <= 100; percent += 0.5) {
    EXPECT_EQ(merged.PercentileNanos(percent), all.PercentileNanos(percent)) << percent;
  }
}

TEST(HistogramTest, TheStandardDeviationIsExactAndNotThatOfBuckets) {
  Histogram histogram;
  EXPECT_EQ(histogram.stddev_ns(), 0);
  for (const int64_t micros : {2, 4, 4, 4, 5, 5, 7, 9}) histogram.Record(micros * 1000);
  EXPECT_DOUBLE_EQ(histogram.stddev_ns(), 2000) << "of all, not of a sample";
  Histogram same;
  for (int i = 0; i < 1000; ++i) same.Record(123'456'789);
  EXPECT_NEAR(same.stddev_ns(), 0, 10);
  // All of these fall in one bucket.
  Histogram near;
  for (const int64_t nanos : {1'000'000'000, 1'000'000'002, 1'000'200'000}) near.Record(nanos);
  EXPECT_NEAR(near.stddev_ns(), 94280, 1);
  Histogram hours;
  for (int i = 0; i < 1000; ++i) hours.Record((i % 2 + 1) * kHour);
  EXPECT_NEAR(hours.stddev_ns(), kHour / 2.0, 1e6) << "those over range count, too";
}

TEST(HistogramTest, StandardDeviationsMergeExactly) {
  std::mt19937_64 random(5);
  Histogram parts[2], all, from_wire;
  double sum = 0, squares = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto value = static_cast<int64_t>(random() % 50'000'000);
    parts[i % 2].Record(value);
    all.Record(value);
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const double expected = std::sqrt(squares / 1e4 - sum / 1e4 * sum / 1e4);
  EXPECT_NEAR(all.stddev_ns(), expected, expected * 1e-9);
  for (const Histogram& part : parts) from_wire.MergeChecked(part.ToProto());
  parts[0].Merge(parts[1]);
  EXPECT_NEAR(parts[0].stddev_ns(), expected, expected * 1e-9);
  EXPECT_NEAR(from_wire.stddev_ns(), expected, expected * 1e-9);
}

TEST(HistogramTest, APeerWithoutSquaresHasNoDeviation) {
  Histogram histogram;
  for (int64_t value : {1000, 9000}) histogram.Record(value);
  v1::Histogram proto = histogram.ToProto();
  EXPECT_DOUBLE_EQ(proto.sum_squares_ns2(), 82e6);
  proto.clear_sum_squares_ns2();
  const absl::StatusOr<Histogram> without = Histogram::FromProto(proto);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(without->stddev_ns(), 0);
  for (const double squares : {-1.0, std::nan(""), HUGE_VAL}) {
    proto.set_sum_squares_ns2(squares);
    EXPECT_FALSE(Histogram::FromProto(proto).ok()) << squares;
  }
}

TEST(HistogramTest, TheWireGivesBackWhatWasSent) {
  Histogram histogram;
  for (int64_t value = 1; value < 4 * kHour; value = value * 3 + 1) histogram.Record(value);
  auto back = Histogram::FromProto(histogram.ToProto());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(*back == histogram);
  EXPECT_TRUE(*Histogram::FromProto(Histogram().ToProto()) == Histogram());
}

TEST(HistogramTest, ClearForgetsEverything) {
  Histogram histogram;
  histogram.Record(5'000);
  histogram.Record(2 * kHour);
  histogram.Clear();
  EXPECT_TRUE(histogram == Histogram());
}

TEST(HistogramTest, RefusesWhatIsNoHistogram) {
  v1::Histogram uneven;
  uneven.add_bucket_delta(1);
  EXPECT_EQ(Histogram::FromProto(uneven).status().code(), absl::StatusCode::kInvalidArgument);

  v1::Histogram twice;
  for (uint32_t delta : {5u, 0u}) {
    twice.add_bucket_delta(delta);
    twice.add_count(1);
  }
  EXPECT_FALSE(Histogram::FromProto(twice).ok());

  v1::Histogram past_the_end;
  past_the_end.add_bucket_delta(4'000'000'000u);
  past_the_end.add_count(1);
  EXPECT_FALSE(Histogram::FromProto(past_the_end).ok());

  v1::Histogram inverted = [] {
    Histogram one;
    one.Record(1'000'000);
    return one.ToProto();
  }();
  inverted.set_min_ns(inverted.max_ns() + 1);
  EXPECT_FALSE(Histogram::FromProto(inverted).ok());
}

// Clear, Merge and others look only at the buckets between minimum and maximum.
TEST(HistogramTest, RefusesAMinimumOrMaximumOutsideOfItsBuckets) {
  Histogram histogram;
  for (const int64_t nanos : {1'000'000, 5'000'000}) histogram.Record(nanos);
  const v1::Histogram right = histogram.ToProto();
  ASSERT_TRUE(Histogram::FromProto(right).ok());
  for (const uint64_t min_ns : {900'000, 1'100'000}) {
    v1::Histogram wrong = right;
    wrong.set_min_ns(min_ns);
    EXPECT_FALSE(Histogram::FromProto(wrong).ok()) << min_ns;
  }
  for (const uint64_t max_ns : {uint64_t{4'000'000}, uint64_t{6'000'000}, uint64_t{2 * kHour}}) {
    v1::Histogram wrong = right;
    wrong.set_max_ns(max_ns);
    EXPECT_FALSE(Histogram::FromProto(wrong).ok()) << max_ns;
  }
  histogram.Record(2 * kHour);
  EXPECT_TRUE(Histogram::FromProto(histogram.ToProto()).ok());
  v1::Histogram wrong = histogram.ToProto();
  wrong.set_max_ns(5'000'000);
  EXPECT_FALSE(Histogram::FromProto(wrong).ok()) << "and one over range";
}

}  // namespace
}  // namespace trunkload
