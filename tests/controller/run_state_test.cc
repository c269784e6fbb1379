#include "controller/run_state.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using Stage = RunState::Stage;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

v1::Plan TwoPhases() {
  v1::Plan plan;
  plan.mutable_fleet()->mutable_pool()->mutable_connect_timeout()->set_seconds(10);
  plan.mutable_fleet()->mutable_lease()->set_seconds(10);
  plan.mutable_fleet()->set_on_agent_lost(v1::ON_AGENT_LOST_CONTINUE);
  for (const char* name : {"warm-up", "open"}) {
    v1::Phase& phase = *plan.add_phases();
    phase.set_name(name);
    phase.mutable_duration()->set_seconds(8);
    phase.mutable_drain_timeout()->set_seconds(3);
    phase.mutable_load()->mutable_open()->set_rate(100);
  }
  return plan;
}

std::string Text(const RunState::Command& command) {
  static const char* const kNames[] = {"PrepareTarget", "CancelPrepareTarget",
                                       "AssignLoad",    "StartLoad",
                                       "FinishTarget",  "AssignAll",
                                       "Reassign",      "TakeOver",
                                       "ReadDatabase",  "ReadClocks",
                                       "StartPlanned",  "StartPhase",
                                       "StopPhase",     "ClosePhase",
                                       "SettleChecks",  "LoseAgent",
                                       "EndRun",        "Finish"};
  return kNames[command.index()];
}

// Drives a run of agents 1 and 2.
class Course {
 public:
  explicit Course(v1::Plan plan = TwoPhases(), absl::Duration wait = absl::Seconds(60))
      : state(plan, 2, wait, now) {}

  // The commands by name; "error" where the event is illegal.
  std::string operator()(const RunState::Event& event) {
    absl::StatusOr<std::vector<RunState::Command>> result = state.Handle(event, now);
    if (!result.ok()) return "error";
    commands = *result;
    return absl::StrJoin(commands, " ", [](std::string* out, const RunState::Command& command) {
      out->append(Text(command));
    });
  }
  // To the first moment of a stage, in phase 0 or 1.
  void To(Stage stage, uint32_t phase = 0) {
    if (stage == Stage::kWaitingForAgents) return;
    (*this)(RunState::AgentsJoined{{{1, "a-1"}}});
    (*this)(RunState::AgentsJoined{{{2, "a-2"}}});
    if (stage == Stage::kSettingUp) return;
    (*this)(RunState::TargetPrepared{absl::OkStatus()});
    if (stage == Stage::kConnecting) return;
    (*this)(RunState::AgentReady{1});
    (*this)(RunState::AgentReady{2});
    for (uint32_t i = 0;; ++i) {
      if (stage == Stage::kReadingClocks && i == phase) return;
      (*this)(RunState::ClockRead{1, kSecond / 10});
      (*this)(RunState::ClockRead{2, kSecond});
      if (stage == Stage::kStarting && i == phase) return;
      (*this)(RunState::Saved{});
      if (stage == Stage::kRunning && i == phase) return;
      now = state.DeadlineNanos();
      (*this)(RunState::TimePassed{});
      if (stage == Stage::kDraining && i == phase) return;
      (*this)(RunState::AgentEndedPhase{1});
      (*this)(RunState::AgentEndedPhase{2});
      if (state.stage() == Stage::kEnded) return;
    }
  }
  std::string Expire() {
    now = state.DeadlineNanos();
    return (*this)(RunState::TimePassed{});
  }
  const RunState::Finish& finish() const { return std::get<RunState::Finish>(commands.back()); }

  int64_t now = 100 * kSecond;
  RunState state;
  std::vector<RunState::Command> commands;
};

