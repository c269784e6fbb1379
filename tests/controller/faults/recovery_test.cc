#include "controller/faults/recovery.h"

#include <vector>

#include "gtest/gtest.h"

namespace trunkload {
namespace {

struct Second {
  uint64_t transactions = 100;
  double p99_us = 1000;
  uint64_t errors = 0;
};

v1::FaultResult Measure(double began_s, const std::vector<Second>& seconds, double load_s) {
  google::protobuf::RepeatedPtrField<v1::SeriesPoint> series;
  for (size_t i = 0; i < seconds.size(); ++i) {
    v1::SeriesPoint& point = *series.Add();
    point.set_second(static_cast<uint32_t>(i));
    point.set_transactions(seconds[i].transactions);
    point.set_response_p99_us(seconds[i].p99_us);
    point.set_errors(seconds[i].errors);
  }
  v1::FaultResult fault;
  fault.set_began_s(began_s);
  MeasureRecovery(series, load_s, fault);
  return fault;
}

v1::FaultResult Measure(double began_s, const std::vector<Second>& seconds) {
  return Measure(began_s, seconds, static_cast<double>(seconds.size()));
}

TEST(RecoveryTest, ADipAndTheWayBack) {
  std::vector<Second> seconds(20);
  seconds[5] = {70, 1200, 1};
  seconds[6] = {0, 0, 5};
  seconds[7] = {0, 0, 5};
  seconds[8] = {95, 3'000'000, 2};
  seconds[9] = {90, 1400, 0};
  seconds[15] = {10, 9'000'000, 7};
  const v1::FaultResult fault = Measure(5.5, seconds);
  EXPECT_EQ(fault.throughput_before_per_s(), 100);
  EXPECT_EQ(fault.throughput_lowest_per_s(), 0);
  EXPECT_EQ(fault.p99_before_us(), 1000);
  EXPECT_EQ(fault.p99_highest_us(), 3'000'000) << "what comes long after both were back is not the fault's";
  EXPECT_EQ(fault.errors(), 13);
  EXPECT_EQ(fault.throughput_back_s(), 2.5);
  EXPECT_EQ(fault.p99_back_s(), 3.5);
}

TEST(RecoveryTest, WhatWasNeverAwayIsBackAtOnce) {
  const v1::FaultResult fault = Measure(4.2, std::vector<Second>(8));
  EXPECT_TRUE(fault.has_throughput_back_s());
  EXPECT_EQ(fault.throughput_back_s(), 0);
  EXPECT_TRUE(fault.has_p99_back_s());
  EXPECT_EQ(fault.p99_back_s(), 0);
  EXPECT_EQ(fault.throughput_lowest_per_s(), 100);
}

TEST(RecoveryTest, AFaultLateInItsSecondIsNotTakenForHarmless) {
  std::vector<Second> seconds(10);
  seconds[3] = {95, 1000, 0};
  seconds[4] = {0, 0, 9};
  const v1::FaultResult fault = Measure(3.95, seconds);
  EXPECT_DOUBLE_EQ(fault.throughput_back_s(), 5 - 3.95);
  EXPECT_EQ(fault.throughput_lowest_per_s(), 0);
  EXPECT_EQ(fault.errors(), 9);
}

TEST(RecoveryTest, OneGoodSecondIsNoRecovery) {
  std::vector<Second> seconds(12);
  for (const int second : {3, 4, 6, 7}) seconds[static_cast<size_t>(second)].transactions = 20;
  EXPECT_EQ(Measure(3, seconds).throughput_back_s(), 5);
}

TEST(RecoveryTest, WhatNeverComesBackIsAbsent) {
  std::vector<Second> seconds(12);
  for (size_t second = 6; second < seconds.size(); ++second) seconds[second] = {10, 5000, 1};
  const v1::FaultResult fault = Measure(6, seconds);
  EXPECT_FALSE(fault.has_throughput_back_s());
  EXPECT_FALSE(fault.has_p99_back_s());
  EXPECT_EQ(fault.errors(), 6);
}

TEST(RecoveryTest, TheEndOfTheLoadIsEnoughOnceItIsBack) {
  std::vector<Second> seconds(8);
  seconds[5].transactions = seconds[6].transactions = 0;
  EXPECT_EQ(Measure(5, seconds).throughput_back_s(), 2);
}

TEST(RecoveryTest, TheFaultsOwnSecondAloneSaysNothing) {
  EXPECT_FALSE(Measure(7.9, std::vector<Second>(8)).has_throughput_back_s());
}

TEST(RecoveryTest, BeforeIsTheMeanOfTenSeconds) {
  std::vector<Second> seconds(20);
  for (size_t second = 0; second < 5; ++second) seconds[second] = {1'000'000, 1, 0};
  seconds[5] = {200, 3000, 0};
  EXPECT_EQ(Measure(15, seconds).throughput_before_per_s(), 110);
  EXPECT_EQ(Measure(15, seconds).p99_before_us(), 1200);
}

TEST(RecoveryTest, WithoutAWholeSecondBeforeItThereIsNothingToCompareWith) {
  std::vector<Second> seconds(5);
  seconds[0] = {0, 0, 3};
  const v1::FaultResult fault = Measure(0, seconds);
  EXPECT_EQ(fault.throughput_before_per_s(), 0);
  EXPECT_FALSE(fault.has_throughput_back_s());
  EXPECT_EQ(fault.errors(), 3);
}

TEST(RecoveryTest, TheDrainIsNoSecondOfTheLoad) {
  std::vector<Second> seconds(11);
  seconds[10] = {2, 8'000'000, 0};
  const v1::FaultResult fault = Measure(5, seconds, 9.9996);
  EXPECT_EQ(fault.throughput_lowest_per_s(), 100);
  EXPECT_EQ(fault.throughput_back_s(), 0);
}

TEST(RecoveryTest, SecondsThatNobodyToldOfAreEmpty) {
  google::protobuf::RepeatedPtrField<v1::SeriesPoint> series;
  for (const uint32_t second : {0, 1, 2, 7, 8, 9}) {
    series.Add()->set_second(second);
    series.rbegin()->set_transactions(50);
    series.rbegin()->set_response_p99_us(800);
  }
  v1::FaultResult fault;
  fault.set_began_s(3);
  MeasureRecovery(series, 10, fault);
  EXPECT_EQ(fault.throughput_lowest_per_s(), 0);
  EXPECT_EQ(fault.throughput_back_s(), 4);
}

TEST(RecoveryTest, AFaultAfterTheLoadDidNothing) {
  EXPECT_EQ(Measure(9, std::vector<Second>(5)).throughput_before_per_s(), 0);
  EXPECT_EQ(Measure(9, {}).errors(), 0);
}

}  // namespace
}  // namespace trunkload
