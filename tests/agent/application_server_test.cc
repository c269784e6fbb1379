#include "agent/application_server.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/duration.h"
#include "gmock/gmock.h"
#include "tests/agent/reactor_fixture.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSubsetOf;
using testing::Key;
using testing::Pair;

class ApplicationServerTest : public ReactorFixture {
 protected:
  v1::Pool& pool() { return *assignment_.mutable_pool(); }
  v1::Script& script() { return *assignment_.mutable_scripts(0); }
};

// --- Load.

TEST_F(ApplicationServerTest, AClosedPhaseStartsExactlySoMany) {
  Serve();
  AddApplicationServers(2);
  AddClosed(5, 17);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  const ScriptSlice& script = slice.scripts[0];
  ExpectSums(script);
  EXPECT_EQ(script.transactions, 51u);
  EXPECT_EQ(script.rows, 51u);
  EXPECT_EQ(counts().statements, 51u);
  EXPECT_EQ(counts().rows, 51u);
  EXPECT_GE(script.response.min_ns(), script.service.min_ns());
  EXPECT_GT(script.service.min_ns(), 0u);
}

TEST_F(ApplicationServerTest, FewerTransactionsThanClients) {
  Serve();
  AddClosed(5, 3);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(Run(0).scripts[0].offered, 3u);
  EXPECT_EQ(counts().statements, 3u);
}

TEST_F(ApplicationServerTest, ClientsThinkBetweenTransactions) {
  constexpr absl::Duration kThink = absl::Milliseconds(10);
  Serve();
  *AddClosed(2, 10).mutable_load()->mutable_closed()->mutable_think_time() = ToProto(kThink);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 10u);
  // The first of each client is due at once; one of the two then has four more at least.
  EXPECT_EQ(slice.schedule_lag.count(), 8u);
  EXPECT_GE(slice.last_completion_ns, 4 * ToInt64Nanoseconds(kThink));
}

TEST_F(ApplicationServerTest, AnOpenPhaseOffersExactlyWhatIsPlanned) {
  Serve();
  AddApplicationServers(2);
  for (const v1::Arrivals arrivals : {v1::ARRIVALS_CONSTANT, v1::ARRIVALS_POISSON}) {
    v1::Phase& phase = AddOpen(1'000);
    *phase.mutable_duration() = ToProto(absl::Milliseconds(100));
    phase.mutable_load()->mutable_open()->set_arrivals(arrivals);
    AddOpen(1'000, 20).mutable_load()->mutable_open()->set_arrivals(arrivals);
  }
  ASSERT_TRUE(Open()) << failure();
  const uint64_t planned[] = {100, 60, 100, 60};
  uint64_t sum = 0;
  for (uint32_t phase = 0; phase < 4; ++phase) {
    SCOPED_TRACE(phase);
    const Slice slice = Run(phase);
    ExpectSums(slice.scripts[0]);
    EXPECT_EQ(slice.scripts[0].offered, planned[phase]);
    EXPECT_EQ(slice.scripts[0].transactions, planned[phase]);
    EXPECT_EQ(slice.schedule_lag.count(), planned[phase]);
    sum += planned[phase];
  }
  EXPECT_EQ(counts().statements, sum);
}

TEST_F(ApplicationServerTest, ScriptsArePickedByWeight) {
  Serve();
  script().set_weight(3);
  v1::Script& batch = *assignment_.add_scripts();
  batch.set_builtin(v1::BUILTIN_INSERT_BATCH);
  (*batch.mutable_variables())["batch"] = "7";
  batch.set_weight(1);
  v1::Script& never = *assignment_.add_scripts();
  never.set_builtin(v1::BUILTIN_INSERT_SINGLE);
  never.set_weight(0);
  v1::Script& copy = *assignment_.add_scripts();
  copy.set_builtin(v1::BUILTIN_INSERT_COPY);
  (*copy.mutable_variables())["batch"] = "11";
  copy.set_weight(1);
  AddClosed(4, 500);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  uint64_t transactions = 0, rows = 0;
  for (const ScriptSlice& script : slice.scripts) {
    ExpectSums(script);
    transactions += script.transactions;
    rows += script.rows;
  }
  EXPECT_EQ(transactions, 500u);
  EXPECT_EQ(rows, counts().rows);
  // The seed is always the same.
  EXPECT_NEAR(static_cast<double>(slice.scripts[0].transactions), 300, 50);
  EXPECT_GT(slice.scripts[1].transactions, 0u);
  EXPECT_EQ(slice.scripts[1].rows, 7 * slice.scripts[1].transactions);
  EXPECT_EQ(slice.scripts[2].offered, 0u);
  EXPECT_GT(slice.scripts[3].transactions, 0u);
  EXPECT_EQ(slice.scripts[3].rows, 11 * slice.scripts[3].transactions);
}

// --- The line.

TEST_F(ApplicationServerTest, WhatComesDueWhileTheLineIsFullIsDropped) {
  Serve({.delay = absl::Hours(1)});
  pool().set_queue_limit(3);
  // What another phase's clients need is no room for this one.
  AddClosed(10);
  *AddOpen(10'000, 20).mutable_drain_timeout() = ToProto(absl::ZeroDuration());
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(1);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].offered, 20u);
  EXPECT_EQ(slice.scripts[0].dropped, 15u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("unfinished", 5)));
}

