#include "controller/controller.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/plan/plan_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

class ManualClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return now_ns; }
  int64_t WallNanos() const override { return 1'795'000'000 * kSecond; }
  int64_t now_ns = 1'000 * kSecond;
};

v1::Plan OnePhase(uint32_t application_servers) {
  v1::Plan plan;
  plan.set_name("one");
  plan.mutable_target()->set_conninfo("dbname=bench");
  plan.mutable_fleet()->set_application_servers(application_servers);
  plan.add_scripts()->set_builtin(v1::BUILTIN_INSERT_SINGLE);
  v1::Phase& phase = *plan.add_phases();
  phase.set_name("closed");
  phase.mutable_duration()->set_seconds(5);
  phase.mutable_load()->mutable_closed()->set_clients(4);
  plan.mutable_observer()->set_enabled(false);
  absl::StatusOr<v1::Plan> valid = ValidatePlan(std::move(plan));
  EXPECT_TRUE(valid.ok()) << valid.status();
  return *valid;
}

// Agents that do only what a test has them do; their clocks are the controller's.
class ControllerTest : public testing::Test, public ControllerOutside {
 protected:
  // Streams and agents have the same numbers here.
  void Join(AgentId agent, const std::string& name) {
    controller_.OnStreamOpened(agent);
    v1::AgentMessage message;
    message.mutable_hello()->set_protocol(2);
    message.mutable_hello()->set_name(name);
    message.mutable_hello()->set_instance(agent + 100);
    controller_.OnAgentMessage(agent, message, clock_.now_ns);
    alive_.insert(agent);
  }
  // Of those that bear a sequence number.
  void Tell(AgentId agent, v1::AgentMessage message) {
    message.set_sequence(++sequences_[agent]);
    controller_.OnAgentMessage(agent, message, clock_.now_ns);
  }
  void Ready(AgentId agent) {
    v1::AgentMessage message;
    message.mutable_ready()->set_run_id(run_id_);
    message.mutable_ready()->set_version(assignments_[agent].version());
    Tell(agent, message);
  }
  void Report(AgentId agent, uint32_t second, uint64_t transactions) {
    v1::AgentMessage message;
    v1::Interval& interval = *message.mutable_interval();
    interval.set_number(second);
    interval.set_first_second(second);
    interval.set_last_second(second);
    interval.set_run_id(run_id_);
    interval.add_scripts()->set_transactions(transactions);
    Tell(agent, message);
  }
  void EndPhase(AgentId agent, uint64_t intervals) {
    v1::AgentMessage message;
    message.mutable_phase_ended()->set_intervals(intervals);
    message.mutable_phase_ended()->set_started_ns(start_ns_[agent]);
    message.mutable_phase_ended()->set_run_id(run_id_);
    Tell(agent, message);
  }
  void Fail(AgentId agent, const std::string& reason) {
    v1::AgentMessage message;
    message.mutable_failed()->set_run_id(run_id_);
    message.mutable_failed()->set_reason(reason);
    Tell(agent, message);
  }
  // All that it was told to take over last.
  void AnswerTakeOver(AgentId agent, const std::string& failure = "") {
    v1::AgentMessage message;
    message.mutable_taken_over()->set_run_id(run_id_);
    message.mutable_taken_over()->set_failure(failure);
    for (const uint32_t number : take_overs_[agent])
      message.mutable_taken_over()->add_application_servers(number);
    Tell(agent, message);
  }
  void Start(uint32_t application_servers, uint32_t agents) { Start(OnePhase(application_servers), agents); }
  void Start(v1::Plan plan, uint32_t agents) {
    absl::StatusOr<std::string> id = controller_.StartRun(std::move(plan), {.agents = agents});
    ASSERT_TRUE(id.ok()) << id.status();
    run_id_ = *id;
  }
  void RunUntil(int64_t time_ns) {
    while (controller_.NextTickNanos() <= time_ns) {
      clock_.now_ns = std::max(clock_.now_ns, controller_.NextTickNanos());
      for (const AgentId agent : alive_) controller_.heartbeats().OnHeartbeat(agent + 100, clock_.now_ns);
      controller_.OnTick();
      if (std::exchange(saving_, false)) controller_.OnSaved(saved_);
      for (const auto& [agent, reply] : std::exchange(replies_, {})) {
        controller_.OnAgentMessage(agent, reply, clock_.now_ns);
      }
    }
    clock_.now_ns = std::max(clock_.now_ns, time_ns);
  }
  // Two agents in the middle of their phase.
  void StartTwo() { StartTwo(OnePhase(4)); }
  void StartTwo(v1::Plan plan) { StartAll(std::move(plan), 2); }
  void StartAll(v1::Plan plan, uint32_t agents) {
    for (AgentId agent = 1; agent <= agents; ++agent) Join(agent, absl::StrCat("a-", agent));
    Start(std::move(plan), agents);
    RunUntil(clock_.now_ns);
    controller_.OnTargetPrepared(v1::ServerInfo());
    for (AgentId agent = 1; agent <= agents; ++agent) Ready(agent);
    RunUntil(clock_.now_ns + kSecond);
    ASSERT_EQ(start_ns_.size(), agents);
    ASSERT_LE(start_ns_[1], clock_.now_ns);
  }

