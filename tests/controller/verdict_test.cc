#include "controller/verdict.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Spell Seconds(uint32_t first, uint32_t last, uint32_t seconds) {
  v1::Spell spell;
  spell.set_first_second(first);
  spell.set_last_second(last);
  spell.set_seconds(seconds);
  return spell;
}

// At every threshold, and above none.
RunFacts Good() {
  RunFacts facts;
  facts.phases.push_back(
      {.name = "open", .recorded = true, .open = true, .offered = 100, .transactions = 95});
  for (const char* name : {"a-1", "a-2"}) {
    RunFacts::Agent& agent = facts.phases.back().agents.emplace_back();
    agent.name = name;
    agent.strain.set_noticed(1000);
    agent.strain.set_machine_seconds(10);
  }
  RunFacts::Agent& agent = facts.phases.back().agents.front();
  agent.start_skew_us = 100'000;
  agent.strain.set_noticed_late(10);
  agent.strain.set_busiest_reactor_mean(0.949);
  v1::MachineUse& machine = *agent.strain.mutable_machine();
  machine.set_processors(4);
  machine.set_machine_cpu(1);
  machine.set_process_cpus(1.9);
  machine.set_throttled_ns(100'000'000);
  machine.set_waited(0.1);
  machine.set_stolen_cpu(0.05);
  return facts;
}

TEST(VerdictTest, ValidUpToTheThresholds) {
  EXPECT_TRUE(Judge(Good()).valid());
  EXPECT_THAT(Judge(Good()).reasons(), ElementsAre());
  EXPECT_THAT(Judge(Good()).notes(), ElementsAre());
  EXPECT_TRUE(Judge(RunFacts{}).valid());
}

TEST(VerdictTest, LateArrivals) {
  RunFacts facts = Good();
  facts.phases[0].agents[0].strain.set_noticed_late(11);
  facts.phases[0].agents[1].strain.set_noticed_late(500);
  *facts.phases[0].agents[1].strain.mutable_late() = Seconds(3, 40, 14);
  const v1::Verdict verdict = Judge(facts);
  EXPECT_FALSE(verdict.valid());
  EXPECT_THAT(verdict.reasons(), ElementsAre(testing::AllOf(HasSubstr("phase open: agent a-2 noticed 50.0%"),
                                                            HasSubstr("in 14 seconds between 3 and 40"),
                                                            HasSubstr("(and 1 other agent likewise)"))));
  facts.phases[0].open = false;
  EXPECT_TRUE(Judge(facts).valid()) << "a closed load has no schedule";
  facts.phases[0].open = true;
  facts.phases[0].recorded = false;
  EXPECT_TRUE(Judge(facts).valid()) << "a warm-up is not judged";
}

TEST(VerdictTest, FullReactor) {
  RunFacts facts = Good();
  facts.phases[0].agents[1].strain.set_busiest_reactor_mean(0.95);
  *facts.phases[0].agents[1].strain.mutable_full_reactor() = Seconds(3, 12, 10);
  EXPECT_THAT(Judge(facts).reasons(),
              ElementsAre(HasSubstr(
                  "agent a-2 used 95% of a core on a reactor thread, fully so from second 3 to 12:")));
}

TEST(VerdictTest, QuotaOfTheControlGroup) {
  RunFacts facts = Good();
  v1::AgentStrain& strain = facts.phases[0].agents[0].strain;
  strain.mutable_machine()->set_throttled_ns(101'000'000);
  *strain.mutable_throttled() = Seconds(7, 7, 1);
  EXPECT_THAT(
      Judge(facts).reasons(),
      ElementsAre(HasSubstr("phase open: agent a-1 was kept from running by its control group for 0.1 s, in "
                            "second 7: its CPU quota was used up")));
  facts.phases[0].recorded = false;
  EXPECT_TRUE(Judge(facts).valid());
}