TEST_F(ApplicationServerTest, AClosedPhasesClientsMayAllWait) {
  Serve();
  pool().set_queue_limit(3);
  AddClosed(20, 100);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(Run(0).scripts[0].transactions, 100u);
}

TEST_F(ApplicationServerTest, WhatWaitsTooLongIsGivenUp) {
  Serve({.delay = absl::Hours(1)});
  *pool().mutable_acquire_timeout() = ToProto(absl::Milliseconds(20));
  AddOpen(10'000, 20);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  // The other two have the connections.
  WaitUntilMeasured([](const Slice& slice) { return Sum(slice.scripts[0].errors) == 18; });
  StopPhase(absl::ZeroDuration());
  const Slice slice = End();
  ExpectSums(slice.scripts[0]);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("pool_timeout", 18), Pair("unfinished", 2)));
  EXPECT_GE(slice.scripts[0].failed.min_ns(), 20'000'000u);
}

TEST_F(ApplicationServerTest, AClientThatWaitedTooLongTriesAgain) {
  Serve({.delay = absl::Hours(1)});
  *pool().mutable_acquire_timeout() = ToProto(absl::Milliseconds(5));
  AddClosed(3);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntilMeasured([](const Slice& slice) { return Sum(slice.scripts[0].errors) > 2; });
  StopPhase(absl::ZeroDuration());
  const Slice slice = End();
  ExpectSums(slice.scripts[0]);
  // The third's last one may wait still.
  EXPECT_THAT(Errors(slice.scripts[0].errors),
              ElementsAre(Pair("pool_timeout", testing::Gt(2)), Pair("unfinished", testing::Ge(2))));
}

// --- Pool modes.

TEST_F(ApplicationServerTest, InSessionModeAClientKeepsItsConnection) {
  Serve();
  pool().set_mode(v1::POOL_MODE_SESSION);
  AddClosed(5, 30);
  AddClosed(5, 30);
  ASSERT_TRUE(Open()) << failure();
  for (const uint32_t phase : {0u, 1u}) {
    const Slice slice = Run(phase);
    const ScriptSlice& script = slice.scripts[0];
    ExpectSums(script);
    EXPECT_EQ(script.transactions, 30u);
    // Two clients have theirs at once and for good; the others get one when those have done the rest.
    EXPECT_EQ(script.pool_wait.CountAbove(0), 3u);
  }
  EXPECT_EQ(counts().sessions, 2u);
}

TEST_F(ApplicationServerTest, InReconnectModeATransactionHasAConnectionOfItsOwn) {
  // Room for all that are open at the same time, but not for all that there are.
  Serve({.max_connections = 10});
  pool().set_mode(v1::POOL_MODE_RECONNECT);
  AddClosed(3, 30);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 30u);
  EXPECT_EQ(counts().statements, 30u);
  // One was to see that it can be opened.
  EXPECT_EQ(counts().sessions, 31u);
  // Opening it is waited for.
  EXPECT_GT(slice.scripts[0].pool_wait.min_ns(), 0u);
  EXPECT_EQ(slice.connections_lost, 0u);
}

// --- What goes wrong.