  ManualClock clock_;
  Controller controller_{clock_, *this};
  std::string run_id_;
  std::map<AgentId, v1::Assignment> assignments_;
  std::map<AgentId, int64_t> start_ns_;
  std::map<AgentId, std::vector<uint32_t>> take_overs_;
  std::map<AgentId, absl::Status> disconnected_;
  std::vector<v1::Progress> progress_;
  std::optional<absl::StatusOr<v1::RunResult>> result_;
  std::map<AgentId, uint64_t> acknowledged_;
  std::vector<RunSnapshot> snapshots_;
  // What the disk says to the next ones.
  absl::Status saved_;
  std::set<AgentId> alive_;
  int preparations_ = 0;
  std::vector<int> begun_faults_;
  bool faults_ended_ = false;
  int ended_runs_told_ = 0;

 private:
  void Send(AgentId to, const v1::ControllerMessage& message) override {
    if (message.has_assignment()) assignments_[to] = message.assignment();
    if (message.has_start_phase()) start_ns_[to] = message.start_phase().start_ns();
    if (message.has_end_run()) ++ended_runs_told_;
    if (message.has_take_over()) {
      take_overs_[to].clear();
      for (const v1::ApplicationServer& server : message.take_over().application_servers())
        take_overs_[to].push_back(server.number());
    }
    if (message.has_acknowledge()) acknowledged_[to] = message.acknowledge().sequence();
    if (!message.has_clock_probe()) return;
    v1::AgentMessage reply;
    reply.mutable_clock_reply()->set_number(message.clock_probe().number());
    reply.mutable_clock_reply()->set_received_ns(clock_.now_ns);
    reply.mutable_clock_reply()->set_sent_ns(clock_.now_ns);
    replies_.emplace_back(to, std::move(reply));
  }
  void Disconnect(AgentId agent, const absl::Status& why) override { disconnected_[agent] = why; }
  void PrepareTarget(const v1::Plan&, const std::string&) override { ++preparations_; }
  void FinishTarget(const v1::Plan&, bool) override { ++preparations_; }
  void CancelPrepareTarget() override { --preparations_; }
  void Save(RunSnapshot snapshot) override {
    snapshots_.push_back(std::move(snapshot));
    saving_ = true;
  }
  void BeginFault(int fault) override { begun_faults_.push_back(fault); }
  void EndFaults() override { faults_ended_ = true; }
  void OnProgress(const v1::Progress& progress) override { progress_.push_back(progress); }
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override { result_ = std::move(result); }

  bool saving_ = false;
  std::map<AgentId, uint64_t> sequences_;
  std::vector<std::pair<AgentId, v1::AgentMessage>> replies_;
};

TEST_F(ControllerTest, OneRunAtATime) {
  Start(4, 2);
  const absl::Status second = controller_.StartRun(OnePhase(4), {}).status();
  EXPECT_TRUE(absl::IsResourceExhausted(second));
  EXPECT_THAT(second.message(), HasSubstr(run_id_));
  controller_.CancelRun();
  ASSERT_TRUE(result_);
  EXPECT_TRUE(absl::IsCancelled(result_->status()));
  EXPECT_TRUE(controller_.StartRun(OnePhase(4), {}).ok());
}

// A driver reads the clock, then asks for the next tick: one that is always a little later than now never
// comes.
TEST_F(ControllerTest, TheFirstTickOfARunIsDueAtOnceAndStaysSo) {
  Start(4, 2);
  const int64_t due_ns = controller_.NextTickNanos();
  EXPECT_LE(due_ns, clock_.now_ns);
  clock_.now_ns += kSecond;
  EXPECT_EQ(controller_.NextTickNanos(), due_ns);
}

