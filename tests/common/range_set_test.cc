#include "common/range_set.h"

#include <random>
#include <set>

#include "gtest/gtest.h"

namespace trunkload {
namespace {

using Range = RangeSet::Range;

RangeSet SetOf(const std::set<uint64_t>& numbers) {
  RangeSet set;
  for (const uint64_t number : numbers) set.Add(number);
  return set;
}

TEST(RangeSetTest, WhatGrowsOneByOneIsOneRange) {
  RangeSet set;
  for (uint64_t i = 1; i <= 1'000'000; ++i) set.Add(i);
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 1'000'000}}));
  EXPECT_EQ(set.size(), 1'000'000u);
}

TEST(RangeSetTest, RangesThatTouchBecomeOne) {
  RangeSet set;
  set.Add({10, 20});
  set.Add({30, 40});
  set.Add({1, 8});
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 8}, {10, 20}, {30, 40}}));
  set.Add(9);
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 20}, {30, 40}}));
  set.Add({15, 35});
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 40}}));
  set.Add({5, 6});
  EXPECT_EQ(set.ranges(), (std::vector<Range>{{1, 40}}));
}

// Against sets that hold each number by itself.
TEST(RangeSetTest, DoesWhatASetDoes) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    std::set<uint64_t> numbers[2];
    RangeSet sets[2];
    for (int i = 0; i < 2; ++i) {
      const int count = static_cast<int>(random() % 60);
      for (int k = 0; k < count; ++k) {
        const uint64_t first = 1 + random() % 300;
        const uint64_t last = first + random() % 5;
        for (uint64_t n = first; n <= last; ++n) numbers[i].insert(n);
        sets[i].Add({first, last});
      }
      EXPECT_EQ(sets[i].ranges(), SetOf(numbers[i]).ranges());
      EXPECT_EQ(sets[i].size(), numbers[i].size());
    }
    std::set<uint64_t> both = numbers[0];
    both.insert(numbers[1].begin(), numbers[1].end());
    RangeSet merged = sets[0];
    merged.Merge(sets[1]);
    EXPECT_EQ(merged.ranges(), SetOf(both).ranges());
    EXPECT_TRUE(merged.Contains(sets[0]) && merged.Contains(sets[1]));
    EXPECT_EQ(sets[0].Contains(sets[1]), both == numbers[0]);
    for (uint64_t number = 1; number < 320; ++number)
      EXPECT_EQ(merged.contains(number), both.contains(number));
    RangeSet of_blocks;
    for (uint64_t block = 0; block < 6; ++block) {
      uint64_t bits = 0;
      for (uint64_t i = 0; i < 64; ++i) bits |= uint64_t{both.contains(block * 64 + i)} << i;
      of_blocks.AddBlock(block, bits);
    }
    EXPECT_EQ(of_blocks.ranges(), merged.ranges());
    std::set<uint64_t> only;
    std::set<uint64_t> common;
    for (const uint64_t number : numbers[0]) (numbers[1].contains(number) ? common : only).insert(number);
    EXPECT_EQ(sets[0].Minus(sets[1]).ranges(), SetOf(only).ranges());
    EXPECT_EQ(sets[0].And(sets[1]).ranges(), SetOf(common).ranges());
    RangeSet::Pairs pairs;
    merged.AddTo(pairs);
    ASSERT_TRUE(RangeSet::Check(pairs).ok());
    EXPECT_EQ(RangeSet::From(pairs).ranges(), merged.ranges());
  }
}

TEST(RangeSetTest, RefusesPairsThatNoSetIsWrittenAs) {
  const auto check = [](std::initializer_list<uint64_t> numbers) {
    RangeSet::Pairs pairs;
    for (const uint64_t number : numbers) pairs.Add(number);
    return RangeSet::Check(pairs).ok();
  };
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({1, 1, 2, 5}));
  EXPECT_FALSE(check({1}));
  EXPECT_FALSE(check({0, 1}));        // numbers begin at 1
  EXPECT_FALSE(check({1, 0}));        // a range of nothing
  EXPECT_FALSE(check({1, 1, 1, 1}));  // the two touch
  EXPECT_FALSE(check({1, RangeSet::kHighest + 1}));
  EXPECT_FALSE(check({RangeSet::kHighest, 2}));
  EXPECT_FALSE(check({UINT64_MAX, UINT64_MAX, UINT64_MAX, 5}));
}

}  // namespace
}  // namespace trunkload
