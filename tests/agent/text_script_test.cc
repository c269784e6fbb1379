#include "agent/text_script.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/duration.h"
#include "gmock/gmock.h"
#include "tests/agent/reactor_fixture.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

// Scripts in pgbench's language, as reactors run them. That they mean what they mean to pgbench is for the
// tests of the language to show.
class TextScriptTest : public ReactorFixture {
 protected:
  TextScriptTest() {
    assignment_.clear_scripts();
    assignment_.set_agents(1);
    assignment_.set_seed(1);
    assignment_.mutable_pool()->set_size(1);
  }

  v1::Script& Add(const std::string& text, v1::QueryMode mode = v1::QUERY_MODE_SIMPLE) {
    v1::Script& script = *assignment_.add_scripts();
    script.set_name("script");
    script.set_text(text);
    script.set_weight(1);
    script.set_query_mode(mode);
    script.set_max_tries(1);
    script.set_continue_on_error(true);
    return script;
  }
  void ServeAndLog(WireServerOptions options = {}) {
    // Read once the phase is over.
    options.log = [this](absl::string_view line) { log_.emplace_back(line); };
    Serve(options);
  }
  // One client runs it once.
  Slice RunOnce() {
    AddClosed(1, 1);
    EXPECT_TRUE(Open()) << failure();
    return Run(0);
  }

  std::vector<std::string> log_;
};

TEST_F(TextScriptTest, SimpleStatementsHaveTheValuesInThem) {
  ServeAndLog();
  Add("\\set x 40 + 2\nSELECT :x, ':y';\nSELECT :client_id");
  ExpectSums(RunOnce().scripts[0]);
  EXPECT_THAT(log_, ElementsAre("Q SELECT 42, \\':y\\';", "Q SELECT 0"));
}

TEST_F(TextScriptTest, ExtendedStatementsHaveParameters) {
  ServeAndLog();
  Add("\\set x 40 + 2\nSELECT :x, :y;", v1::QUERY_MODE_EXTENDED);
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  ExpectSums(Run(0).scripts[0]);
  EXPECT_THAT(log_, ElementsAre("P SELECT $1, $2;", "B 42 \\N", "P SELECT $1, $2;", "B 42 \\N"));
}

TEST_F(TextScriptTest, PreparedStatementsArePreparedWhenTheyAreFirstSent) {
  ServeAndLog();
  Add("\\if :client_id = 0\nSELECT :x;\n\\else\nSELECT 2;\n\\endif\nSELECT 3;", v1::QUERY_MODE_PREPARED);
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_THAT(log_, IsEmpty());
  ExpectSums(Run(0).scripts[0]);
  EXPECT_THAT(log_, ElementsAre("P SELECT $1;", "B \\N", "P SELECT 3;", "B", "B \\N", "B"));
}

TEST_F(TextScriptTest, InReconnectModeNothingIsPrepared) {
  ServeAndLog();
  assignment_.mutable_pool()->set_mode(v1::POOL_MODE_RECONNECT);
  Add("SELECT 1;", v1::QUERY_MODE_PREPARED);
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  ExpectSums(Run(0).scripts[0]);
  EXPECT_THAT(log_, ElementsAre("P SELECT 1;", "B", "P SELECT 1;", "B"));
}

TEST_F(TextScriptTest, VariablesComeFromThePlanTheScriptAndTheFleet) {
  ServeAndLog();
  assignment_.set_agent(3);
  assignment_.set_agents(7);
  (*assignment_.mutable_variables())["a"] = "1";
  (*assignment_.mutable_variables())["b"] = "2";
  (*assignment_.mutable_variables())["scale"] = "30";
  v1::Script& script = Add("SELECT :a, :b, :c, :scale, :agent_id, :agents;\n\\set b 9\n\\set a 8");
  (*script.mutable_variables())["b"] = "20";
  (*script.mutable_variables())["c"] = "it''s";
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  // The script's own are so whenever it begins.
  EXPECT_THAT(log_,
              ElementsAre("Q SELECT 1, 20, it\\'\\'s, 30, 3, 7;", "Q SELECT 8, 20, it\\'\\'s, 30, 3, 7;"));
}

