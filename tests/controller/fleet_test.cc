#include "controller/fleet.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

v1::Hello Named(const std::string& name, uint64_t instance = 0) {
  v1::Hello hello;
  hello.set_protocol(2);
  hello.set_name(name);
  hello.set_instance(instance != 0 ? instance : std::hash<std::string>()(name) | 1);
  return hello;
}

TEST(FleetTest, JoinsByAUniqueName) {
  Fleet fleet;
  fleet.Connect(1);
  fleet.Connect(2);
  EXPECT_FALSE(fleet.AgentOf(1));
  const auto first = fleet.Join(1, Named("a.b-c_1", 11), 0);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(fleet.AgentOf(1), first->agent);
  EXPECT_EQ(fleet.StreamOf(first->agent), 1);
  EXPECT_TRUE(absl::IsAlreadyExists(fleet.Join(2, Named("a.b-c_1", 12), 0).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fleet.Join(1, Named("other"), 0).status())) << "a second Hello";
  EXPECT_THAT(fleet.joined_agents(), testing::ElementsAre(first->agent));
  fleet.Remove(first->agent);
  EXPECT_TRUE(fleet.Join(2, Named("a.b-c_1", 12), 0).ok()) << "the name is free again";
  fleet.Remove(7);
}

TEST(FleetTest, RefusesWhatTheProtocolDoesNotAllow) {
  Fleet fleet;
  fleet.Connect(1);
  const auto refusal = [&fleet](const v1::Hello& hello) { return fleet.Join(1, hello, 0).status(); };
  v1::Hello other = Named("a");
  other.set_protocol(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(refusal(other)));
  for (const std::string& name :
       {std::string(), std::string("with space"), std::string("\x1b[2J"), std::string(129, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(refusal(Named(name)))) << name;
  }
  v1::Hello nobody = Named("a");
  nobody.clear_instance();
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(nobody)));
  v1::Hello labels = Named("a");
  for (int i = 0; i < 65; ++i) (*labels.mutable_labels())[std::to_string(i)] = "x";
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(labels)));
  v1::Hello label = Named("a");
  (*label.mutable_labels())["zone"] = std::string(257, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(label)));
  v1::Hello host = Named("a");
  host.set_host("db\n");
  EXPECT_TRUE(absl::IsInvalidArgument(refusal(host)));
  EXPECT_FALSE(fleet.AgentOf(1));
  EXPECT_TRUE(refusal(Named(std::string(128, 'a'))).ok()) << "a refused Hello leaves nothing behind";
}

TEST(FleetTest, TheSameProcessComesBackOverAnotherStream) {
  Fleet fleet;
  fleet.Connect(1);
  fleet.Connect(2);
  fleet.Connect(3);
  const AgentId agent = fleet.Join(1, Named("a", 11), 0)->agent;
  EXPECT_TRUE(fleet.TakeSequence(agent, 5));
  EXPECT_FALSE(fleet.TakeSequence(agent, 5));
  // Its old stream has not been missed yet.
  const auto again = fleet.Join(2, Named("a", 11), 0);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->returned);
  EXPECT_EQ(again->agent, agent);
  EXPECT_EQ(again->stream_before, 1);
  EXPECT_FALSE(fleet.AgentOf(1));
  EXPECT_EQ(fleet.StreamOf(agent), 2);
  EXPECT_EQ(fleet.sequence(agent), 5);
  EXPECT_FALSE(fleet.Disconnect(1));
  EXPECT_EQ(fleet.Disconnect(2), agent);
  EXPECT_FALSE(fleet.StreamOf(agent));
  EXPECT_THAT(fleet.joined_agents(), testing::IsEmpty());
  // Another process of that name: the first one has ended.
  const auto other = fleet.Join(3, Named("a", 12), 0);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->replaced, agent);
  EXPECT_NE(other->agent, agent);
  EXPECT_FALSE(fleet.contains(agent));
}

TEST(FleetTest, TellsOnceWhoWasNotHeard) {
  constexpr int64_t kSecond = 1'000 * kMillisecond;
  Fleet fleet;
  fleet.Connect(1);
  fleet.Connect(2);
  const AgentId a = fleet.Join(1, Named("a", 11), 0)->agent;
  const AgentId b = fleet.Join(2, Named("b", 12), 0)->agent;
  EXPECT_TRUE(fleet.TakeSilent(2 * kSecond).empty());
  EXPECT_TRUE(fleet.heartbeats().OnHeartbeat(12, 2 * kSecond));
  EXPECT_EQ(fleet.NextSilenceNanos(), Fleet::kSilenceNanos);
  EXPECT_LE(Fleet::kSilenceNanos, 3 * kSecond);
  EXPECT_THAT(fleet.TakeSilent(Fleet::kSilenceNanos), testing::ElementsAre(a));
  EXPECT_TRUE(fleet.TakeSilent(Fleet::kSilenceNanos).empty());
  EXPECT_FALSE(fleet.heartbeats().OnHeartbeat(11, 3 * kSecond)) << "it ought to join anew";
  EXPECT_EQ(fleet.NextSilenceNanos(), 2 * kSecond + Fleet::kSilenceNanos);
  EXPECT_EQ(fleet.LastHeardNanos(b), 2 * kSecond);
  fleet.Disconnect(1);
  fleet.Connect(3);
  ASSERT_TRUE(fleet.Join(3, Named("a", 11), 4 * kSecond)->returned);
  EXPECT_TRUE(fleet.heartbeats().OnHeartbeat(11, 4 * kSecond));
  EXPECT_THAT(fleet.TakeSilent(100 * kSecond), testing::UnorderedElementsAre(a, b));
}

TEST(FleetTest, ProbesEightTimesSomeWhileApart) {
  Fleet fleet;
  fleet.Connect(1);
  const AgentId one = fleet.Join(1, Named("a"), 0)->agent;
  EXPECT_EQ(fleet.NextProbeNanos(), INT64_MAX);
  fleet.ProbeFrom(one, 100);
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
      EXPECT_FALSE(fleet.Probed(one));
      ASSERT_TRUE(fleet.clock(agent).OnReply(reply, now + 10 * kMillisecond).ok());
    }
    EXPECT_TRUE(fleet.NextProbeNanos() == INT64_MAX || fleet.NextProbeNanos() >= now + 10 * kMillisecond);
  }
  EXPECT_EQ(probes, 8);
  EXPECT_TRUE(fleet.Probed(one));
  EXPECT_GE(fleet.LeadNanos(one), 140 * kMillisecond) << "100 ms and four round trips";
  fleet.Disconnect(1);
  fleet.ProbeFrom(one, 100);
  EXPECT_EQ(fleet.NextProbeNanos(), INT64_MAX) << "it is away";
}

TEST(FleetTest, ALeadIsBounded) {
  Fleet fleet;
  fleet.Connect(1);
  const AgentId agent = fleet.Join(1, Named("a"), 0)->agent;
  v1::ClockReply reply;
  reply.set_number(fleet.clock(agent).Probe(0).number());
  ASSERT_TRUE(fleet.clock(agent).OnReply(reply, 3'600'000 * kMillisecond).ok());
  EXPECT_LE(fleet.LeadNanos(agent), 10'000 * kMillisecond);
}

}  // namespace
}  // namespace trunkload
