#include "common/frequent_keys.h"

#include <cmath>
#include <map>
#include <random>

#include "gtest/gtest.h"

namespace trunkload {
namespace {

// What has a counter is within undercount() below the truth, and never above; what has none is no more than that.
void ExpectWithinBounds(const FrequentKeys& keys, const std::map<int64_t, uint64_t>& truth) {
  std::map<int64_t, uint64_t> counted;
  for (const FrequentKeys::Key& key : keys.Keys()) counted[key.key] = key.count;
  for (const auto& [key, count] : truth) {
    EXPECT_LE(counted[key], count) << key;
    EXPECT_GE(counted[key] + keys.undercount(), count) << key;
  }
}

TEST(FrequentKeysTest, AFewKeysAreCountedExactly) {
  FrequentKeys keys;
  for (int i = 0; i < 1000; ++i) keys.Count(i % 10 < 4 ? 17 : -i % 100);
  EXPECT_EQ(keys.counted(), 1000);
  EXPECT_EQ(keys.undercount(), 0);
  EXPECT_EQ(keys.Keys().front().key, 17);
  EXPECT_EQ(keys.Keys().front().count, 400);
}

TEST(FrequentKeysTest, ManyKeysStayWithinTheBound) {
  for (const double exponent : {0.0, 1.0, 1.5}) {
    std::mt19937_64 random(1);
    std::vector<double> weights;
    for (int i = 1; i <= 5000; ++i) weights.push_back(std::pow(i, -exponent));
    std::discrete_distribution<int64_t> draw(weights.begin(), weights.end());
    // In parts that are added up, as agents' slices are, some of them as messages.
    FrequentKeys all;
    std::map<int64_t, uint64_t> truth;
    for (int part = 0; part < 10; ++part) {
      FrequentKeys keys;
      for (int i = 0; i < 10000; ++i) {
        const int64_t key = draw(random);
        keys.Count(key);
        ++truth[key];
      }
      ASSERT_TRUE(FrequentKeys::Check(keys.ToProto()).ok());
      if (part % 2 == 0) {
        all.Merge(keys);
      } else {
        all.Merge(keys.ToProto());
      }
    }
    EXPECT_EQ(all.counted(), 100000);
    EXPECT_LE(all.undercount(), 100000 / 200);
    ExpectWithinBounds(all, truth);
  }
}

TEST(FrequentKeysTest, EvenKeysAreHardlySent) {
  FrequentKeys keys;
  for (int i = 0; i < 100000; ++i) keys.Count(i);
  EXPECT_EQ(keys.ToProto().key_size(), 0);
  EXPECT_LE(keys.ToProto().undercount(), 100000 / 200);
}

TEST(FrequentKeysTest, ClearedItBeginsAnew) {
  FrequentKeys keys;
  for (int i = 0; i < 1000; ++i) keys.Count(i);
  keys.Clear();
  EXPECT_EQ(keys.counted(), 0);
  EXPECT_TRUE(keys.Keys().empty());
  keys.Count(INT64_MIN);
  EXPECT_EQ(keys.Keys().front().key, INT64_MIN);
}

TEST(FrequentKeysTest, WhatCannotBeIsRefused) {
  v1::KeyCounts good;
  good.set_counted(10);
  good.add_key(1);
  good.add_count(4);
  EXPECT_TRUE(FrequentKeys::Check(good).ok());
  EXPECT_TRUE(FrequentKeys::Check(v1::KeyCounts()).ok());
  v1::KeyCounts bad = good;
  bad.add_key(1);
  bad.add_count(1);
  EXPECT_FALSE(FrequentKeys::Check(bad).ok()) << "a key twice";
  bad.set_key(1, 2);
  EXPECT_TRUE(FrequentKeys::Check(bad).ok());
  bad.set_count(1, 7);
  EXPECT_FALSE(FrequentKeys::Check(bad).ok()) << "more than all";
  bad = good;
  bad.set_count(0, 0);
  EXPECT_FALSE(FrequentKeys::Check(bad).ok());
  bad = good;
  bad.add_key(5);
  EXPECT_FALSE(FrequentKeys::Check(bad).ok()) << "a key without a count";
  bad = good;
  bad.set_undercount(11);
  EXPECT_FALSE(FrequentKeys::Check(bad).ok());
  bad = v1::KeyCounts();
  bad.set_counted(1000);
  for (int i = 0; i < 257; ++i) {
    bad.add_key(i);
    bad.add_count(1);
  }
  EXPECT_FALSE(FrequentKeys::Check(bad).ok()) << "more counters than there are";
}

}  // namespace
}  // namespace trunkload
