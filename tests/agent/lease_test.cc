#include "agent/lease.h"

#include "gtest/gtest.h"

namespace trunkload {
namespace {

TEST(LeaseTest, CountsFromWhenTheAnsweredHeartbeatWasSent) {
  Lease lease;
  EXPECT_EQ(lease.confirmed_ns(), INT64_MIN);
  const uint64_t first = lease.OnSent(100);
  const uint64_t second = lease.OnSent(200);
  EXPECT_EQ(lease.unanswered(), 2u);
  lease.OnAnswered(first);
  EXPECT_EQ(lease.confirmed_ns(), 100);
  lease.OnAnswered(second);
  EXPECT_EQ(lease.confirmed_ns(), 200);
  lease.OnAnswered(second);
  lease.OnAnswered(99);
  EXPECT_EQ(lease.confirmed_ns(), 200) << "what was not sent can't be answered";
}

TEST(LeaseTest, AnAnswerCoversThoseBeforeIt) {
  Lease lease;
  lease.OnSent(100);
  lease.OnAnswered(lease.OnSent(200));
  EXPECT_EQ(lease.unanswered(), 0u);
  EXPECT_EQ(lease.confirmed_ns(), 200);
}

TEST(LeaseTest, OutlivesItsStream) {
  Lease lease;
  lease.OnAnswered(lease.OnSent(100));
  lease.OnSent(200);
  lease.OnStreamEnded();
  EXPECT_EQ(lease.unanswered(), 0u);
  EXPECT_EQ(lease.confirmed_ns(), 100);
  EXPECT_EQ(lease.OnSent(300), 1u) << "each stream counts anew";
  lease.OnAnswered(1);
  EXPECT_EQ(lease.confirmed_ns(), 300);
}

}  // namespace
}  // namespace trunkload
