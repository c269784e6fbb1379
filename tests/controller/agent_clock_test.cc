#include "controller/agent_clock.h"

#include "gtest/gtest.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMillisecond;

// The agent's clock is ahead by `offset`; a probe sent at `sent` takes `there` and its reply `back`.
absl::Status Exchange(AgentClock& clock, int64_t sent, int64_t offset, int64_t there, int64_t back) {
  const int64_t held = kMillisecond;
  v1::ClockReply reply;
  reply.set_number(clock.Probe(sent).number());
  reply.set_received_ns(sent + there + offset);
  reply.set_sent_ns(sent + there + held + offset);
  return clock.OnReply(reply, sent + there + held + back);
}

TEST(AgentClockTest, ExactWhereBothWaysTakeEquallyLong) {
  for (int64_t offset : {-5 * kSecond, int64_t{0}, 5 * kSecond}) {
    AgentClock clock;
    EXPECT_FALSE(clock.known());
    ASSERT_TRUE(Exchange(clock, 100 * kSecond, offset, 3 * kMillisecond, 3 * kMillisecond).ok());
    ASSERT_TRUE(clock.known());
    EXPECT_EQ(clock.ToAgent(101 * kSecond), 101 * kSecond + offset);
    EXPECT_EQ(clock.ToController(101 * kSecond + offset, 101 * kSecond), 101 * kSecond);
    EXPECT_EQ(clock.UncertaintyNanos(101 * kSecond), 3 * kMillisecond);
    EXPECT_EQ(clock.SlowestRoundTripNanos(), 6 * kMillisecond);
  }
}

TEST(AgentClockTest, NeverFurtherOffThanItsUncertainty) {
  AgentClock clock;
  ASSERT_TRUE(Exchange(clock, 100 * kSecond, kSecond, 10 * kMillisecond, 0).ok());
  const int64_t error = clock.ToAgent(100 * kSecond) - 101 * kSecond;
  EXPECT_EQ(error, 5 * kMillisecond);
  EXPECT_EQ(clock.UncertaintyNanos(100 * kSecond), 5 * kMillisecond);
}

TEST(AgentClockTest, TheFastestOfTheRecentOnesCounts) {
  AgentClock clock;
  ASSERT_TRUE(Exchange(clock, 100 * kSecond, kSecond, 250 * kMillisecond, kMillisecond).ok());
  ASSERT_TRUE(Exchange(clock, 101 * kSecond, kSecond, kMillisecond, kMillisecond).ok());
  ASSERT_TRUE(Exchange(clock, 102 * kSecond, kSecond, kMillisecond, 90 * kMillisecond).ok());
  EXPECT_EQ(clock.ToAgent(102 * kSecond), 103 * kSecond);
  EXPECT_EQ(clock.SlowestRoundTripNanos(), 251 * kMillisecond);
}

TEST(AgentClockTest, AnOldFastOneGivesWayToANewSlowerOne) {
  AgentClock clock;
  ASSERT_TRUE(Exchange(clock, 100 * kSecond, kSecond, kMillisecond / 10, kMillisecond / 10).ok());
  // 100 s later the clocks have drifted apart by 10 ms.
  ASSERT_TRUE(Exchange(clock, 200 * kSecond, kSecond + 10 * kMillisecond, kMillisecond, kMillisecond).ok());
  EXPECT_EQ(clock.ToAgent(200 * kSecond), 201 * kSecond + 10 * kMillisecond);
  EXPECT_EQ(clock.ToAgent(100 * kSecond), 101 * kSecond) << "what happened then is still told by the old one";
}

TEST(AgentClockTest, RefusesRepliesThatAnswerNothing) {
  AgentClock clock;
  v1::ClockReply reply;
  reply.set_number(1);
  EXPECT_TRUE(absl::IsInvalidArgument(clock.OnReply(reply, 0))) << "never asked";
  clock.Probe(0);
  clock.Probe(0);
  reply.set_number(2);
  EXPECT_FALSE(clock.OnReply(reply, 5).ok()) << "out of order";
  reply.set_number(1);
  EXPECT_TRUE(clock.OnReply(reply, 5).ok());
  EXPECT_FALSE(clock.OnReply(reply, 5).ok()) << "twice";
}

TEST(AgentClockTest, RefusesStampsThatNoClockGives) {
  for (const auto& [received, sent] :
       {std::pair<int64_t, int64_t>{-1, 5}, {6, 5}, {5, INT64_MAX}, {INT64_MIN, 0}}) {
    AgentClock clock;
    v1::ClockReply reply;
    reply.set_number(clock.Probe(0).number());
    reply.set_received_ns(received);
    reply.set_sent_ns(sent);
    EXPECT_TRUE(absl::IsInvalidArgument(clock.OnReply(reply, 10)));
    EXPECT_FALSE(clock.known());
  }
}

TEST(AgentClockTest, AnAgentThatHangsForLongStaysWithinBounds) {
  AgentClock clock;
  for (int i = 0; i < 1000; ++i) clock.Probe(i);
  v1::ClockReply reply;
  reply.set_number(1);
  EXPECT_TRUE(clock.OnReply(reply, 2000).ok()) << "given up, but no fault of the agent";
  EXPECT_FALSE(clock.known());
  reply.set_number(937);
  EXPECT_TRUE(clock.OnReply(reply, 2000).ok());
  EXPECT_TRUE(clock.known());
}

}  // namespace
}  // namespace trunkload
