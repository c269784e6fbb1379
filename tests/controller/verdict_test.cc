#include "controller/verdict.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RunFacts Good() {
  RunFacts facts;
  facts.phases.push_back({.name = "open", .recorded = true, .open = true, .transactions = 100});
  facts.phases.back().agents.push_back({.name = "a-1",
                                        .noticed = 1000,
                                        .noticed_late = 10,
                                        .busiest_reactor = 0.949,
                                        .start_skew_us = 100'000});
  facts.phases.back().agents.push_back({.name = "a-2", .noticed = 1000});
  return facts;
}

TEST(VerdictTest, ValidUpToTheThresholds) {
  EXPECT_TRUE(Judge(Good()).valid());
  EXPECT_THAT(Judge(Good()).reasons(), ElementsAre());
  EXPECT_TRUE(Judge(RunFacts{}).valid());
}

TEST(VerdictTest, LateArrivals) {
  RunFacts facts = Good();
  facts.phases[0].agents[0].noticed_late = 11;
  facts.phases[0].agents[1].noticed_late = 500;
  const v1::Verdict verdict = Judge(facts);
  EXPECT_FALSE(verdict.valid());
  EXPECT_THAT(verdict.reasons(), ElementsAre(testing::AllOf(HasSubstr("phase open: agent a-2 noticed 50.0%"),
                                                            HasSubstr("(and 1 other agent likewise)"))));
  facts.phases[0].open = false;
  EXPECT_TRUE(Judge(facts).valid()) << "a closed load has no schedule";
  facts.phases[0].open = true;
  facts.phases[0].recorded = false;
  EXPECT_TRUE(Judge(facts).valid()) << "a warm-up is not judged";
}

TEST(VerdictTest, FullReactor) {
  RunFacts facts = Good();
  facts.phases[0].agents[1].busiest_reactor = 0.95;
  EXPECT_THAT(Judge(facts).reasons(), ElementsAre(HasSubstr("agent a-2 used 95% of a core")));
}

TEST(VerdictTest, StartSkew) {
  RunFacts facts = Good();
  facts.phases[0].agents[0].start_skew_us = 150'000;
  EXPECT_THAT(Judge(facts).reasons(),
              ElementsAre(HasSubstr("agent a-1 began 150 ms after the agreed instant")));
  facts.phases[0].agents[0].start_skew_us = -150'000;
  EXPECT_THAT(Judge(facts).reasons(), ElementsAre(HasSubstr("150 ms before")));
}

TEST(VerdictTest, MissingIntervalsNoTransactionsCancelled) {
  RunFacts facts = Good();
  facts.cancelled = true;
  facts.phases[0].transactions = 0;
  facts.phases[0].agents[1].missing_intervals = 3;
  EXPECT_THAT(Judge(facts).reasons(),
              ElementsAre(HasSubstr("cancelled"), HasSubstr("agent a-2 sent 3 intervals that never came in"),
                          HasSubstr("no transaction succeeded")));
}

TEST(VerdictTest, ClientsThatEnded) {
  RunFacts facts = Good();
  facts.phases[0].aborted_clients = 3;
  facts.phases[0].abort_reason = "division by zero";
  EXPECT_THAT(Judge(facts).reasons(),
              ElementsAre("phase open: 3 clients ended before the phase did, because a "
                          "transaction failed: division by zero"));
  facts.phases[0].aborted_clients = 1;
  facts.phases[0].abort_reason = "";
  EXPECT_THAT(Judge(facts).reasons(),
              ElementsAre("phase open: 1 client ended before the phase did, because a transaction failed"));
  facts.phases[0].recorded = false;
  EXPECT_TRUE(Judge(facts).valid()) << "a warm-up is not judged";
}

v1::Loss LossOf(const std::string& agent, const std::string& reason, double noticed_s) {
  v1::Loss loss;
  loss.set_agent(agent);
  loss.set_reason(reason);
  loss.set_phase("open");
  loss.set_noticed_s(noticed_s);
  return loss;
}

TEST(VerdictTest, LostAgents) {
  RunFacts facts = Good();
  facts.agents = 4;
  facts.lost_agents = 2;
  facts.losses = {LossOf("a-3", "it was not heard any more", 4.9), LossOf("a-4", "out of memory", -1)};
  facts.losses[0].set_share(0.25);
  facts.losses[0].set_from_s(2);
  EXPECT_THAT(
      Judge(facts).reasons(),
      ElementsAre(
          "agent a-3 was lost in second 4 of phase open: it was not heard any more; 25% of the load was "
          "missing from second 2 on",
          "agent a-4 was lost before phase open: out of memory"));
  facts.losses[0].set_taken_over_s(12.5);
  EXPECT_THAT(Judge(facts).reasons(0), testing::EndsWith("and was taken over by the others in second 12"));
}

TEST(VerdictTest, ALossMayBeTolerated) {
  RunFacts facts = Good();
  facts.agents = 3;
  facts.lost_agents = 1;
  facts.min_agents = 2;
  facts.losses = {LossOf("a-3", "it was told to stop", 4.9)};
  facts.losses[0].set_announced(true);
  EXPECT_TRUE(Judge(facts).valid());
  EXPECT_THAT(Judge(facts).notes(),
              ElementsAre("agent a-3 left in second 4 of phase open: it was told to stop"));
  facts.lost_agents = 2;
  EXPECT_THAT(Judge(facts).reasons(),
              testing::Contains("1 of 3 agents were left, fewer than fleet.min_agents, which is 2"));
}

TEST(VerdictTest, EndedEarly) {
  RunFacts facts = Good();
  facts.stopped = "the disk is full";
  EXPECT_THAT(Judge(facts).reasons(), ElementsAre("the run ended before its time: the disk is full"));
}

}  // namespace
}  // namespace trunkload
