#include "controller/fleet.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

v1::Hello Named(const std::string& name) {
  v1::Hello hello;
  hello.set_protocol(1);
  hello.set_name(name);
  return hello;
}

TEST(FleetTest, JoinsByAUniqueName) {
  Fleet fleet;
  fleet.Connect(1);
  fleet.Connect(2);
  EXPECT_FALSE(fleet.joined(1));
  EXPECT_TRUE(fleet.Join(1, Named("a.b-c_1")).ok());
  EXPECT_TRUE(fleet.joined(1));
  EXPECT_TRUE(absl::IsAlreadyExists(fleet.Join(2, Named("a.b-c_1"))));
  EXPECT_TRUE(absl::IsFailedPrecondition(fleet.Join(1, Named("other")))) << "a second Hello";
  EXPECT_THAT(fleet.joined_agents(), testing::ElementsAre(1));
  fleet.Leave(1);
  EXPECT_TRUE(fleet.Join(2, Named("a.b-c_1")).ok()) << "the name is free again";
  fleet.Leave(7);
}

TEST(FleetTest, RefusesWhatTheProtocolDoesNotAllow) {
  Fleet fleet;
  fleet.Connect(1);
  v1::Hello other = Named("a");
  other.set_protocol(2);
  EXPECT_TRUE(absl::IsFailedPrecondition(fleet.Join(1, other)));
  for (const std::string& name :
       {std::string(), std::string("with space"), std::string("\x1b[2J"), std::string(129, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(fleet.Join(1, Named(name)))) << name;
  }
  v1::Hello labels = Named("a");
  for (int i = 0; i < 65; ++i) (*labels.mutable_labels())[std::to_string(i)] = "x";
  EXPECT_TRUE(absl::IsInvalidArgument(fleet.Join(1, labels)));
  v1::Hello label = Named("a");
  (*label.mutable_labels())["zone"] = std::string(257, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(fleet.Join(1, label)));
  v1::Hello host = Named("a");
  host.set_host("db\n");
  EXPECT_TRUE(absl::IsInvalidArgument(fleet.Join(1, host)));
  EXPECT_FALSE(fleet.joined(1));
  EXPECT_TRUE(fleet.Join(1, Named(std::string(128, 'a'))).ok()) << "a refused Hello leaves nothing behind";
}

TEST(FleetTest, ProbesEightTimesSomeWhileApart) {
  Fleet fleet;
  fleet.Connect(1);
  ASSERT_TRUE(fleet.Join(1, Named("a")).ok());
  EXPECT_EQ(fleet.NextProbeNanos(), INT64_MAX);
  fleet.ProbeFrom(1, 100);
  EXPECT_EQ(fleet.NextProbeNanos(), 100);
  EXPECT_TRUE(fleet.TakeDueProbes(99).empty());
  int probes = 0;
  while (fleet.NextProbeNanos() != INT64_MAX) {
    const int64_t now = fleet.NextProbeNanos();
    for (AgentId agent : fleet.TakeDueProbes(now)) {
      ++probes;
      v1::ClockReply reply;
      reply.set_number(fleet.clock(agent).Probe(now).number());
      reply.set_received_ns(now);
      reply.set_sent_ns(now);
      EXPECT_FALSE(fleet.Probed(1));
      ASSERT_TRUE(fleet.clock(agent).OnReply(reply, now + 10 * kMillisecond).ok());
    }
    EXPECT_TRUE(fleet.NextProbeNanos() == INT64_MAX || fleet.NextProbeNanos() >= now + 10 * kMillisecond);
  }
  EXPECT_EQ(probes, 8);
  EXPECT_TRUE(fleet.Probed(1));
  EXPECT_GE(fleet.LeadNanos(1), 140 * kMillisecond) << "100 ms and four round trips";
}

TEST(FleetTest, ALeadIsBounded) {
  Fleet fleet;
  fleet.Connect(1);
  v1::ClockReply reply;
  reply.set_number(fleet.clock(1).Probe(0).number());
  ASSERT_TRUE(fleet.clock(1).OnReply(reply, 3'600'000 * kMillisecond).ok());
  EXPECT_LE(fleet.LeadNanos(1), 10'000 * kMillisecond);
}

}  // namespace
}  // namespace trunkload