TEST_F(TextScriptTest, EachClientHasANumberOfItsOwn) {
  ServeAndLog();
  assignment_.mutable_pool()->set_size(2);
  AddApplicationServers(1);
  Add("SELECT :client_id;");
  AddClosed(3, 3);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  EXPECT_THAT(log_, testing::UnorderedElementsAre("Q SELECT 0;", "Q SELECT 1;", "Q SELECT 2;", "Q SELECT 3;",
                                                  "Q SELECT 4;", "Q SELECT 5;"));
}

// The values are pgbench 15's with --random-seed=42: those of its first client, and of its second.
TEST_F(TextScriptTest, ClientsDrawWhatPgbenchsDraw) {
  ServeAndLog();
  assignment_.set_seed(42);
  assignment_.mutable_pool()->set_size(2);
  Add("\\set r random(1, 1000000)\nSELECT :client_id, :r;");
  AddClosed(2, 4);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  EXPECT_THAT(log_, testing::UnorderedElementsAre("Q SELECT 0, 668251;", "Q SELECT 0, 855542;",
                                                  "Q SELECT 1, 844242;", "Q SELECT 1, 649374;"));
}

TEST_F(TextScriptTest, RowsBecomeVariables) {
  ServeAndLog();
  // The server calls its only column "?column?".
  Add("SELECT 5 \\gset\nSELECT 6\\; SELECT 7 \\aset p_\nSELECT 1;");
  const Slice slice = RunOnce();
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 1u);
  EXPECT_EQ(slice.aborted_clients, 0u);
}

TEST_F(TextScriptTest, AClientEndsWhereGsetHasNoRow) {
  ServeAndLog();
  Add("BEGIN;\nSELECT nothing \\gset\nCOMMIT;");
  AddClosed(2, 10);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("not_one_row", 2)));
  EXPECT_THAT(slice.scripts[0].error_messages.at("not_one_row"), HasSubstr("script:2:1"));
  EXPECT_EQ(slice.aborted_clients, 2u);
  EXPECT_THAT(log_, ElementsAre("Q BEGIN;", "Q SELECT nothing ", "Q ROLLBACK", "Q BEGIN;",
                                "Q SELECT nothing ", "Q ROLLBACK"));
}

TEST_F(TextScriptTest, ASerializationFailureIsTriedAgainWithTheSameNumbers) {
  ServeAndLog({.error_sqlstate = "40001", .error_every = 3});
  Add("\\set r random(1, 1000000)\nBEGIN;\nINSERT INTO t VALUES (:r);\nCOMMIT;").set_max_tries(2);
  AddClosed(1, 6);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  const ScriptSlice& script = slice.scripts[0];
  ExpectSums(script);
  EXPECT_EQ(script.transactions, 6u);
  EXPECT_EQ(script.retried, 2u);
  EXPECT_EQ(script.retries, 2u);
  EXPECT_EQ(script.deadlock_retries, 0u);
  std::vector<std::string> inserts;
  for (size_t i = 0; i < log_.size(); ++i) {
    if (absl::StrContains(log_[i], "INSERT")) inserts.push_back(log_[i]);
  }
  ASSERT_THAT(inserts, SizeIs(8));
  EXPECT_EQ(inserts[2], inserts[3]);
  EXPECT_EQ(inserts[5], inserts[6]);
  EXPECT_NE(inserts[0], inserts[1]);
  EXPECT_NE(inserts[3], inserts[4]);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "Q ROLLBACK"), 2);
}

TEST_F(TextScriptTest, TriesComeToAnEnd) {
  ServeAndLog({.error_sqlstate = "40P01", .error_every = 1});
  v1::Script& script = Add("INSERT INTO t VALUES (1);");
  script.set_max_tries(3);
  // It is no reason for the client to end.
  script.set_continue_on_error(false);
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("40P01", 2)));
  EXPECT_EQ(slice.scripts[0].retried, 2u);
  EXPECT_EQ(slice.scripts[0].retries, 4u);
  EXPECT_EQ(slice.scripts[0].deadlock_retries, 4u);
  EXPECT_EQ(slice.aborted_clients, 0u);
  EXPECT_THAT(log_, SizeIs(6));
}

TEST_F(TextScriptTest, TriesWithoutALimitEndWithThePhase) {
  ServeAndLog({.error_sqlstate = "40001", .error_every = 1});
  Add("INSERT INTO t VALUES (1);").set_max_tries(0);
  AddClosed(1);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().errors > 3; });
  StopPhase();
  const Slice slice = End();
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].offered, 1u);
  EXPECT_GT(slice.scripts[0].retries, 2u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("40001", 1)));
}