TEST_F(ControllerTest, RunIdsSortByTime) {
  Start(4, 2);
  EXPECT_THAT(run_id_, testing::MatchesRegex("2026[0-9]{4}-[0-9]{6}-[0-9a-f]{4}"));
}

TEST_F(ControllerTest, RefusesMoreAgentsThanThePlanHasWorkFor) {
  EXPECT_TRUE(absl::IsInvalidArgument(controller_.StartRun(OnePhase(2), {.agents = 3}).status()));
  Join(1, "a-1");
  Join(2, "a-2");
  Join(3, "a-3");
  Start(2, 1);
  EXPECT_FALSE(result_) << "nothing ends inside StartRun";
  RunUntil(clock_.now_ns);
  EXPECT_EQ(preparations_, 0) << "no tables are made for a run that can't follow";
  ASSERT_TRUE(result_);
  EXPECT_THAT(result_->status().message(), HasSubstr("too few for 3 agents"));
}

TEST_F(ControllerTest, AllAgentsThatAreThereTakePart) {
  for (AgentId agent : {1, 2, 3}) Join(agent, "a-" + std::to_string(agent));
  Start(4, 1);
  RunUntil(clock_.now_ns);
  controller_.OnTargetPrepared(v1::ServerInfo());
  EXPECT_EQ(assignments_.size(), 3);
}

TEST_F(ControllerTest, OnlyAgentsWithThePlansLabelsTakePart) {
  v1::Plan plan = OnePhase(4);
  (*plan.mutable_fleet()->mutable_labels())["zone"] = "eu-1";
  Join(1, "a-1");
  controller_.OnStreamOpened(2);
  v1::AgentMessage hello;
  hello.mutable_hello()->set_protocol(2);
  hello.mutable_hello()->set_name("a-2");
  hello.mutable_hello()->set_instance(102);
  (*hello.mutable_hello()->mutable_labels())["zone"] = "eu-1";
  controller_.OnAgentMessage(2, hello, clock_.now_ns);
  alive_.insert(2);
  ASSERT_TRUE(controller_.StartRun(plan, {.agents = 1}).ok());
  RunUntil(clock_.now_ns);
  controller_.OnTargetPrepared(v1::ServerInfo());
  EXPECT_FALSE(assignments_.contains(1));
  EXPECT_TRUE(assignments_.contains(2));
}

TEST_F(ControllerTest, AFirstMessageThatIsNotHelloEndsTheStream) {
  controller_.OnStreamOpened(1);
  Ready(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(disconnected_[1]));
  Join(2, "same");
  Join(3, "same");
  EXPECT_TRUE(absl::IsAlreadyExists(disconnected_[3]));
  EXPECT_FALSE(disconnected_.contains(2));
}

TEST_F(ControllerTest, ProgressTellsTheNewestCompleteSecond) {
  StartTwo();
  RunUntil(start_ns_[1] + kSecond + kSecond / 10);
  Report(1, 0, 30);
  Report(2, 0, 12);
  RunUntil(start_ns_[1] + kSecond + kSecond / 2);
  EXPECT_EQ(progress_.back().throughput_per_s(), 42);
  EXPECT_EQ(progress_.back().stage(), v1::Progress::STAGE_RUNNING);
  EXPECT_EQ(progress_.back().phase(), "closed");
  EXPECT_EQ(progress_.back().duration_s(), 5);
  EXPECT_EQ(progress_.back().agents(), 2);
  EXPECT_EQ(progress_.back().totals().seconds(), 1);
  EXPECT_EQ(progress_.back().totals().transactions(), 42);
  const size_t before = progress_.size();
  RunUntil(start_ns_[1] + 4 * kSecond + kSecond / 2);
  EXPECT_EQ(progress_.size(), before + 3) << "once a second";
}

TEST_F(ControllerTest, AnAgentThatJoinsInMidRunStaysForTheNext) {
  StartTwo();
  Join(3, "a-3");
  EXPECT_FALSE(assignments_.contains(3));
  Report(3, 0, 5);
  EXPECT_FALSE(disconnected_.contains(3)) << "what it says of another run is ignored";
  EndPhase(1, 0);
  EndPhase(2, 0);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_EQ((*result_)->agents_size(), 2);
  EXPECT_EQ(ended_runs_told_, 2);
  Start(4, 3);
  RunUntil(clock_.now_ns);
  controller_.OnTargetPrepared(v1::ServerInfo());
  EXPECT_EQ(assignments_.size(), 3);
}