TEST(RunStateTest, AWholeRun) {
  Course run;
  EXPECT_EQ(run(RunState::AgentsJoined{{{1, "a-1"}}}), "");
  EXPECT_EQ(run(RunState::AgentsJoined{{{2, "a-2"}}}), "PrepareTarget");
  EXPECT_EQ(run(RunState::AgentsJoined{{{3, "a-3"}}}), "") << "stays for the next run";
  EXPECT_EQ(run(RunState::TargetPrepared{absl::OkStatus()}), "AssignAll");
  EXPECT_THAT(run.state.agents(), ElementsAre(1, 2));
  EXPECT_EQ(run(RunState::AgentReady{2}), "");
  EXPECT_EQ(run(RunState::AgentReady{1}), "ReadClocks");
  EXPECT_EQ(run(RunState::ClockRead{1, kSecond}), "");
  EXPECT_EQ(run(RunState::ClockRead{2, kSecond / 10}), "StartPlanned");
  EXPECT_EQ(run.state.stage(), Stage::kStarting);
  EXPECT_GE(run.state.start_ns(), run.now + kSecond) << "far enough ahead for the slowest";
  EXPECT_EQ(run(RunState::Saved{}), "StartPhase");
  EXPECT_EQ(run.state.stage(), Stage::kRunning);
  EXPECT_EQ(run(RunState::AgentReported{1}), "");
  EXPECT_EQ(run.state.DeadlineNanos(), run.state.start_ns() + 8 * kSecond);
  EXPECT_EQ(run.Expire(), "");
  EXPECT_EQ(run.state.stage(), Stage::kDraining);
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "");
  EXPECT_EQ(run(RunState::AgentReported{2}), "error");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "error");
  EXPECT_EQ(run(RunState::AgentEndedPhase{1}), "ClosePhase ReadClocks");
  EXPECT_EQ(run.state.phase(), 1);
  EXPECT_EQ(run(RunState::ClockRead{1, kSecond}), "");
  EXPECT_EQ(run(RunState::ClockRead{2, kSecond}), "StartPlanned");
  EXPECT_EQ(run(RunState::Saved{}), "StartPhase");
  EXPECT_EQ(run(RunState::AgentEndedPhase{1}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun Finish");
  EXPECT_TRUE(run.finish().status.ok());
  EXPECT_FALSE(run.finish().cancelled);
  EXPECT_EQ(run.state.DeadlineNanos(), INT64_MAX);
}

TEST(RunStateTest, TheDatabaseIsReadBeforeEachPhaseAndAfterTheLast) {
  v1::Plan plan = TwoPhases();
  plan.mutable_observer()->set_enabled(true);
  plan.mutable_observer()->mutable_count_limit()->set_seconds(7);
  Course run(plan);
  run.To(Stage::kConnecting);
  run(RunState::AgentReady{1});
  EXPECT_EQ(run(RunState::AgentReady{2}), "ReadDatabase");
  EXPECT_EQ(run.state.stage(), Stage::kObserving);
  EXPECT_EQ(run(RunState::ClockRead{1, kSecond}), "error");
  EXPECT_EQ(run(RunState::DatabaseRead{}), "ReadClocks");
  EXPECT_EQ(run(RunState::DatabaseRead{}), "") << "late, and once more";
  run(RunState::ClockRead{1, kSecond});
  run(RunState::ClockRead{2, kSecond});
  run(RunState::Saved{});
  run.Expire();
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase ReadDatabase");
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + 5 * kSecond);
  EXPECT_EQ(run.Expire(), "ReadClocks") << "a database that does not answer is loaded all the same";
  run(RunState::ClockRead{1, kSecond});
  run(RunState::ClockRead{2, kSecond});
  run(RunState::Saved{});
  run.Expire();
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun ReadDatabase");
  EXPECT_TRUE(std::get<RunState::ReadDatabase>(run.commands.back()).last);
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + 23 * kSecond)
      << "counting, and 16 s for servers to know what was done";
  EXPECT_EQ(run(RunState::AgentGone{1, "left"}), "") << "it is free, and no loss";
  EXPECT_EQ(run(RunState::DatabaseRead{}), "Finish");
  EXPECT_TRUE(run.finish().status.ok());
}

v1::Plan TwoPhasesAndACheck() {
  v1::Plan plan = TwoPhases();
  plan.add_checks(v1::CHECK_LEDGER);
  plan.mutable_check_options()->mutable_settle_timeout()->set_seconds(120);
  return plan;
}

TEST(RunStateTest, ChecksAreSettledWhenAllLoadIsOver) {
  Course run(TwoPhasesAndACheck());
  run.To(Stage::kDraining, 1);
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun SettleChecks") << "agents are free";
  EXPECT_EQ(run.state.stage(), Stage::kChecking);
  EXPECT_EQ(run(RunState::AgentGone{1, "left"}), "");
  EXPECT_EQ(run(RunState::ChecksSettled{}), "Finish");
  EXPECT_TRUE(run.finish().status.ok());
  EXPECT_EQ(run(RunState::ChecksSettled{}), "error") << "the run has ended";
}

TEST(RunStateTest, ChecksAreSettledAfterTheLastReading) {
  v1::Plan plan = TwoPhasesAndACheck();
  plan.mutable_observer()->set_enabled(true);
  Course run(plan);
  run.To(Stage::kConnecting);
  run(RunState::AgentReady{1});
  run(RunState::AgentReady{2});
  for (int phase = 0; phase < 2; ++phase) {
    EXPECT_EQ(run(RunState::ChecksSettled{}), "") << "nobody asked for that yet";
    run(RunState::DatabaseRead{});
    run(RunState::ClockRead{1, kSecond});
    run(RunState::ClockRead{2, kSecond});
    run(RunState::Saved{});
    run.Expire();
    run(RunState::AgentEndedPhase{1});
    run(RunState::AgentEndedPhase{2});
  }
  EXPECT_EQ(run(RunState::DatabaseRead{}), "SettleChecks");
}

TEST(RunStateTest, ADatabaseThatDoesNotComeToRestIsNotWaitedForForEver) {
  Course run(TwoPhasesAndACheck());
  run.To(Stage::kDraining, 1);
  run(RunState::AgentEndedPhase{1});
  run(RunState::AgentEndedPhase{2});
  EXPECT_GT(run.state.DeadlineNanos(), run.now + 120 * kSecond);
  EXPECT_EQ(run.Expire(), "Finish");
}