TEST_F(ApplicationServerTest, ErrorsCountBySqlstateAndTheConnectionStays) {
  Serve({.error_sqlstate = "40001", .error_every = 5});
  AddClosed(3, 50);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 40u);
  EXPECT_EQ(slice.scripts[0].rows, 40u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("40001", 10)));
  EXPECT_EQ(slice.connections_lost, 0u);
  EXPECT_EQ(counts().sessions, 2u);
}

TEST_F(ApplicationServerTest, InReconnectModeARefusedConnectionFailsItsTransaction) {
  Serve({.delay = absl::Milliseconds(5), .max_connections = 1});
  pool().set_mode(v1::POOL_MODE_RECONNECT);
  // Enough of them that a refused connection's back-off passes.
  AddClosed(2, 40);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].offered, 40u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Key("53300")));
  EXPECT_EQ(Errors(slice.connect_errors), Errors(slice.scripts[0].errors));
  // Only a transaction opens one.
  EXPECT_EQ(counts().sessions, 1 + slice.scripts[0].transactions);
  EXPECT_EQ(slice.connections_lost, 0u);
}

TEST_F(ApplicationServerTest, InReconnectModeATransactionMayBeGivenUpBeforeItsConnectionIsOpen) {
  // Takes longer to say welcome than the phase lasts.
  Serve({.piece_bytes = 4});
  pool().set_mode(v1::POOL_MODE_RECONNECT);
  v1::Phase& phase = AddClosed(2);
  *phase.mutable_duration() = ToProto(absl::Milliseconds(2));
  *phase.mutable_drain_timeout() = ToProto(absl::ZeroDuration());
  AddClosed(2, 4);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("unfinished", 2)));
  EXPECT_EQ(Run(1).scripts[0].transactions, 4u);
}

TEST_F(ApplicationServerTest, AnEndThatComesWithTheLastAnswerIsNoticedBeforeTheNextTransaction) {
  Serve({.statements_per_session = 1});
  pool().set_size(1);
  for (int i = 0; i < 3; ++i) AddClosed(1, 1);
  ASSERT_TRUE(Open()) << failure();
  for (const uint32_t phase : {0u, 1u, 2u}) {
    EXPECT_EQ(Run(phase).scripts[0].transactions, 1u);
    WaitUntil([&] { return counts().sessions == phase + 2; });
  }
}