TEST_F(TextScriptTest, OtherErrorsEndTheClientWhereTheScriptSaysSo) {
  ServeAndLog({.error_sqlstate = "23505", .error_every = 1});
  v1::Script& script = Add("INSERT INTO t VALUES (1);");
  script.set_continue_on_error(false);
  script.set_max_tries(5);
  assignment_.mutable_pool()->set_size(2);
  AddClosed(3);  // for an hour, unless all clients have ended
  AddOpen(1'000);
  ASSERT_TRUE(Open()) << failure();
  const Slice closed = Run(0);
  ExpectSums(closed.scripts[0]);
  EXPECT_EQ(closed.aborted_clients, 3u);
  EXPECT_THAT(Errors(closed.scripts[0].errors), ElementsAre(Pair("23505", 3)));
  EXPECT_EQ(closed.scripts[0].error_messages.at("23505"), "this statement was chosen to fail");
  // In open load a client is what uses a connection; in the next phase it is back.
  const Slice open = Run(1);
  ExpectSums(open.scripts[0]);
  EXPECT_EQ(open.aborted_clients, 2u);
}

TEST_F(TextScriptTest, OtherErrorsFailTheTransactionAndNoMore) {
  ServeAndLog({.error_sqlstate = "23505", .error_every = 2});
  Add("BEGIN;\nINSERT INTO t VALUES (1);\nEND;").set_max_tries(5);
  AddClosed(1, 4);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 2u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("23505", 2)));
  EXPECT_EQ(slice.scripts[0].retries, 0u);
  EXPECT_EQ(slice.aborted_clients, 0u);
}

TEST_F(TextScriptTest, AConnectionThatBreaksEndsTheClientWhereTheScriptSaysSo) {
  ServeAndLog({.delay = absl::Milliseconds(20)});
  Add("INSERT INTO t VALUES (1);").set_continue_on_error(false);
  AddClosed(1);
  AddClosed(1, 1);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements > 0; });
  server_->BreakConnections();
  const Slice slice = End();
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.aborted_clients, 1u);
  EXPECT_EQ(Run(1).scripts[0].transactions, 1u);
}

TEST_F(TextScriptTest, AScriptThatEndsInsideATransactionEndsItsClient) {
  ServeAndLog();
  Add("BEGIN;");
  const Slice slice = RunOnce();
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("in_transaction", 1)));
  EXPECT_EQ(slice.aborted_clients, 1u);
  EXPECT_THAT(log_, ElementsAre("Q BEGIN;", "Q ROLLBACK"));
}

TEST_F(TextScriptTest, AnExpressionWithoutAValueEndsItsClient) {
  ServeAndLog();
  Add("SELECT 1;\n\\set x 1 / :zero");
  (*assignment_.mutable_variables())["zero"] = "0";
  const Slice slice = RunOnce();
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("script_error", 1)));
  EXPECT_EQ(slice.scripts[0].error_messages.at("script_error"), "script:2:1: division by zero");
  EXPECT_EQ(slice.aborted_clients, 1u);
}

TEST_F(TextScriptTest, AScriptMayHaveNoStatement) {
  ServeAndLog();
  Add("\\set x 1");
  AddClosed(2, 1000);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(Run(0).scripts[0].transactions, 1000u);
}

TEST_F(TextScriptTest, ATransactionWithoutAStatementDoesNotInheritAFailure) {
  ServeAndLog({.error_sqlstate = "23505", .error_every = 1});
  Add("\\set n :n + 1\n\\if :n % 2 = 0\nINSERT INTO t VALUES (1);\n\\endif");
  (*assignment_.mutable_variables())["n"] = "0";
  AddClosed(1, 10);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 5u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("23505", 5)));
}

TEST_F(TextScriptTest, SleepsHoldNobodyUp) {
  ServeAndLog();
  assignment_.mutable_pool()->set_size(20);
  // One of them sleeps for longer than any test.
  Add("\\set ms 30\n\\if :client_id = 0\n\\set ms 1000000\n\\endif\n\\sleep :ms ms\nINSERT INTO t VALUES (1);");
  AddClosed(20);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements >= 2 * 19; });
  StopPhase(absl::ZeroDuration());
  const Slice slice = End();
  EXPECT_GE(slice.scripts[0].transactions, 19u);
  EXPECT_GE(slice.scripts[0].response.min_ns(), 30'000'000u);
}