TEST(RunStateTest, OneWhoCancelsDoesNotWaitForChecks) {
  Course while_settling(TwoPhasesAndACheck());
  while_settling.To(Stage::kDraining, 1);
  while_settling(RunState::AgentEndedPhase{1});
  while_settling(RunState::AgentEndedPhase{2});
  EXPECT_EQ(while_settling(RunState::Cancelled{}), "Finish");
  EXPECT_TRUE(while_settling.finish().cancelled);

  Course before(TwoPhasesAndACheck());
  before.To(Stage::kRunning, 1);
  before(RunState::Cancelled{});
  before(RunState::AgentEndedPhase{1});
  EXPECT_EQ(before(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun Finish");
}

TEST(RunStateTest, ACancelledRunHardlyWaitsForTheDatabase) {
  v1::Plan plan = TwoPhases();
  plan.mutable_observer()->set_enabled(true);
  Course run(plan);
  run.To(Stage::kConnecting);
  run(RunState::AgentReady{1});
  run(RunState::AgentReady{2});
  run(RunState::DatabaseRead{});
  run(RunState::ClockRead{1, kSecond});
  run(RunState::ClockRead{2, kSecond});
  run(RunState::Saved{});
  run(RunState::Cancelled{});
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun ReadDatabase");
  EXPECT_FALSE(std::get<RunState::ReadDatabase>(run.commands.back()).last) << "rows are not counted";
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + kSecond / 4);
  EXPECT_EQ(run.Expire(), "Finish");
}

TEST(RunStateTest, AChosenPhaseComesNext) {
  v1::Plan plan = TwoPhases();
  for (const char* name : {"third", "fourth"}) {
    *plan.add_phases() = plan.phases(1);
    plan.mutable_phases(plan.phases_size() - 1)->set_name(name);
  }
  Course run(plan);
  run.To(Stage::kRunning);
  EXPECT_EQ(run(RunState::PhaseChosen{2}), "error") << "one is under way";
  run.Expire();
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase ReadClocks");
  EXPECT_EQ(run(RunState::PhaseChosen{0}), "error") << "it is over";
  EXPECT_EQ(run(RunState::PhaseChosen{5}), "error");
  EXPECT_EQ(run(RunState::PhaseChosen{2, absl::Seconds(30)}), "");
  run(RunState::ClockRead{1, kSecond});
  run(RunState::ClockRead{2, kSecond});
  EXPECT_EQ(run(RunState::Saved{}), "StartPhase");
  EXPECT_EQ(std::get<RunState::StartPhase>(run.commands.back()).phase, 2);
  EXPECT_EQ(run.state.DeadlineNanos(), run.state.start_ns() + 30 * kSecond);
  run.Expire();
  run(RunState::AgentEndedPhase{1});
  run(RunState::AgentEndedPhase{2});
  EXPECT_EQ(run(RunState::PhaseChosen{4}), "EndRun EndRun Finish") << "nothing is left";
}

// Killed while it waited for the last reading.
TEST(RunStateTest, GoesOnAfterTheLastPhase) {
  v1::Plan plan = TwoPhases();
  plan.mutable_observer()->set_enabled(true);
  RunState state(plan, 2, absl::Seconds(60), kSecond, {.target_prepared = true, .phase = 2});
  const auto commands = state.Handle(RunState::TimePassed{}, kSecond);
  ASSERT_TRUE(commands.ok());
  ASSERT_EQ(commands->size(), 1);
  EXPECT_TRUE(std::get<RunState::Finish>(commands->front()).status.ok());
}

// Every event in the first moment of every stage: what is commanded, and the stage after it.
TEST(RunStateTest, EveryStageAndEvent) {
  struct Expected {
    std::string commands;
    Stage stage;
  };
  constexpr Stage kWaiting = Stage::kWaitingForAgents, kSetUp = Stage::kSettingUp,
                  kConnect = Stage::kConnecting, kClocks = Stage::kReadingClocks, kRun = Stage::kRunning,
                  kDrain = Stage::kDraining, kEnd = Stage::kEnded;
  const std::vector<std::pair<std::string, RunState::Event>> events = {
      {"joined", RunState::AgentsJoined{{{9, "a-9"}}}},
      {"left", RunState::AgentGone{1, "gone"}},
      {"stranger left", RunState::AgentGone{9, "gone"}},
      {"failed", RunState::AgentFailed{1, "no"}},
      {"stranger failed", RunState::AgentFailed{9, "no"}},
      {"ready", RunState::AgentReady{1}},
      {"reported", RunState::AgentReported{1}},
      {"ended phase", RunState::AgentEndedPhase{1}},
      {"prepared", RunState::TargetPrepared{absl::OkStatus()}},
      {"not prepared", RunState::TargetPrepared{absl::NotFoundError("no table")}},
      {"clock read", RunState::ClockRead{1, 5}},
      {"cancelled", RunState::Cancelled{}},
      {"time passed", RunState::TimePassed{}}};
  const std::map<Stage, std::vector<Expected>> table = {
      {kWaiting,
       {{"", kWaiting},
        {"", kWaiting},
        {"", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"error", kWaiting},
        {"Finish", kEnd},
        {"", kWaiting}}},
      {kSetUp,
       {{"", kSetUp},
        {"CancelPrepareTarget Finish", kEnd},
        {"", kSetUp},
        {"error", kSetUp},
        {"error", kSetUp},
        {"error", kSetUp},
        {"error", kSetUp},
        {"error", kSetUp},
        {"AssignAll", kConnect},
        {"Finish", kEnd},
        {"error", kSetUp},
        {"CancelPrepareTarget Finish", kEnd},
        {"", kSetUp}}},
      {kConnect,
       {{"", kConnect},
        {"EndRun Finish", kEnd},
        {"", kConnect},
        {"EndRun EndRun Finish", kEnd},
        {"error", kConnect},
        {"", kConnect},
        {"error", kConnect},
        {"error", kConnect},
        {"error", kConnect},
        {"error", kConnect},
        {"error", kConnect},
        {"EndRun EndRun Finish", kEnd},
        {"", kConnect}}},
      {kClocks,
       {{"", kClocks},
        {"LoseAgent", kClocks},
        {"", kClocks},
        {"EndRun LoseAgent", kClocks},
        {"error", kClocks},
        {"error", kClocks},
        {"error", kClocks},
        {"error", kClocks},
        {"error", kClocks},
        {"error", kClocks},
        {"", kClocks},
        {"EndRun EndRun Finish", kEnd},
        {"", kClocks}}},
      {kRun,
       {{"", kRun},
        {"LoseAgent", kRun},
        {"", kRun},
        {"EndRun LoseAgent", kRun},
        {"error", kRun},
        {"error", kRun},
        {"", kRun},
        {"", kRun},
        {"error", kRun},
        {"error", kRun},
        {"error", kRun},
        {"StopPhase", kDrain},
        {"", kRun}}},
      {kDrain,
       {{"", kDrain},
        {"LoseAgent", kDrain},
        {"", kDrain},
        {"EndRun LoseAgent", kDrain},
        {"error", kDrain},
        {"error", kDrain},
        {"", kDrain},
        {"", kDrain},
        {"error", kDrain},
        {"error", kDrain},
        {"error", kDrain},
        {"StopPhase", kDrain},
        {"", kDrain}}},
      {kEnd, std::vector<Expected>(events.size(), {"error", kEnd})}};
  for (const auto& [stage, row] : table) {
    ASSERT_EQ(row.size(), events.size());
    for (size_t i = 0; i < events.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "stage " << static_cast<int>(stage) << ", " << events[i].first);
      Course run;
      if (stage == kWaiting) run(RunState::AgentsJoined{{{1, "a-1"}}});
      run.To(stage, 1);
      if (stage == kWaiting && events[i].first == "joined") {
        EXPECT_EQ(run(events[i].second), "PrepareTarget") << "the second of two";
        continue;
      }
      EXPECT_EQ(run.state.stage(), stage);
      EXPECT_EQ(run(events[i].second), row[i].commands);
      EXPECT_EQ(run.state.stage(), row[i].stage);
    }
  }
}