class PoolModeTest : public ApplicationServerTest, public testing::WithParamInterface<v1::PoolMode> {
 protected:
  PoolModeTest() { pool().set_mode(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(, PoolModeTest,
                         testing::Values(v1::POOL_MODE_TRANSACTION, v1::POOL_MODE_SESSION,
                                         v1::POOL_MODE_RECONNECT),
                         [](const auto& info) {
                           return v1::PoolMode_Name(info.param).substr(sizeof("POOL_MODE_") - 1);
                         });

TEST_P(PoolModeTest, WhatTheDrainLeavesIsUnfinished) {
  Serve({.delay = absl::Hours(1)});
  for (int i = 0; i < 2; ++i) {
    v1::Phase& phase = AddClosed(5);
    *phase.mutable_duration() = ToProto(absl::Milliseconds(10));
    *phase.mutable_drain_timeout() = ToProto(absl::Milliseconds(10));
  }
  ASSERT_TRUE(Open()) << failure();
  uint64_t sessions = counts().sessions;
  for (const uint32_t phase : {0u, 1u}) {
    const Slice slice = Run(phase);
    ExpectSums(slice.scripts[0]);
    EXPECT_EQ(slice.scripts[0].offered, 5u);
    EXPECT_THAT(Errors(slice.scripts[0].errors), ElementsAre(Pair("unfinished", 5)));
    if (GetParam() == v1::POOL_MODE_RECONNECT) continue;
    // Connections that an answer is still to come on are not used again: others are opened.
    sessions += 2;
    WaitUntil([&] { return counts().sessions == sessions; });
  }
}

TEST_P(PoolModeTest, GoesOnWhenConnectionsBreak) {
  Serve({.delay = absl::Milliseconds(1)});
  pool().set_size(4);
  AddClosed(6);
  AddOpen(1'000);
  // In session mode, connections that are kept break while their clients think.
  *AddClosed(16).mutable_load()->mutable_closed()->mutable_think_time() = ToProto(absl::Milliseconds(3));
  ASSERT_TRUE(Open()) << failure();
  for (const uint32_t phase : {0u, 1u, 2u}) {
    SCOPED_TRACE(phase);
    const uint64_t before = counts().statements;
    uint64_t reached = before;
    const auto twenty_more = [&] { return counts().statements >= reached + 20; };
    StartPhase(phase);
    for (int i = 0; i < 3; ++i) {
      WaitUntil(twenty_more);
      server_->BreakConnections();
      reached = counts().statements;
    }
    WaitUntil(twenty_more);
    StopPhase();
    const Slice slice = End();
    const ScriptSlice& script = slice.scripts[0];
    ExpectSums(script);
    EXPECT_EQ(script.dropped, 0u);
    EXPECT_GT(slice.connections_lost + Sum(slice.connect_errors), 0u);
    // A connection takes no more than one transaction with it.
    EXPECT_LE(Sum(script.errors), 3 * 4u);
    EXPECT_THAT(Errors(script.errors), IsSubsetOf({Key("08006"), Key("08001")}));
    // An answer may get lost, but none is made up.
    const uint64_t answered = counts().statements - before;
    EXPECT_LE(script.transactions, answered);
    EXPECT_GE(script.transactions + Sum(script.errors), answered);
  }
}

TEST_P(PoolModeTest, EndsWhenTheServerIsGone) {
  Serve();
  *pool().mutable_acquire_timeout() = ToProto(absl::Milliseconds(20));
  AddOpen(1'000);
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements >= 20; });
  server_.reset();
  // Connections try to come back meanwhile.
  absl::SleepFor(absl::Milliseconds(100));
  StopPhase();
  const Slice slice = End();
  ExpectSums(slice.scripts[0]);
  EXPECT_GE(slice.scripts[0].transactions, 18u);
  EXPECT_THAT(Errors(slice.scripts[0].errors), IsSubsetOf({Key("08006"), Key("08001"), Key("pool_timeout")}));
  EXPECT_THAT(Errors(slice.connect_errors), IsSubsetOf({Key("08006"), Key("08001")}));
}

// --- What an answer looks like on its way.

struct Way {
  const char* name;
  v1::Builtin builtin;
  uint32_t batch;
  WireServerOptions server;
};

class AnswerTest : public ApplicationServerTest, public testing::WithParamInterface<Way> {};

// libpq reads 16 KiB at a time until it knows better: with a notice of 30,000 bytes, which arrive as one, a
// part of them stays in the socket. So many rows as below are more than a socket takes at once.
INSTANTIATE_TEST_SUITE_P(
    , AnswerTest,
    testing::Values(
        Way{"InPieces", v1::BUILTIN_INSERT_SINGLE, 1, {.piece_bytes = 12}},
        Way{"InPiecesToCopy", v1::BUILTIN_INSERT_COPY, 10, {.piece_bytes = 4}},
        Way{"Long", v1::BUILTIN_INSERT_SINGLE, 1, {.notice_bytes = 30'000}},
        Way{"LongToCopy", v1::BUILTIN_INSERT_COPY, 10, {.notice_bytes = 30'000}},
        Way{"VeryLongToCopy", v1::BUILTIN_INSERT_COPY, 10, {.notice_bytes = 300'000}},
        Way{"LongInPieces", v1::BUILTIN_INSERT_BATCH, 10, {.notice_bytes = 100'000, .piece_bytes = 30'000}},
        Way{"ToManyRows", v1::BUILTIN_INSERT_BATCH, 20'000, {}},
        Way{"ToACopyOfManyRows", v1::BUILTIN_INSERT_COPY, 100'000, {}}),
    [](const auto& info) { return info.param.name; });

TEST_P(AnswerTest, IsReadInFull) {
  Serve(GetParam().server);
  script().set_builtin(GetParam().builtin);
  (*script().mutable_variables())["batch"] = absl::StrCat(GetParam().batch);
  AddClosed(2, 10);
  ASSERT_TRUE(Open()) << failure();
  const Slice slice = Run(0);
  ExpectSums(slice.scripts[0]);
  EXPECT_EQ(slice.scripts[0].transactions, 10u);
  EXPECT_EQ(slice.scripts[0].rows, uint64_t{10} * GetParam().batch);
  EXPECT_EQ(counts().rows, uint64_t{10} * GetParam().batch);
  EXPECT_THAT(Errors(slice.scripts[0].errors), IsEmpty());
  EXPECT_EQ(slice.connections_lost, 0u);
}

}  // namespace
}  // namespace trunkload