TEST_F(TextScriptTest, APipelineIsAnsweredAsOne) {
  ServeAndLog();
  Add("\\startpipeline\nINSERT INTO t VALUES (:client_id);\n\\syncpipeline\nINSERT INTO t VALUES "
      "(2);\n\\endpipeline\n"
      "SELECT 3;",
      v1::QUERY_MODE_PREPARED);
  AddClosed(1, 2);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 2u);
  EXPECT_EQ(slice.scripts[0].rows, 4u);
  EXPECT_THAT(log_, ElementsAre("P INSERT INTO t VALUES ($1);", "P INSERT INTO t VALUES (2);", "B 0", "B",
                                "P SELECT 3;", "B", "B 0", "B", "B"));
}

TEST_F(TextScriptTest, AnErrorInAPipelineIsThatOfTheTransaction) {
  ServeAndLog({.error_sqlstate = "40001", .error_every = 3});
  Add("\\startpipeline\nBEGIN;\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\nEND;\n\\endpipeline",
      v1::QUERY_MODE_EXTENDED)
      .set_max_tries(2);
  AddClosed(1, 3);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 3u);
  EXPECT_GT(slice.scripts[0].retries, 0u);
  EXPECT_EQ(slice.connections_lost, 0u);
}

TEST_F(TextScriptTest, PipelinesAreUsedAsTheyCanBe) {
  ServeAndLog();
  for (const char* text :
       {"\\startpipeline\nSELECT 1;", "\\endpipeline", "\\syncpipeline", "\\startpipeline\n\\startpipeline",
        "\\startpipeline\nSELECT 1 \\gset\n\\endpipeline"}) {
    Add(text, v1::QUERY_MODE_EXTENDED);
  }
  AddClosed(50, 50);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  uint64_t failed = 0;
  for (const ScriptSlice& script : slice.scripts) {
    ExpectSums(script);
    EXPECT_THAT(Errors(script.errors), ElementsAre(Pair("pipeline_open", script.offered)));
    failed += script.offered;
  }
  EXPECT_EQ(slice.aborted_clients, failed);
  EXPECT_EQ(failed, 50u);
  EXPECT_EQ(slice.connections_lost, 0u);
}

TEST_F(TextScriptTest, CommandsOfTheShellRunBesideTheOthers) {
  ServeAndLog();
  assignment_.mutable_pool()->set_size(5);
  // One of them runs for longer than any test.
  Add("\\set n 6\n\\setshell x echo :n 7 | tr -d '\\040'\n\\if :client_id = 0\n\\shell sleep 1000\n\\endif\n"
      "INSERT INTO t VALUES (:x);");
  AddClosed(5);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements >= 8; });
  StopPhase(absl::ZeroDuration());
  EXPECT_GE(End().scripts[0].transactions, 4u);
  EXPECT_THAT(log_, testing::Each("Q INSERT INTO t VALUES (67);"));
}

TEST_F(TextScriptTest, ACommandOfTheShellThatFailsEndsItsClient) {
  ServeAndLog();
  Add("\\shell exit 3");
  Add("\\setshell x echo 1x");
  Add("\\setshell x true");
  AddClosed(30, 30);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  EXPECT_EQ(slice.aborted_clients, 30u);
  for (const ScriptSlice& script : slice.scripts) {
    EXPECT_THAT(Errors(script.errors), ElementsAre(Pair("shell_failed", script.offered)));
  }
}

TEST_F(TextScriptTest, ACommandOfTheShellIsKilledWhenItsTransactionIsGivenUp) {
  ServeAndLog();
  Add("\\shell sleep 1000");
  v1::Phase& phase = AddClosed(1);
  *phase.mutable_duration() = ToProto(absl::Milliseconds(10));
  *phase.mutable_drain_timeout() = ToProto(absl::Milliseconds(10));
  AddClosed(1);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_THAT(Errors(Run(0).scripts[0].errors), ElementsAre(Pair("unfinished", 1)));
}