TEST(RunStateTest, AllThatAreThereTakePart) {
  Course run;
  EXPECT_EQ(run(RunState::AgentsJoined{{{1, "a-1"}, {2, "a-2"}, {3, "a-3"}}}), "PrepareTarget");
  EXPECT_THAT(run.state.agents(), ElementsAre(1, 2, 3));
}

TEST(RunStateTest, TooFewAgentsInTime) {
  Course run(TwoPhases(), absl::Seconds(30));
  run(RunState::AgentsJoined{{{1, "a-1"}}});
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + 30 * kSecond);
  EXPECT_EQ(run.Expire(), "Finish");
  EXPECT_TRUE(absl::IsDeadlineExceeded(run.finish().status));
  EXPECT_THAT(run.finish().status.message(), HasSubstr("only 1 of 2 agents came within 30s"));
}

TEST(RunStateTest, AQuorumMayBegin) {
  v1::Plan plan = TwoPhases();
  plan.mutable_fleet()->set_min_agents(1);
  Course run(plan, absl::Seconds(30));
  run(RunState::AgentsJoined{{{1, "a-1"}}});
  EXPECT_EQ(run.Expire(), "PrepareTarget");
  EXPECT_EQ(run.state.agents_missed(), 1);
  Course nobody(plan, absl::Seconds(30));
  EXPECT_EQ(nobody.Expire(), "Finish");
}

TEST(RunStateTest, SetUpFailsWithItsOwnSentence) {
  Course run;
  run.To(Stage::kSettingUp);
  EXPECT_EQ(run(RunState::TargetPrepared{absl::NotFoundError("no database bench")}), "Finish");
  EXPECT_EQ(run.finish().status, absl::NotFoundError("no database bench"));
}