TEST(VerdictTest, AMachineThatIsFullOfItsAgentSpoilsARunAndOneFullOfOthersDoesNot) {
  RunFacts facts = Good();
  v1::AgentStrain& strain = facts.phases[0].agents[0].strain;
  strain.mutable_machine()->set_process_cpus(2);
  *strain.mutable_full_machine() = Seconds(0, 9, 10);
  EXPECT_THAT(
      Judge(facts).reasons(),
      ElementsAre(HasSubstr("agent a-1 had no processor left: its machine was 100% busy, 50% with the agent "
                            "itself, from second 0 to 9")));
  strain.mutable_machine()->set_process_cpus(0.4);
  strain.mutable_machine()->set_waited(0.34);
  *strain.mutable_waited() = Seconds(0, 9, 10);
  EXPECT_TRUE(Judge(facts).valid());
  EXPECT_THAT(
      Judge(facts).notes(),
      ElementsAre(HasSubstr("agent a-1 had a thread that was ready to run and waited for a processor 34% of "
                            "the time, from second 0 to 9 (its machine was 100% busy, 10% with the agent")));
}

TEST(VerdictTest, StolenTimeIsNoted) {
  RunFacts facts = Good();
  facts.phases[0].agents[1].strain.mutable_machine()->set_stolen_cpu(0.2);
  EXPECT_TRUE(Judge(facts).valid());
  EXPECT_THAT(Judge(facts).notes(),
              ElementsAre(HasSubstr("agent a-2 ran on a machine from which its hypervisor kept 20%")));
}

TEST(VerdictTest, NoFilesAndNoPortsLeft) {
  RunFacts facts = Good();
  v1::AgentStrain& strain = facts.phases[0].agents[1].strain;
  strain.set_too_many_files(12);
  *strain.mutable_out_of_files() = Seconds(4, 5, 2);
  strain.set_no_free_port(3);
  *strain.mutable_out_of_ports() = Seconds(8, 8, 1);
  EXPECT_THAT(
      Judge(facts).reasons(),
      ElementsAre(
          HasSubstr("agent a-2 could not open 12 connections, from second 4 to 5, because it had no file "
                    "descriptor left"),
          HasSubstr("agent a-2 could not open 3 connections, in second 8, because its machine had no port "
                    "left")));
}

TEST(VerdictTest, LessDoneThanCameDueIsNotedAndNotTheAgentsFault) {
  RunFacts facts = Good();
  RunFacts::Phase& phase = facts.phases[0];
  phase.offered = 20'000;
  phase.transactions = 12'000;
  phase.dropped = 7'000;
  phase.pool_timeouts = 40;
  const v1::Verdict verdict = Judge(facts);
  EXPECT_TRUE(verdict.valid());
  EXPECT_THAT(
      verdict.notes(),
      ElementsAre(
          "phase open: 12000 of the 20000 transactions that came due were done (60%); 7000 were dropped "
          "because the "
          "line for a connection was full; 40 gave up waiting for a connection: the pools were exhausted"));
  phase.open = false;
  EXPECT_THAT(Judge(facts).notes(), ElementsAre());
}

TEST(VerdictTest, SecondsThatWereToldTogetherAreNoted) {
  RunFacts facts = Good();
  facts.phases[0].recorded = false;
  facts.phases[0].agents[1].coarse_seconds = 14;
  facts.phases[0].agents[1].log_dropped = 5;
  EXPECT_TRUE(Judge(facts).valid());
  EXPECT_THAT(Judge(facts).notes(), ElementsAre(HasSubstr("agent a-2 told 14 seconds in slices of several"),
                                                HasSubstr("agent a-2 left 5 transactions out of the log")));
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
  EXPECT_THAT(Judge(facts).reasons(0),
              testing::EndsWith("25% of the load was missing from second 2 on, and was "
                                "taken over by the others in second 12"));
  facts.losses[0].set_from_s(5);
  facts.losses[0].set_taken_over_s(4.9);
  EXPECT_THAT(Judge(facts).reasons(0),
              testing::EndsWith("; 25% of the load was taken over by the others in second 4"));
}

TEST(VerdictTest, NobodyLoadedUntilTheEndOfAPhase) {
  RunFacts facts = Good();
  facts.agents = 3;
  facts.lost_agents = 2;
  facts.min_agents = 1;
  facts.phases[0].loaded_to_the_end = false;
  const testing::Matcher<std::string> cut_short =
      "phase open: all agents that had begun it were lost or left before it was over: it was cut short";
  EXPECT_THAT(Judge(facts).reasons(), ElementsAre(cut_short)) << "others came, but for the next phase only";
  facts.phases[0].recorded = false;
  EXPECT_THAT(Judge(facts).reasons(), ElementsAre(cut_short)) << "a measurement after it starts cold";
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