TEST_F(TextScriptTest, CommandsAreMeasuredWhereTheScriptSaysSo) {
  ServeAndLog({.delay = absl::Milliseconds(5), .error_sqlstate = "40001", .error_every = 4});
  Add("\\set x 1\nINSERT INTO t VALUES (:x);\n\\sleep 10 ms").set_max_tries(2);
  assignment_.mutable_scripts(0)->set_per_command(true);
  AddClosed(1, 3);
  AddClosed(1, 1);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  const Slice slice = Run(1);
  const std::vector<CommandSlice>& commands = slice.scripts[0].commands;
  ASSERT_THAT(commands, SizeIs(3));
  EXPECT_EQ(commands[0].latency.count(), 2u);
  EXPECT_EQ(commands[1].latency.count(), 1u);
  EXPECT_EQ(commands[1].failures, 1u);
  EXPECT_EQ(commands[1].retries, 1u);
  EXPECT_GE(commands[1].latency.min_ns(), 5'000'000u);
  EXPECT_EQ(commands[2].latency.count(), 1u);
  EXPECT_GE(commands[2].latency.min_ns(), 10'000'000u);
  EXPECT_EQ(slice.ToInterval(0, 0).scripts(0).commands_size(), 3);
}

TEST_F(TextScriptTest, ASleepThatWasGivenUpIsNotMeasured) {
  ServeAndLog();
  Add("INSERT INTO t VALUES (1);\n\\sleep 1000 s").set_per_command(true);
  for (int phase = 0; phase < 2; ++phase) {
    *AddClosed(1).mutable_drain_timeout() = ToProto(absl::Milliseconds(10));
  }
  ASSERT_TRUE(Open()) << failure();
  for (uint32_t phase = 0; phase < 2; ++phase) {
    StartPhase(phase);
    WaitUntil([&] { return counts().statements > phase; });
    StopPhase();
    const ScriptSlice script = End().scripts[0];
    ExpectSums(script);
    EXPECT_EQ(script.commands[0].latency.count(), 1u);
    EXPECT_EQ(script.commands[1].latency.count(), 0u);
  }
}

TEST_F(TextScriptTest, OperationsAreNumberedAndWhatCameOfThemIsWrittenDown) {
  // Of each ten statements one is refused.
  ServeAndLog({.error_sqlstate = "23514", .error_every = 10});
  Add("INSERT INTO t VALUES (:trunkload_writer, :trunkload_operation);").set_recorded(true);
  Add("SELECT :trunkload_operation;").set_weight(0);
  assignment_.mutable_application_servers(0)->set_generation(2);
  AddClosed(2, 40);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  const auto writers = slice.scripts[0].ledger.writers();
  ASSERT_EQ(writers.size(), 2u);
  for (const auto& [writer, operations] : writers) {
    // The client's number, and how often its application server was given away.
    EXPECT_LT(writer & 0xffffffff, 2u);
    EXPECT_EQ(writer >> 32, 2u);
    EXPECT_EQ(operations->ended.ranges(), (std::vector<RangeSet::Range>{{1, 20}}));
    EXPECT_TRUE(operations->lost.empty());
  }
  EXPECT_EQ(slice.scripts[0].ledger.refused(), 4u);
  EXPECT_EQ(slice.scripts[0].ledger.acknowledged(), slice.scripts[0].transactions);
  EXPECT_TRUE(slice.scripts[1].ledger.empty());
  EXPECT_THAT(log_, testing::Contains("Q INSERT INTO t VALUES (8589934592, 20);"));
}

TEST_F(TextScriptTest, WhereAServerBehindTheServerEndedTheAnswerIsLost) {
  ServeAndLog({.error_sqlstate = "08006", .error_every = 2});
  Add("INSERT INTO t VALUES (:trunkload_operation);").set_recorded(true);
  AddClosed(1, 4);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  EXPECT_EQ(slice.scripts[0].ledger.lost(), 2u);
  EXPECT_EQ(slice.scripts[0].ledger.acknowledged(), 2u);
}

TEST_F(TextScriptTest, WhereTheConnectionBreaksTheAnswerIsLost) {
  ServeAndLog({.delay = absl::Milliseconds(20)});
  Add("INSERT INTO t VALUES (:trunkload_operation);").set_recorded(true);
  AddClosed(1);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements > 0; });
  server_->BreakConnections();
  WaitUntil([&] { return counts().sessions > 1; });
  StopPhase();
  const Slice slice = End();
  EXPECT_EQ(slice.scripts[0].ledger.lost(), 1u);
  EXPECT_EQ(slice.scripts[0].ledger.acknowledged(), slice.scripts[0].transactions);
}

