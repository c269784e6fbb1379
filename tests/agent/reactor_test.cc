#include "agent/reactor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/duration.h"
#include "gmock/gmock.h"
#include "tests/agent/reactor_fixture.h"

namespace trunkload {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A socket on a port of its own of 127.0.0.1, which refuses connections until it listens; then it lets them
// wait for an answer.
class LoopbackSocket {
 public:
  // 0: any port.
  explicit LoopbackSocket(uint16_t port = 0) {
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address = Address(port);
    bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  ~LoopbackSocket() { close(fd_); }

  std::string port() const {
    sockaddr_in address;
    socklen_t length = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    return absl::StrCat(ntohs(address.sin_port));
  }
  void Listen() { ASSERT_EQ(listen(fd_, 16), 0); }
  void ConnectTo(uint16_t port) {
    sockaddr_in address = Address(port);
    ASSERT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }

 private:
  static sockaddr_in Address(uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

// --- Getting ready.

class ReactorOpenTest : public ReactorFixture {
 protected:
  void SetConnectTimeout(absl::Duration timeout) {
    *assignment_.mutable_pool()->mutable_connect_timeout() = ToProto(timeout);
  }
};

TEST_F(ReactorOpenTest, IsReadyOnceAllConnectionsAreOpen) {
  Serve();
  AddApplicationServers(1);
  // More than are opened at the same time.
  assignment_.mutable_pool()->set_size(50);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(connections(), 100u);
  EXPECT_EQ(counts().sessions, 100u);
}

TEST_F(ReactorOpenTest, TriesOnlyOneConnectionWhereEachTransactionHasItsOwn) {
  Serve();
  assignment_.mutable_pool()->set_mode(v1::POOL_MODE_RECONNECT);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(connections(), 2u);
  EXPECT_EQ(counts().sessions, 1u);
}

TEST_F(ReactorOpenTest, GivesUpAtOnceWithAWrongPassword) {
  Serve({.password = "right"});
  assignment_.mutable_target()->set_conninfo(server_->conninfo() + " password=wrong-one");
  ASSERT_FALSE(Open());
  EXPECT_THAT(failure(), AllOf(HasSubstr("password authentication failed"), HasSubstr("28P01"),
                               Not(HasSubstr("wrong-one"))));
}

TEST_F(ReactorOpenTest, GivesUpAtOnceWhereAStatementCannotBePrepared) {
  for (const v1::PoolMode mode :
       {v1::POOL_MODE_TRANSACTION, v1::POOL_MODE_SESSION, v1::POOL_MODE_RECONNECT}) {
    SCOPED_TRACE(v1::PoolMode_Name(mode));
    Serve({.prepare_sqlstate = "42P01"});
    assignment_.mutable_pool()->set_mode(mode);
    ASSERT_FALSE(Open());
    EXPECT_THAT(failure(), AllOf(HasSubstr("can't be prepared"), HasSubstr("42P01")));
  }
}

TEST_F(ReactorOpenTest, TriesAgainUntilTheTimeoutWhereTheServerIsFull) {
  Serve({.max_connections = 1});
  SetConnectTimeout(absl::Milliseconds(150));
  const absl::Time before = absl::Now();
  ASSERT_FALSE(Open());
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(150));
  EXPECT_THAT(failure(), AllOf(HasSubstr("too many clients"), HasSubstr("53300")));
}

TEST_F(ReactorOpenTest, TriesAgainUntilThereIsRoom) {
  Serve({.max_connections = 2});
  auto guest = std::make_unique<LoopbackSocket>();
  guest->ConnectTo(server_->port());
  std::thread leaves([&] {
    WaitUntil([&] { return counts().sessions == 1; });
    guest.reset();
  });
  EXPECT_TRUE(Open()) << failure();
  leaves.join();
  EXPECT_EQ(connections(), 2u);
}

TEST_F(ReactorOpenTest, OpensWhatBreaksMeanwhileAgain) {
  Serve({.max_connections = 10});
  assignment_.mutable_pool()->set_size(10);
  LoopbackSocket guest;
  guest.ConnectTo(server_->port());
  std::thread breaks([&] {
    WaitUntil([&] { return counts().sessions == 9; });
    server_->BreakConnections();
  });
  EXPECT_TRUE(Open()) << failure();
  breaks.join();
  EXPECT_EQ(connections(), 10u);
  EXPECT_EQ(counts().sessions, 9u + 10u);
}

TEST_F(ReactorOpenTest, TriesAgainUntilTheTimeoutWhereNobodyListens) {
  const LoopbackSocket nobody;
  assignment_.mutable_target()->set_conninfo("host=127.0.0.1 port=" + nobody.port());
  SetConnectTimeout(absl::Milliseconds(150));
  ASSERT_FALSE(Open());
  EXPECT_THAT(failure(), AllOf(HasSubstr("refused"), HasSubstr("08001")));
}

TEST_F(ReactorOpenTest, GivesUpOnAServerThatNeverAnswers) {
  LoopbackSocket silent;
  silent.Listen();
  assignment_.mutable_target()->set_conninfo("host=127.0.0.1 port=" + silent.port());
  SetConnectTimeout(absl::Milliseconds(50));
  ASSERT_FALSE(Open());
  EXPECT_THAT(failure(), AllOf(HasSubstr("did not answer in time"), HasSubstr("08001")));
}

TEST_F(ReactorOpenTest, GoesOnToTheNextAddressWhereOneRefuses) {
  Serve();
  const LoopbackSocket nobody;
  assignment_.mutable_target()->set_conninfo(absl::StrCat(
      "host=127.0.0.1,127.0.0.1 dbname=bench user=bench port=", nobody.port(), ",", server_->port()));
  SetConnectTimeout(absl::Seconds(5));
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(counts().sessions, 2u);
}

// --- Phases.

class ReactorPhaseTest : public ReactorFixture {};

TEST_F(ReactorPhaseTest, OneAfterTheOtherOnTheSameConnections) {
  Serve();
  AddClosed(2, 10);
  AddOpen(1'000, 20);
  ASSERT_TRUE(Open()) << failure();
  EXPECT_EQ(Run(0).scripts[0].transactions, 10u);
  EXPECT_EQ(Run(1).scripts[0].transactions, 20u);
  EXPECT_EQ(counts().statements, 30u);
  EXPECT_EQ(counts().sessions, 2u);
}

TEST_F(ReactorPhaseTest, WaitsForItsInstant) {
  Serve();
  AddClosed(2, 10);
  ASSERT_TRUE(Open()) << failure();
  const absl::Time before = absl::Now();
  StartPhase(0, absl::Milliseconds(50));
  const Slice slice = End();
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(50));
  EXPECT_EQ(slice.scripts[0].transactions, 10u);
}

// What came due before the reactor took notice counts from when it was due.
TEST_F(ReactorPhaseTest, AnInstantThatHasPassedIsMadeUpFor) {
  Serve();
  *AddOpen(100).mutable_duration() = ToProto(absl::Milliseconds(1'300));
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0, absl::Milliseconds(-900));
  const Slice slice = End();
  const ScriptSlice& script = slice.scripts[0];
  ExpectSums(script);
  EXPECT_EQ(script.transactions, 130u);
  EXPECT_GE(script.response.max_ns(), 900'000'000u);
  EXPECT_GE(script.send_lag.max_ns(), 900'000'000u);
  EXPECT_GE(slice.schedule_lag.max_ns(), 900'000'000u);
  EXPECT_EQ(slice.schedule_lag.count(), 130u);
  EXPECT_GE(slice.last_completion_ns, 1'290'000'000u);
  // The second that ended within the phase was told at its end.
  EXPECT_GE(slices_told(), 1);
  EXPECT_GE(slices(), 2);
  EXPECT_EQ(slice.first_second, 0u);
  EXPECT_GE(slice.last_second, 1u);
}

TEST_F(ReactorPhaseTest, StoppedBeforeItsInstantNothingStarts) {
  Serve();
  AddClosed(4);
  AddOpen(1'000);
  AddClosed(2, 10);
  ASSERT_TRUE(Open()) << failure();
  for (const uint32_t phase : {0u, 1u}) {
    StartPhase(phase, absl::Hours(1));
    StopPhase();
    const Slice slice = End();
    EXPECT_EQ(slice.scripts[0].offered, 0u);
    EXPECT_EQ(slice.last_completion_ns, 0u);
    EXPECT_EQ(counts().statements, 0u);
  }
  // An end that comes a second time is none of the next phase's.
  StopPhase();
  EXPECT_EQ(Run(2).scripts[0].transactions, 10u);
}

TEST_F(ReactorPhaseTest, StoppedInItsMiddleWhatIsUnderWayEnds) {
  Serve({.delay = absl::Milliseconds(1)});
  AddClosed(4);
  AddOpen(1'000);
  ASSERT_TRUE(Open()) << failure();
  for (const uint32_t phase : {0u, 1u}) {
    const uint64_t before = counts().statements;
    StartPhase(phase);
    WaitUntil([&] { return counts().statements >= before + 20; });
    StopPhase();
    const Slice slice = End();
    ExpectSums(slice.scripts[0]);
    EXPECT_EQ(slice.scripts[0].transactions, slice.scripts[0].offered);
    EXPECT_EQ(slice.scripts[0].transactions, counts().statements - before);
  }
}

// A phase that nothing holds up ends by its timers alone; it doesn't wait for the next thing to happen, which
// would be the end of a second. A machine that is busy may hold some of them up.
TEST_F(ReactorPhaseTest, EndsAsSoonAsNothingIsLeft) {
  constexpr uint32_t kPhases = 30;
  Serve();
  for (uint32_t i = 0; i < kPhases; ++i) {
    *AddOpen(100).mutable_duration() = ToProto(absl::Milliseconds(20));
  }
  ASSERT_TRUE(Open()) << failure();
  absl::Duration shortest = absl::InfiniteDuration();
  for (uint32_t phase = 0; phase < kPhases && shortest >= absl::Milliseconds(900); ++phase) {
    const absl::Time before = absl::Now();
    EXPECT_EQ(Run(phase).scripts[0].transactions, 2u);
    shortest = std::min(shortest, absl::Now() - before);
  }
  EXPECT_LT(shortest, absl::Milliseconds(900));
}

TEST_F(ReactorPhaseTest, ConnectionsThatBreakInBetweenAreThereForTheNext) {
  Serve();
  AddClosed(2, 10);
  // More clients than connections, none of which may serve two of them at a time.
  AddClosed(4, 20);
  ASSERT_TRUE(Open()) << failure();
  Run(0);
  server_->BreakConnections();
  WaitUntil([&] { return counts().sessions == 4; });
  const Slice slice = Run(1);
  EXPECT_EQ(slice.scripts[0].transactions, 20u);
  EXPECT_EQ(slice.connections_lost, 0u);
  EXPECT_THAT(Errors(slice.connect_errors), IsEmpty());
}

TEST_F(ReactorPhaseTest, ConnectionsThatWaitForTheirTurnToBeOpenedServeNobody) {
  Serve({.delay = absl::Milliseconds(20)});
  v1::Script& script = *assignment_.mutable_scripts(0);
  script.clear_builtin();
  script.set_text("INSERT INTO t VALUES (1);");
  script.set_query_mode(v1::QUERY_MODE_SIMPLE);
  script.set_max_tries(1);
  // More than are opened at the same time.
  assignment_.mutable_pool()->set_size(40);
  // The first ends with its clients, which are as many as there are connections.
  AddOpen(100'000);
  *AddOpen(1'000).mutable_drain_timeout() = ToProto(absl::ZeroDuration());
  ASSERT_TRUE(Open()) << failure();
  StartPhase(0);
  WaitUntil([&] { return counts().statements >= 40; });
  const uint16_t port = server_->port();
  server_.reset();
  LoopbackSocket silent(port);
  silent.Listen();
  EXPECT_EQ(End().aborted_clients, 40u);
  // Long enough for the first back-off of all.
  absl::SleepFor(absl::Milliseconds(200));
  StartPhase(1);
  absl::SleepFor(absl::Milliseconds(50));
  StopPhase();
  const Slice second = End();
  ExpectSums(second.scripts[0]);
  EXPECT_GT(second.scripts[0].offered, 0u);
  // All waited for a connection.
  EXPECT_EQ(Errors(second.scripts[0].errors).size(), 1u);
  EXPECT_EQ(second.connections_lost, 0u);
}

}  // namespace
}  // namespace trunkload
