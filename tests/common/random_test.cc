#include "common/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace trunkload {
namespace {

TEST(RandomTest, TheSameSeedDrawsTheSameAndAnotherDoesNot) {
  Random a(1), b(1), c(2);
  for (int i = 0; i < 100; ++i) {
    const uint64_t drawn = a.Next();
    EXPECT_EQ(drawn, b.Next());
    EXPECT_NE(drawn, c.Next());
  }
}

TEST(RandomTest, MixedSeedsDiffer) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (uint64_t number = 0; number < 100; ++number) seeds.insert(MixSeed(seed, number));
  }
  EXPECT_EQ(seeds.size(), 10'000u);
}

TEST(RandomTest, BetweenReachesBothEndsEvenly) {
  Random random(5);
  std::vector<int> counts(10);
  for (int i = 0; i < 100'000; ++i) ++counts.at(random.Between(3, 12) - 3);
  for (int count : counts) EXPECT_NEAR(count, 10'000, 500);
  EXPECT_EQ(random.Between(7, 7), 7u);
  random.Between(0, UINT64_MAX);
}

TEST(RandomTest, ZipfianFavoursLowKeysByItsExponent) {
  Random random(11);
  constexpr int kDraws = 400'000;
  std::vector<int> counts(101);
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.Zipfian(100, 1.5));
  double sum = 0;
  for (int k = 1; k <= 100; ++k) sum += std::pow(k, -1.5);
  for (int k : {1, 2, 5, 10}) {
    const double expected = std::pow(k, -1.5) / sum * kDraws;
    EXPECT_NEAR(counts[static_cast<size_t>(k)], expected, 5 * std::sqrt(expected)) << k;
  }
  EXPECT_EQ(counts[0], 0);
}

}  // namespace
}  // namespace trunkload