TEST_F(TextScriptTest, WhatIsSeenIsHeldAgainstWhatWasExpected) {
  ServeAndLog();
  Add("\\set trunkload_key 17\n\\set trunkload_expected 5\n\\set trunkload_seen :trunkload_operation\nSELECT "
      "1;")
      .set_recorded(true);
  AddClosed(1, 12);
  ASSERT_TRUE(Open()) << failure();
  const v1::Findings findings = Run(0).scripts[0].findings;
  EXPECT_EQ(findings.looks(), 12u);
  EXPECT_EQ(findings.deviating(), 11u);
  EXPECT_EQ(findings.largest(), 7);
  ASSERT_EQ(findings.first_size(), kMostFindings);
  EXPECT_EQ(findings.first(0).operation(), 1u);
  EXPECT_EQ(findings.first(0).key(), 17);
  EXPECT_EQ(findings.first(0).expected(), 5);
  EXPECT_EQ(findings.first(0).seen(), 1);
}

TEST_F(TextScriptTest, OneThatLooksForNothingHasSeenNothing) {
  ServeAndLog();
  Add("\\set trunkload_expected 5\nSELECT 1;").set_recorded(true);
  ASSERT_EQ(RunOnce().scripts[0].findings.looks(), 0u);
}

TEST_F(TextScriptTest, EachClientOfAClosedPhaseStartsAsMany) {
  ServeAndLog();
  assignment_.mutable_pool()->set_size(2);
  // One of them is far slower than the others.
  Add("\\if :client_id = 0\n\\sleep 5 ms\n\\endif\nSELECT :client_id;");
  AddClosed(4, 41);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "Q SELECT 0;"), 11);
  for (const char* other : {"Q SELECT 1;", "Q SELECT 2;", "Q SELECT 3;"}) {
    EXPECT_EQ(std::count(log_.begin(), log_.end(), other), 10) << other;
  }
}

TEST_F(TextScriptTest, WhatIsLaterThanTheLimitIsSkippedOrCounted) {
  ServeAndLog({.delay = absl::Milliseconds(20)});
  Add("INSERT INTO t VALUES (1);");
  // Two come due while one is under way.
  *AddOpen(100, 20).mutable_latency_limit() = ToProto(absl::Milliseconds(15));
  *AddClosed(1, 3).mutable_latency_limit() = ToProto(absl::Milliseconds(15));
  ASSERT_TRUE(Open()) << failure();
  const Slice open = Run(0);
  ExpectSums(open.scripts[0]);
  EXPECT_GT(open.scripts[0].skipped, 3u);
  EXPECT_EQ(open.scripts[0].late, open.scripts[0].transactions);
  const Slice closed = Run(1);
  EXPECT_EQ(closed.scripts[0].skipped, 0u);
  EXPECT_EQ(closed.scripts[0].late, 3u);
}

TEST_F(TextScriptTest, EachTransactionIsLogged) {
  ServeAndLog({.error_sqlstate = "40001", .error_every = 3});
  Add("INSERT INTO t VALUES (1);");
  AddClosed(1, 6).set_log_sampling(1);
  AddClosed(1, 6);
  AddClosed(1, 1000).set_log_sampling(0.25);
  ASSERT_TRUE(Open()) << failure();
  const v1::Interval interval = Run(0).ToInterval(0, 0);
  const v1::TransactionLog& log = interval.log();
  EXPECT_THAT(log.client(), testing::Each(0));
  EXPECT_THAT(log.number(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(log.script(), SizeIs(6));
  EXPECT_THAT(log.outcome(),
              ElementsAre(v1::TransactionLog::OUTCOME_SUCCEEDED, v1::TransactionLog::OUTCOME_SUCCEEDED,
                          v1::TransactionLog::OUTCOME_SERIALIZATION, v1::TransactionLog::OUTCOME_SUCCEEDED,
                          v1::TransactionLog::OUTCOME_SUCCEEDED, v1::TransactionLog::OUTCOME_SERIALIZATION));
  EXPECT_TRUE(std::is_sorted(log.ended_us().begin(), log.ended_us().end()));
  EXPECT_THAT(log.response_us(), SizeIs(6));
  EXPECT_THAT(log.send_lag_us(), SizeIs(6));
  EXPECT_THAT(log.retries(), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(Run(1).log.client_size(), 0);
  EXPECT_NEAR(Run(2).log.client_size(), 250, 80);
}

}  // namespace
}  // namespace trunkload
