#include "common/ledger.h"

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using Outcome = Ledger::Outcome;

v1::Ledger Parse(const std::string& text) {
  v1::Ledger ledger;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &ledger));
  return ledger;
}

TEST(LedgerTest, KeepsEachOutcome) {
  Ledger ledger;
  for (uint64_t i = 1; i <= 100; ++i) {
    ledger.Record(7, i, i % 10 == 0 ? Outcome::kRefused : i == 55 ? Outcome::kLost : Outcome::kAcknowledged);
  }
  ledger.Record(3, 1, Outcome::kAcknowledged);
  EXPECT_EQ(ledger.acknowledged(), 90u);
  EXPECT_EQ(ledger.refused(), 10u);
  EXPECT_EQ(ledger.lost(), 1u);
  const auto writers = ledger.writers();
  ASSERT_EQ(writers.size(), 2u);
  EXPECT_TRUE(writers.at(7)->refused.contains(50));
  EXPECT_TRUE(writers.at(7)->lost.contains(55));
  EXPECT_FALSE(writers.at(7)->refused.contains(51));
}

// A million writes a minute for an hour, of which nobody was refused, are a few bytes.
TEST(LedgerTest, WhatIsAcknowledgedTakesNoRoom) {
  Ledger sum;
  uint64_t next = 1;
  for (int second = 0; second < 3600; ++second) {
    Ledger slice;
    for (uint64_t writer = 0; writer < 64; ++writer) {
      for (uint64_t i = 0; i < 260; ++i) slice.Record(writer, next + i, Outcome::kAcknowledged);
    }
    next += 260;
    sum.Merge(slice);
  }
  EXPECT_EQ(sum.acknowledged(), 3600u * 64 * 260);
  EXPECT_LT(sum.ToProto().ByteSizeLong(), 64u * 20);
}

TEST(LedgerTest, SlicesAddUpInAnyOrder) {
  Ledger whole;
  std::vector<Ledger> slices(4);
  for (uint64_t i = 1; i <= 400; ++i) {
    const Outcome outcome = i % 7 == 0    ? Outcome::kRefused
                            : i % 11 == 0 ? Outcome::kLost
                                          : Outcome::kAcknowledged;
    whole.Record(1, i, outcome);
    slices[(i - 1) / 100].Record(1, i, outcome);
  }
  Ledger sum;
  for (const size_t i : {2, 0, 3, 1}) {
    const v1::Ledger message = slices[i].ToProto();
    ASSERT_TRUE(Ledger::Check(message).ok());
    sum.Merge(message);
  }
  EXPECT_EQ(sum.ToProto().SerializeAsString(), whole.ToProto().SerializeAsString());
}

TEST(LedgerTest, IsEmptyWhenCleared) {
  Ledger ledger;
  ledger.Record(1, 1, Outcome::kLost);
  ledger.Clear();
  EXPECT_TRUE(ledger.empty());
  EXPECT_EQ(ledger.ToProto().writers_size(), 0);
  ledger.Record(1, 2, Outcome::kAcknowledged);
  EXPECT_EQ(ledger.acknowledged(), 1u);
  EXPECT_EQ(ledger.lost(), 0u);
}

TEST(LedgerTest, TellsWhichAnswersWereLost) {
  Ledger ledger;
  ledger.Record(7, 1, Outcome::kAcknowledged);
  ledger.Record(7, 2, Outcome::kLost);
  EXPECT_TRUE(ledger.IsLost(7, 2));
  EXPECT_FALSE(ledger.IsLost(7, 1));
  EXPECT_FALSE(ledger.IsLost(8, 2));
}

TEST(LedgerTest, WhatItCostsAddsUp) {
  Ledger sum;
  Ledger slice;
  slice.Record(1, 1, Outcome::kAcknowledged);
  slice.AddCost(5000);
  slice.AddCost(-1000);
  sum.Merge(slice);
  sum.Merge(slice.ToProto());
  EXPECT_EQ(sum.cost_ns(), 8000u);
  slice.Clear();
  slice.AddCost(-1000);
  EXPECT_EQ(slice.cost_ns(), 0u) << "less than the clock's own noise";
  for (int i = 0; i < 1000; ++i) {
    v1::Ledger year;
    year.set_cost_ns(uint64_t{1} << 55);
    ASSERT_TRUE(Ledger::Check(year).ok());
    sum.Merge(year);
  }
  EXPECT_TRUE(Ledger::Check(sum.ToProto()).ok());
}

TEST(LedgerTest, RefusesWhatNoLedgerSays) {
  EXPECT_FALSE(Ledger::Check(Parse("cost_ns: 18446744073709551615")).ok());
  EXPECT_TRUE(Ledger::Check(Parse("writers {writer: 1 ended: [1, 9] refused: [2, 1] lost: [5, 1]}")).ok());
  // Two outcomes of one, an outcome of one that has not ended, writers out of order.
  EXPECT_FALSE(Ledger::Check(Parse("writers {writer: 1 ended: [1, 9] refused: [2, 2] lost: [3, 1]}")).ok());
  EXPECT_FALSE(Ledger::Check(Parse("writers {writer: 1 ended: [1, 9] refused: [9, 2]}")).ok());
  EXPECT_FALSE(
      Ledger::Check(Parse("writers {writer: 2 ended: [1, 1]} writers {writer: 2 ended: [3, 1]}")).ok());
}

TEST(FindingsTest, AddUp) {
  v1::Findings sum;
  for (int i = 0; i < 5; ++i) {
    v1::Findings more;
    more.set_looks(10);
    more.set_deviating(3);
    more.set_largest(i % 2 == 0 ? -i * 10 : i);
    for (int k = 0; k < 3; ++k) more.add_first()->set_operation(static_cast<uint64_t>(i * 3 + k));
    ASSERT_TRUE(CheckFindings(more).ok());
    MergeFindings(more, sum);
  }
  EXPECT_EQ(sum.looks(), 50u);
  EXPECT_EQ(sum.deviating(), 15u);
  EXPECT_EQ(sum.largest(), -40);
  EXPECT_EQ(sum.first_size(), kMostFindings);
  EXPECT_TRUE(CheckFindings(sum).ok());
  sum.set_looks(14);
  EXPECT_FALSE(CheckFindings(sum).ok());
}

}  // namespace
}  // namespace trunkload
