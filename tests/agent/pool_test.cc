#include "agent/pool.h"

#include <gtest/gtest.h>

namespace trunkload {
namespace {

TEST(PoolTest, GivesTheWarmestConnectionFirstAndNoneWhenAllAreTaken) {
  Pool pool(2, 4);
  EXPECT_EQ(pool.Take(), std::nullopt);
  pool.Give(0);
  pool.Give(1);
  EXPECT_EQ(pool.Take(), 1u);
  EXPECT_EQ(pool.Take(), 0u);
  EXPECT_EQ(pool.Take(), std::nullopt);
}

TEST(PoolTest, ForgetsAConnectionThatBroke) {
  Pool pool(2, 4);
  pool.Give(0);
  pool.Give(1);
  pool.Forget(1);
  EXPECT_EQ(pool.Take(), 0u);
  EXPECT_EQ(pool.Take(), std::nullopt);
}

TEST(PoolTest, TheLineKeepsItsOrderAroundTheRing) {
  Pool pool(1, 3);
  uint32_t joined = 0, served = 0;
  for (int round = 0; round < 10; ++round) {
    while (!pool.line_full()) pool.Join({.intended_start = joined++});
    EXPECT_EQ(pool.waiting(), 3u);
    EXPECT_EQ(pool.First().intended_start, served);
    EXPECT_EQ(pool.TakeFirst().intended_start, served++);
    EXPECT_EQ(pool.TakeFirst().intended_start, served++);
  }
  EXPECT_EQ(pool.waiting(), 1u);
}

}  // namespace
}  // namespace trunkload