TEST(RunStateTest, SetUpMayTakeLongerWithMoreRows) {
  v1::Plan plan = TwoPhases();
  Course few(plan);
  plan.mutable_setup()->set_rows(10'000'000);
  Course many(plan);
  few.To(Stage::kSettingUp);
  many.To(Stage::kSettingUp);
  EXPECT_GT(many.state.DeadlineNanos(), few.state.DeadlineNanos());
  EXPECT_EQ(few.Expire(), "CancelPrepareTarget Finish");
  EXPECT_THAT(few.finish().status.message(), HasSubstr("setting up the target took longer"));
}

v1::Plan WithRows(v1::Plan plan = TwoPhases()) {
  plan.mutable_setup()->set_workload(v1::WORKLOAD_USERS);
  plan.mutable_setup()->set_rows(1000);
  plan.mutable_setup()->set_loaders(4);
  return plan;
}

// To where agents load rows.
void ToLoad(Course& run) {
  run.To(Stage::kSettingUp);
  EXPECT_EQ(run(RunState::TargetPrepared{absl::OkStatus()}), "AssignLoad");
  EXPECT_EQ(run(RunState::AgentReady{1}), "");
  EXPECT_EQ(run(RunState::AgentReady{2}), "StartLoad");
  EXPECT_TRUE(run.state.loading());
  EXPECT_EQ(run.state.stage(), Stage::kRunning);
  EXPECT_EQ(run.state.start_ns(), run.now) << "at once";
}

TEST(RunStateTest, RowsAreLoadedBeforeTheFirstPhase) {
  Course run(WithRows());
  ToLoad(run);
  EXPECT_EQ(run(RunState::TargetPrepared{absl::OkStatus()}), "error");
  EXPECT_EQ(run(RunState::AgentReported{1}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{1}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "EndRun EndRun FinishTarget");
  EXPECT_EQ(run.state.stage(), Stage::kFinishingTables);
  EXPECT_FALSE(run.state.loading());
  EXPECT_EQ(run(RunState::AgentFailed{1, "late"}), "") << "its rows are there";
  EXPECT_EQ(run(RunState::TargetPrepared{absl::OkStatus()}), "AssignAll");
  EXPECT_EQ(run(RunState::AgentReady{1}), "") << "once more";
  EXPECT_EQ(run(RunState::AgentReady{2}), "ReadClocks");
  EXPECT_EQ(run.state.phase(), 0);
}

TEST(RunStateTest, WithoutPhasesTheTablesAreAll) {
  v1::Plan plan = WithRows();
  plan.clear_phases();
  Course run(plan);
  ToLoad(run);
  run(RunState::AgentEndedPhase{1});
  run(RunState::AgentEndedPhase{2});
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "") << "its rows are there";
  EXPECT_EQ(run(RunState::TargetPrepared{absl::OkStatus()}), "Finish");
  EXPECT_TRUE(run.finish().status.ok());
  plan.mutable_setup()->set_rows(0);
  Course nothing_to_load(plan);
  nothing_to_load.To(Stage::kSettingUp);
  EXPECT_EQ(nothing_to_load(RunState::TargetPrepared{absl::OkStatus()}), "Finish");
}

TEST(RunStateTest, ALossWhileLoadingEndsTheRun) {
  Course run(WithRows());
  ToLoad(run);
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "EndRun Finish");
  EXPECT_EQ(run.finish().status.message(), "agent a-1 was lost while it loaded rows: gone");
  Course silent(WithRows());
  ToLoad(silent);
  EXPECT_EQ(silent.Expire(), "EndRun EndRun Finish") << "the other one, and itself";
  EXPECT_THAT(silent.finish().status.message(), HasSubstr("it sent nothing for 1m"));
}

TEST(RunStateTest, LoadingAndFinishingCanBeCancelled) {
  Course run(WithRows());
  ToLoad(run);
  EXPECT_EQ(run(RunState::Cancelled{}), "EndRun EndRun Finish");
  EXPECT_TRUE(absl::IsCancelled(run.finish().status));
  Course finishing(WithRows());
  ToLoad(finishing);
  finishing(RunState::AgentEndedPhase{1});
  finishing(RunState::AgentEndedPhase{2});
  EXPECT_EQ(finishing(RunState::Cancelled{}), "CancelPrepareTarget Finish");
}

TEST(RunStateTest, TablesThatCannotBeFinishedEndTheRun) {
  Course run(WithRows());
  ToLoad(run);
  run(RunState::AgentEndedPhase{1});
  run(RunState::AgentEndedPhase{2});
  EXPECT_EQ(run(RunState::TargetPrepared{absl::DataLossError("rows are missing")}), "Finish");
  EXPECT_EQ(run.finish().status, absl::DataLossError("rows are missing"));
}

TEST(RunStateTest, AnAgentThatFailsWhileConnectingEndsTheRun) {
  Course run;
  run.To(Stage::kConnecting);
  EXPECT_EQ(run(RunState::AgentFailed{2, "password authentication failed"}), "EndRun EndRun Finish");
  EXPECT_EQ(run.finish().status.message(), "agent a-2 can't take part: password authentication failed");
}

