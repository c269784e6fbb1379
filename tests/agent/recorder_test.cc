#include "agent/recorder.h"

#include <gtest/gtest.h>

#include <memory>

namespace trunkload {
namespace {

constexpr int64_t kStart = 5'000'000'000;
constexpr int64_t kSecond = Recorder::kSliceNanos;

TransactionTimes EndingAt(int64_t ended) {
  return {ended - 4'000, ended - 3'000, ended - 2'000, ended - 1'000, ended};
}

TEST(RecorderTest, EveryLatencyCountsFromItsOwnInstant) {
  Recorder recorder({0, 0});
  recorder.Start(kStart);
  recorder.Record(1, EndingAt(kStart + 10'000), 3);
  recorder.Finish(kStart + 20'000);
  const std::unique_ptr<Slice> slice = recorder.Collect();
  ASSERT_NE(slice, nullptr);
  const ScriptSlice& script = slice->scripts[1];
  EXPECT_EQ(script.transactions, 1u);
  EXPECT_EQ(script.rows, 3u);
  EXPECT_EQ(script.response.max_ns(), 4'000u);
  EXPECT_EQ(script.service.max_ns(), 1'000u);
  EXPECT_EQ(script.pool_wait.max_ns(), 1'000u);
  EXPECT_EQ(script.send_lag.max_ns(), 3'000u);
  EXPECT_EQ(slice->scripts[0].transactions, 0u);
  EXPECT_EQ(slice->last_completion_ns, 10'000u);
  EXPECT_EQ(recorder.Collect(), nullptr);
}

TEST(RecorderTest, ATransactionCountsInTheSecondInWhichItEnds) {
  Recorder recorder({0});
  recorder.Start(kStart);
  recorder.Record(0, EndingAt(kStart + kSecond - 1), 1);
  recorder.Record(0, EndingAt(kStart + kSecond), 1);
  recorder.Record(0, EndingAt(kStart + kSecond + 1), 1);
  recorder.Finish(kStart + kSecond + 2);
  std::unique_ptr<Slice> first = recorder.Collect(), second = recorder.Collect();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->scripts[0].transactions, 1u);
  EXPECT_EQ(first->last_second, 0u);
  EXPECT_EQ(second->scripts[0].transactions, 2u);
  EXPECT_EQ(second->first_second, 1u);
  EXPECT_EQ(second->last_second, 1u);
}

TEST(RecorderTest, WritingDownOperationsIsMeasured) {
  Recorder recorder({0});
  recorder.Start(kStart);
  constexpr uint64_t kWriters = 1000;
  constexpr uint64_t kOperations = 200;
  for (uint64_t operation = 1; operation <= kOperations; ++operation) {
    // Every other one is refused, which takes memory.
    const auto outcome = operation % 2 == 0 ? Ledger::Outcome::kRefused : Ledger::Outcome::kAcknowledged;
    for (uint64_t writer = 0; writer < kWriters; ++writer)
      recorder.RecordOperation(0, writer, operation, outcome);
  }
  recorder.Finish(kStart + 1);
  const std::unique_ptr<Slice> slice = recorder.Collect();
  const Ledger& ledger = slice->scripts[0].ledger;
  EXPECT_EQ(ledger.acknowledged(), kWriters * kOperations / 2);
  EXPECT_EQ(ledger.refused(), kWriters * kOperations / 2);
  EXPECT_GT(ledger.cost_ns(), 0u);
}

TEST(RecorderTest, WhatNobodyCollectsBecomesCoarserAndIsNeverLost) {
  Recorder recorder({0});
  recorder.Start(kStart);
  constexpr int kSeconds = 20;
  for (int second = 0; second < kSeconds; ++second) {
    recorder.Record(0, EndingAt(kStart + second * kSecond + kSecond / 2), 1);
  }
  recorder.Finish(kStart + kSeconds * kSecond - 1);
  uint64_t transactions = 0;
  uint32_t next_second = 0;
  while (std::unique_ptr<Slice> slice = recorder.Collect()) {
    EXPECT_EQ(slice->first_second, next_second);
    next_second = slice->last_second + 1;
    transactions += slice->scripts[0].transactions;
    recorder.Recycle(std::move(slice));
  }
  EXPECT_EQ(transactions, static_cast<uint64_t>(kSeconds));
  EXPECT_EQ(next_second, static_cast<uint32_t>(kSeconds));
}

TEST(RecorderTest, FailuresCountByCodeWithTheirResponseTime) {
  Recorder recorder({0});
  recorder.Start(kStart);
  recorder.RecordFailure(0, kStart, kStart + 7'000, "23505");
  recorder.RecordFailure(0, kStart, kStart + 9'000, kPoolTimeout);
  recorder.RecordFailure(0, kStart, kStart + 9'000, "23505");
  recorder.Finish(kStart + 10'000);
  const v1::Interval interval = recorder.Collect()->ToInterval(2, 5);
  EXPECT_EQ(interval.phase(), 2u);
  EXPECT_EQ(interval.number(), 5u);
  const auto& errors = interval.scripts(0).errors();
  EXPECT_EQ(errors.at("23505"), 2u);
  EXPECT_EQ(errors.at("pool_timeout"), 1u);
  EXPECT_EQ(interval.scripts(0).transactions(), 0u);
  EXPECT_EQ(Histogram::FromProto(interval.scripts(0).failed())->max_ns(), 9'000u);
}

}  // namespace
}  // namespace trunkload