TEST_F(ControllerTest, AnAgentThatBreaksTheProtocolIsLostAndNamed) {
  StartTwo();
  Report(1, 4'000'000, 5);
  EXPECT_TRUE(absl::IsInvalidArgument(disconnected_[1]));
  Report(2, 0, 7);
  EndPhase(2, 1);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_EQ((*result_)->phases(0).transactions(), 7);
  EXPECT_TRUE((*result_)->agents(0).lost());
  EXPECT_FALSE((*result_)->agents(1).lost());
  EXPECT_THAT(
      (*result_)->verdict().reasons(),
      testing::Contains(HasSubstr("agent a-1 was lost in second 0 of phase closed: it broke the protocol")));
}

TEST_F(ControllerTest, AReasonFromAnAgentIsOneLineForATerminal) {
  StartTwo();
  Fail(1, "no\x1b[2J\nmemory" + std::string(5000, 'x'));
  EndPhase(2, 0);
  ASSERT_TRUE(result_ && result_->ok());
  const std::string reason = (*result_)->verdict().reasons(0);
  EXPECT_THAT(reason, HasSubstr("no [2J memory"));
  EXPECT_LT(reason.size(), 1000);
}

TEST_F(ControllerTest, ClientsThatEndedMakeTheRunInvalidWithOneMessage) {
  StartTwo();
  v1::AgentMessage message;
  v1::Interval& interval = *message.mutable_interval();
  v1::ScriptInterval& script = *interval.add_scripts();
  script.set_transactions(5);
  (*script.mutable_errors())["40001"] = 7;
  (*script.mutable_error_messages())["40001"] = "could not serialize";
  (*script.mutable_errors())["script_error"] = 2;
  (*script.mutable_error_messages())["script_error"] = "pay:1:8: division by zero";
  interval.set_aborted_clients(2);
  interval.set_run_id(run_id_);
  Tell(1, message);
  EndPhase(1, 1);
  EndPhase(2, 0);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_EQ((*result_)->phases(0).aborted_clients(), 2);
  EXPECT_THAT(
      (*result_)->verdict().reasons(),
      testing::ElementsAre("phase closed: 2 clients ended before the phase did, because a transaction "
                           "failed: pay:1:8: division by zero"));
}