TEST(RunStateTest, AgentsThatDoNotGetReadyInTime) {
  Course run;
  run.To(Stage::kConnecting);
  run(RunState::AgentReady{1});
  EXPECT_EQ(run(RunState::AgentReady{1}), "error") << "twice";
  EXPECT_EQ(run.Expire(), "EndRun EndRun Finish");
  EXPECT_THAT(run.finish().status.message(), HasSubstr("agent a-2 did not report open connections"));
}

TEST(RunStateTest, ALossBeforeTheFirstPhaseEndsTheRun) {
  Course run;
  run.To(Stage::kReadingClocks);
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "EndRun Finish");
  EXPECT_FALSE(run.finish().status.ok());
}

TEST(RunStateTest, GoesOnWithoutALostAgent) {
  Course run;
  run.To(Stage::kRunning);
  run.now = run.state.start_ns() + 4'500'000'000;
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "LoseAgent");
  const auto& lost = std::get<RunState::LoseAgent>(run.commands[0]);
  EXPECT_EQ(lost.agent, 1);
  EXPECT_EQ(lost.phase, 0);
  EXPECT_DOUBLE_EQ(lost.seconds, 4.5);
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase ReadClocks");
  EXPECT_EQ(run(RunState::ClockRead{2, 1}), "StartPlanned");
}

TEST(RunStateTest, TheLastOneThatWasWaitedForMayBeALostOne) {
  Course run;
  run.To(Stage::kRunning);
  run(RunState::AgentEndedPhase{2});
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "LoseAgent ClosePhase ReadClocks");
  Course clocks;
  clocks.To(Stage::kReadingClocks, 1);
  clocks(RunState::ClockRead{2, 1});
  EXPECT_EQ(clocks(RunState::AgentGone{1, "gone"}), "LoseAgent StartPlanned");
}

TEST(RunStateTest, AllLostGivesAResult) {
  Course run;
  run.To(Stage::kRunning);
  run(RunState::AgentGone{1, "gone"});
  EXPECT_EQ(run(RunState::AgentGone{2, "gone"}), "LoseAgent ClosePhase Finish");
  EXPECT_TRUE(run.finish().status.ok());
}

TEST(RunStateTest, ThoseThatDoNotEndThePhaseInTimeAreLost) {
  Course run;
  run.To(Stage::kDraining);
  EXPECT_GE(run.state.DeadlineNanos(), run.state.start_ns() + 11 * kSecond);
  run(RunState::AgentEndedPhase{2});
  EXPECT_EQ(run.Expire(), "EndRun LoseAgent ClosePhase ReadClocks");
  EXPECT_THAT(run.state.agents(), ElementsAre(2));
}

TEST(RunStateTest, ThoseThatDoNotAnswerProbesAreLost) {
  Course run;
  run.To(Stage::kReadingClocks, 1);
  run(RunState::ClockRead{1, 1});
  EXPECT_EQ(run.Expire(), "EndRun LoseAgent StartPlanned");
}

TEST(RunStateTest, ACountedPhaseEndsWhenAgentsFallSilent) {
  v1::Plan plan = TwoPhases();
  plan.mutable_phases(0)->clear_duration();
  plan.mutable_phases(0)->set_transactions(1000);
  plan.mutable_phases(0)->mutable_load()->mutable_closed()->set_clients(3);
  Course run(plan);
  run.To(Stage::kRunning);
  for (int i = 0; i < 600; ++i) {
    run.now += kSecond;
    EXPECT_EQ(run(RunState::AgentReported{1}), "");
    if (i < 590) run(RunState::AgentReported{2});
    EXPECT_EQ(run(RunState::TimePassed{}), "");
  }
  EXPECT_EQ(run.Expire(), "EndRun LoseAgent");
  EXPECT_THAT(run.state.agents(), ElementsAre(1));
  EXPECT_EQ(run.state.stage(), Stage::kRunning);
}

TEST(RunStateTest, CancelledBeforeThefirstPhaseThereIsNoResult) {
  for (Stage stage :
       {Stage::kWaitingForAgents, Stage::kSettingUp, Stage::kConnecting, Stage::kReadingClocks}) {
    Course run;
    run.To(stage);
    run(RunState::Cancelled{});
    EXPECT_TRUE(absl::IsCancelled(run.finish().status)) << static_cast<int>(stage);
  }
}

TEST(RunStateTest, CancelledInAPhaseThereIsAResultAfterTheDrain) {
  Course run;
  run.To(Stage::kRunning);
  EXPECT_EQ(run(RunState::Cancelled{}), "StopPhase");
  EXPECT_EQ(run(RunState::Cancelled{}), "") << "the second is without effect";
  EXPECT_EQ(run(RunState::AgentEndedPhase{1}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun Finish");
  EXPECT_TRUE(run.finish().status.ok());
  EXPECT_TRUE(run.finish().cancelled);

  Course hung;
  hung.To(Stage::kRunning);
  hung(RunState::Cancelled{});
  EXPECT_LE(hung.state.DeadlineNanos(), hung.now + 2 * kSecond) << "however long the phase's drain is";
  EXPECT_EQ(hung.Expire(), "EndRun LoseAgent EndRun LoseAgent ClosePhase Finish");
  EXPECT_TRUE(hung.finish().cancelled);
}

// --- Losses.

RunState::AgentSilent Silent(const Course& run, AgentId agent) {
  return {agent, "it was not heard any more", run.now + 7 * kSecond};
}

Course WithPolicy(v1::OnAgentLost policy) {
  v1::Plan plan = TwoPhases();
  plan.mutable_fleet()->set_on_agent_lost(policy);
  return Course(plan);
}

TEST(RunStateTest, ASilentAgentMayComeBackWithinItsLease) {
  Course run;
  run.To(Stage::kRunning);
  EXPECT_EQ(run(Silent(run, 1)), "");
  EXPECT_EQ(run.state.heard(), 1);
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + 7 * kSecond);
  run.now += 6 * kSecond;
  EXPECT_EQ(run(RunState::TimePassed{}), "");
  EXPECT_EQ(run(RunState::AgentBack{1}), "");
  EXPECT_EQ(run.state.heard(), 2);
  run.now += 2 * kSecond;
  EXPECT_EQ(run(RunState::TimePassed{}), "");
  EXPECT_TRUE(run.state.TakesPart(1));
}

TEST(RunStateTest, ASilentAgentIsLostWhenItsLeaseEnds) {
  Course run;
  run.To(Stage::kRunning);
  run(Silent(run, 1));
  EXPECT_EQ(run.Expire(), "LoseAgent");
  EXPECT_FALSE(run.state.TakesPart(1));
  EXPECT_EQ(run(RunState::AgentBack{1}), "error");
}

TEST(RunStateTest, BeforeTheFirstPhaseASilentAgentEndsTheRun) {
  Course run;
  run.To(Stage::kConnecting);
  EXPECT_EQ(run(Silent(run, 1)), "EndRun Finish");
  EXPECT_THAT(run.finish().status.message(),
              HasSubstr("agent a-1 can't take part: it was not heard any more"));
}

TEST(RunStateTest, AbortEndsTheRunAsSoonAsAnAgentIsSilent) {
  Course run = WithPolicy(v1::ON_AGENT_LOST_ABORT);
  run.To(Stage::kRunning);
  EXPECT_EQ(run(Silent(run, 1)), "LoseAgent StopPhase");
  EXPECT_LE(run.state.DeadlineNanos(), run.now + 2 * kSecond);
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun Finish");
  EXPECT_THAT(run.finish().stopped, HasSubstr("agent a-1 was lost, and fleet.on_agent_lost is abort"));
  EXPECT_FALSE(run.finish().cancelled);
}

TEST(RunStateTest, RedistributeHasTheOthersTakeOverWhenTheLeaseHasEnded) {
  Course run = WithPolicy(v1::ON_AGENT_LOST_REDISTRIBUTE);
  run.To(Stage::kRunning);
  EXPECT_EQ(run(Silent(run, 1)), "") << "it may still load";
  EXPECT_EQ(run.Expire(), "LoseAgent TakeOver");
  EXPECT_EQ(run(RunState::TakenOver{1}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase ReadClocks") << "and keep it in the next phase";
}

TEST(RunStateTest, WhatNobodyTookOverIsGivenOutBeforeTheNextPhase) {
  Course run = WithPolicy(v1::ON_AGENT_LOST_REDISTRIBUTE);
  run.To(Stage::kDraining);
  EXPECT_EQ(run(RunState::AgentGone{1, "gone"}), "LoseAgent") << "too late in this one";
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase Reassign");
  EXPECT_EQ(run(RunState::AgentReady{2}), "ReadClocks");
}

TEST(RunStateTest, OneThatLeavesIsTakenOverAtOnce) {
  Course run = WithPolicy(v1::ON_AGENT_LOST_REDISTRIBUTE);
  run.To(Stage::kRunning);
  EXPECT_EQ(run(RunState::AgentEndedPhase{1, "it was told to stop", /*leaves=*/true}), "LoseAgent TakeOver");
  EXPECT_TRUE(std::get<RunState::LoseAgent>(run.commands[0]).announced);
}

TEST(RunStateTest, AnAgentThatIsBackJoinsAtTheNextPhase) {
  Course run;
  run.To(Stage::kRunning);
  run(RunState::AgentGone{1, "gone"});
  EXPECT_EQ(run(RunState::AgentsJoined{{{3, "a-1"}}}), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase Reassign");
  EXPECT_THAT(std::get<RunState::Reassign>(run.commands[1]).newcomers, ElementsAre(3));
  EXPECT_EQ(run(RunState::AgentReady{2}), "");
  EXPECT_EQ(run(RunState::AgentReady{3}), "ReadClocks");
  EXPECT_THAT(run.state.agents(), ElementsAre(2, 3));
}

TEST(RunStateTest, OneWhoseLeaseEndedIsThereForTheNextPhase) {
  Course run;
  run.To(Stage::kRunning);
  EXPECT_EQ(run(RunState::AgentEndedPhase{1, "its lease ended"}), "LoseAgent");
  EXPECT_EQ(run(RunState::AgentEndedPhase{2, "its lease ended"}), "LoseAgent ClosePhase Reassign");
  EXPECT_THAT(std::get<RunState::Reassign>(run.commands[2]).newcomers, ElementsAre(1, 2));
}

TEST(RunStateTest, ANewcomerThatDoesNotConnectIsLeftOut) {
  Course run;
  run.To(Stage::kRunning);
  run(RunState::AgentGone{1, "gone"});
  run(RunState::AgentsJoined{{{3, "a-3"}}});
  run(RunState::AgentEndedPhase{2});
  run(RunState::AgentReady{2});
  EXPECT_EQ(run.Expire(), "EndRun LoseAgent ReadClocks");
  EXPECT_THAT(run.state.agents(), ElementsAre(2));
}

TEST(RunStateTest, AStartThatWasNotWrittenDownInTimeIsPlannedAnew) {
  Course run;
  run.To(Stage::kStarting);
  run.now += 3 * kSecond;
  EXPECT_EQ(run(RunState::Saved{}), "StartPlanned");
  EXPECT_GT(run.state.start_ns(), run.now + kSecond);
  EXPECT_EQ(run(RunState::Saved{}), "StartPhase");
  Course never;
  never.To(Stage::kStarting);
  EXPECT_EQ(never.Expire(), "EndRun EndRun Finish");
  EXPECT_THAT(never.finish().status.message(), HasSubstr("could not write down the start of phase warm-up"));
}

TEST(RunStateTest, AFullDiskEndsTheRunInOrder) {
  Course run;
  run.To(Stage::kRunning);
  EXPECT_EQ(run(RunState::Stopped{"no space left"}), "StopPhase");
  EXPECT_EQ(run(RunState::Stopped{"no space left"}), "");
  run(RunState::AgentEndedPhase{1});
  EXPECT_EQ(run(RunState::AgentEndedPhase{2}), "ClosePhase EndRun EndRun Finish");
  EXPECT_EQ(run.finish().stopped, "no space left");
  Course before;
  before.To(Stage::kConnecting);
  EXPECT_EQ(before(RunState::Stopped{"no space left"}), "EndRun EndRun Finish");
  EXPECT_EQ(before.finish().status.message(), "no space left");
}

// --- Going on under another controller.

RunState Resumed(RunState::Position position, int64_t now_ns) {
  position.agents = {{1, {.name = "a-1"}}, {2, {.name = "a-2"}}};
  return RunState(TwoPhases(), 2, absl::Seconds(60), now_ns, position);
}

TEST(RunStateTest, GoesOnInThePhaseThatWasUnderWay) {
  Course run;
  run.state = Resumed({.target_prepared = true, .phase = 1, .begun = true, .start_ns = run.now - 3 * kSecond},
                      run.now);
  EXPECT_EQ(run.state.stage(), Stage::kRunning);
  EXPECT_EQ(run.state.heard(), 0);
  EXPECT_EQ(run.state.DeadlineNanos(), run.now + 5 * kSecond) << "when the phase ends";
  EXPECT_EQ(run(RunState::AgentBack{1}), "");
  EXPECT_EQ(run(RunState::AgentReported{1}), "");
  EXPECT_EQ(run.Expire(), "");
  EXPECT_EQ(run(RunState::AgentEndedPhase{1}), "");
  EXPECT_EQ(run.Expire(), "EndRun LoseAgent ClosePhase EndRun Finish") << "the other one did not come back";
  EXPECT_TRUE(run.finish().status.ok());
}

TEST(RunStateTest, GoesOnBetweenPhases) {
  Course run;
  run.state = Resumed({.target_prepared = true, .phase = 1}, run.now);
  EXPECT_EQ(run.state.stage(), Stage::kReadingClocks);
  EXPECT_EQ(run(RunState::AgentBack{1}), "");
  EXPECT_EQ(run(RunState::AgentBack{2}), "");
  EXPECT_EQ(run(RunState::AgentUnassigned{2}), "") << "its lease had ended";
  EXPECT_EQ(run.state.stage(), Stage::kConnecting);
  EXPECT_EQ(run(RunState::AgentReady{2}), "ReadClocks");
}

TEST(RunStateTest, BeforeTheFirstPhaseItBeginsAnewWithTheTablesThatAreThere) {
  Course run;
  run.state = Resumed({.target_prepared = true}, run.now);
  EXPECT_EQ(run.state.stage(), Stage::kWaitingForAgents);
  run(RunState::AgentsJoined{{{1, "a-1"}}});
  EXPECT_EQ(run(RunState::AgentsJoined{{{2, "a-2"}}}), "AssignAll");
}

}  // namespace
}  // namespace trunkload