TEST_F(ControllerTest, TellsHowLongConnectingTook) {
  Join(1, "a-1");
  Start(4, 1);
  RunUntil(clock_.now_ns);
  controller_.OnTargetPrepared(v1::ServerInfo());
  v1::AgentMessage message;
  message.mutable_ready()->set_run_id(run_id_);
  message.mutable_ready()->set_version(assignments_[1].version());
  message.mutable_ready()->set_connecting_ns(12'500'000);
  Tell(1, message);
  RunUntil(clock_.now_ns + kSecond);
  EndPhase(1, 0);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_EQ((*result_)->agents(0).connecting_us(), 12'500);
  message.mutable_ready()->set_connecting_ns(UINT64_MAX);
  Start(4, 1);
  RunUntil(clock_.now_ns);
  controller_.OnTargetPrepared(v1::ServerInfo());
  message.mutable_ready()->set_run_id(run_id_);
  message.mutable_ready()->set_version(assignments_[1].version());
  Tell(1, message);
  EXPECT_TRUE(absl::IsInvalidArgument(disconnected_[1]));
}

TEST_F(ControllerTest, AResultIsBuiltFromWhatCameBeforeAllWereLost) {
  StartTwo();
  RunUntil(start_ns_[1] + 2 * kSecond);
  Report(1, 0, 30);
  for (const AgentId agent : {1, 2}) {
    controller_.OnStreamEnded(agent);
    alive_.erase(agent);
  }
  RunUntil(clock_.now_ns + 15 * kSecond);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_FALSE((*result_)->verdict().valid());
  EXPECT_EQ((*result_)->phases(0).transactions(), 30);
  EXPECT_EQ((*result_)->losses_size(), 2);
  EXPECT_EQ((*result_)->losses(0).share(), 0.5);
  EXPECT_EQ((*result_)->losses(0).from_s(), 1) << "the last second that is known";
}

v1::Plan Redistributing() {
  v1::Plan plan = OnePhase(4);
  plan.mutable_fleet()->set_on_agent_lost(v1::ON_AGENT_LOST_REDISTRIBUTE);
  return plan;
}

TEST_F(ControllerTest, WhatIsTakenOverTwiceIsTakenOverForBothThatWereLost) {
  StartAll(Redistributing(), 4);
  Fail(1, "out of memory");
  RunUntil(clock_.now_ns + kSecond);
  ASSERT_EQ(take_overs_.size(), 1);
  const AgentId taker = take_overs_.begin()->first;
  ASSERT_EQ(take_overs_[taker].size(), 2) << "its own application server, and the lost one's";
  Fail(taker, "out of memory, too");
  RunUntil(clock_.now_ns + kSecond);
  take_overs_.erase(taker);
  ASSERT_EQ(take_overs_.size(), 2) << "one for each of those that are left";
  const AgentId first = take_overs_.begin()->first, second = take_overs_.rbegin()->first;
  AnswerTakeOver(first);
  RunUntil(clock_.now_ns + kSecond);
  AnswerTakeOver(second);
  for (const AgentId agent : {first, second}) EndPhase(agent, 0);
  ASSERT_TRUE(result_ && result_->ok());
  ASSERT_EQ((*result_)->losses_size(), 2);
  for (const v1::Loss& loss : (*result_)->losses()) EXPECT_TRUE(loss.has_taken_over_s()) << loss.agent();
  // Of two application servers, one was back a second before the other.
  EXPECT_GT((*result_)->losses(1).taken_over_s(), (*result_)->losses(0).noticed_s() + 2.5);
}

TEST_F(ControllerTest, WhatCouldNotBeTakenOverIsMissing) {
  StartAll(Redistributing(), 4);
  Fail(1, "out of memory");
  RunUntil(clock_.now_ns + kSecond);
  ASSERT_EQ(take_overs_.size(), 1);
  const AgentId taker = take_overs_.begin()->first;
  // Numbers that it was not given change nothing.
  take_overs_[3] = take_overs_[taker];
  AnswerTakeOver(3);
  AnswerTakeOver(taker, "too many connections");
  for (const AgentId agent : {2, 3, 4}) EndPhase(agent, 0);
  ASSERT_TRUE(result_ && result_->ok());
  ASSERT_EQ((*result_)->losses_size(), 1);
  EXPECT_FALSE((*result_)->losses(0).has_taken_over_s());
  EXPECT_EQ((*result_)->losses(0).reason(),
            absl::StrCat("out of memory; agent a-", taker, " could not take over: too many connections"));
}

TEST_F(ControllerTest, AcknowledgesWhatIsOnDiskAndNoMore) {
  StartTwo();
  RunUntil(start_ns_[1] + kSecond + kSecond / 10);
  const uint64_t before = acknowledged_[1];
  Report(1, 0, 30);
  EXPECT_EQ(acknowledged_[1], before);
  RunUntil(clock_.now_ns + 2 * kSecond);
  EXPECT_EQ(acknowledged_[1], before + 1);
  saved_ = absl::ResourceExhaustedError("there is no space left");
  Report(1, 1, 30);
  RunUntil(clock_.now_ns + kSecond * 3 / 2);
  EXPECT_EQ(acknowledged_[1], before + 1);
  EndPhase(1, 2);
  EndPhase(2, 0);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_THAT((*result_)->verdict().reasons(0),
              HasSubstr("the run ended before its time: there is no space left"));
  EXPECT_EQ((*result_)->phases(0).transactions(), 60) << "what came in is part of the result";
}

TEST_F(ControllerTest, WhatIsSentAgainCountsOnce) {
  StartTwo();
  RunUntil(start_ns_[1] + kSecond + kSecond / 10);
  v1::AgentMessage message;
  message.mutable_interval()->set_run_id(run_id_);
  message.mutable_interval()->add_scripts()->set_transactions(30);
  message.set_sequence(2);
  controller_.OnAgentMessage(1, message, clock_.now_ns);
  controller_.OnStreamEnded(1);
  // Another stream of the same process.
  controller_.OnStreamOpened(11);
  v1::AgentMessage hello;
  hello.mutable_hello()->set_protocol(2);
  hello.mutable_hello()->set_name("a-1");
  hello.mutable_hello()->set_instance(101);
  hello.mutable_hello()->mutable_held()->set_run_id(run_id_);
  hello.mutable_hello()->mutable_held()->set_version(assignments_[1].version());
  hello.mutable_hello()->mutable_held()->set_phases_started(1);
  hello.mutable_hello()->mutable_held()->set_phase_under_way(true);
  controller_.OnAgentMessage(11, hello, clock_.now_ns);
  controller_.OnAgentMessage(11, message, clock_.now_ns);
  message = {};
  message.set_sequence(3);
  message.mutable_phase_ended()->set_run_id(run_id_);
  message.mutable_phase_ended()->set_intervals(1);
  controller_.OnAgentMessage(11, message, clock_.now_ns);
  EndPhase(2, 0);
  ASSERT_TRUE(result_ && result_->ok()) << disconnected_[11];
  EXPECT_EQ((*result_)->phases(0).transactions(), 30);
  EXPECT_EQ((*result_)->losses_size(), 0) << "it was away for no time";
}

TEST_F(ControllerTest, ADamagedSnapshotIsRefused) {
  StartTwo();
  RunSnapshot snapshot = snapshots_.back();
  Controller other(clock_, *this);
  EXPECT_TRUE(other.ResumeRun(snapshot).ok());
  snapshot.run.set_phase(7);
  Controller refuses(clock_, *this);
  EXPECT_TRUE(absl::IsDataLoss(refuses.ResumeRun(snapshot).status()));
  snapshot.run.clear_plan();
  EXPECT_TRUE(absl::IsDataLoss(refuses.ResumeRun(snapshot).status()));
}

v1::Plan WithFault(int64_t at_s) {
  v1::Plan plan = OnePhase(4);
  v1::Fault& fault = *plan.add_faults();
  fault.set_kill("server");
  fault.mutable_at()->set_seconds(at_s);
  return *ValidatePlan(std::move(plan));
}

TEST_F(ControllerTest, AFaultBeginsAtItsTimeInItsPhaseAfterItIsOnDisk) {
  StartTwo(WithFault(3));
  RunUntil(start_ns_[1] + 3 * kSecond - 1);
  EXPECT_THAT(begun_faults_, IsEmpty());
  EXPECT_EQ(snapshots_.back().run.faults_size(), 1);
  RunUntil(start_ns_[1] + 3 * kSecond);
  EXPECT_THAT(begun_faults_, testing::ElementsAre(0));
  RunUntil(start_ns_[1] + 4 * kSecond);
  EXPECT_THAT(begun_faults_, testing::SizeIs(1));

  // Another controller does not do it again.
  RunSnapshot snapshot = snapshots_.back();
  snapshot.phases.clear();
  for (const RunSnapshot& one : snapshots_) {
    for (const RunSnapshot::Phase& phase : one.phases) snapshot.phases = {phase};
  }
  Controller other(clock_, *this);
  ASSERT_TRUE(other.ResumeRun(snapshot).ok());
  other.OnTick();
  EXPECT_THAT(begun_faults_, testing::SizeIs(1));
}

TEST_F(ControllerTest, ARunEndsWhenWhatItBrokeIsWholeAgain) {
  StartTwo(WithFault(1));
  RunUntil(start_ns_[1] + kSecond);
  controller_.OnFaultBegan(0);
  clock_.now_ns += kSecond;
  EXPECT_FALSE(faults_ended_);
  controller_.CancelRun();
  EXPECT_TRUE(faults_ended_) << "at once: what is broken may hold up the drain";
  EndPhase(1, 0);
  EndPhase(2, 0);
  RunUntil(clock_.now_ns + kSecond);
  EXPECT_FALSE(result_);
  clock_.now_ns = std::max(clock_.now_ns, start_ns_[1] + 4 * kSecond);
  controller_.OnFaultEnded(0, "");
  ASSERT_TRUE(result_ && result_->ok());
  ASSERT_EQ((*result_)->faults_size(), 1);
  EXPECT_EQ((*result_)->faults(0).what(), "kill server");
  EXPECT_EQ((*result_)->faults(0).began_s(), 1);
  EXPECT_EQ((*result_)->faults(0).ended_s(), 4);
}

TEST_F(ControllerTest, AFaultOfAPhaseThatEndedEarlyIsNotCarriedOut) {
  StartTwo(WithFault(4));
  RunUntil(start_ns_[1] + kSecond);
  controller_.CancelRun();
  EndPhase(1, 0);
  EndPhase(2, 0);
  RunUntil(clock_.now_ns + kSecond);
  ASSERT_TRUE(result_ && result_->ok());
  EXPECT_THAT(begun_faults_, IsEmpty());
  EXPECT_THAT((*result_)->faults(0).failure(), HasSubstr("not carried out"));
}

}  // namespace
}  // namespace trunkload
