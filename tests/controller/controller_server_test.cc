#include "controller/controller_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "common/clock.h"
#include "controller/control_client.h"
#include "controller/controller_thread.h"

namespace trunkload {
namespace {

using ::testing::HasSubstr;

class ControllerServerTest : public ::testing::Test {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::AgentMessage, v1::ControllerMessage>;

  struct Agent {
    grpc::ClientContext context;
    std::unique_ptr<v1::FleetService::Stub> stub;
    std::unique_ptr<Stream> stream;
  };

  void SetUp() override {
    auto listened = ControllerServer::Listen({"127.0.0.1:0"}, clock_, controller_);
    ASSERT_TRUE(listened.ok()) << listened.status();
    server_ = *std::move(listened);
  }

  std::unique_ptr<Agent> Join(const std::string& name) {
    auto agent = std::make_unique<Agent>();
    agent->stub = v1::FleetService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
    agent->stream = agent->stub->Join(&agent->context);
    v1::AgentMessage message;
    message.mutable_hello()->set_protocol(2);
    message.mutable_hello()->set_name(name);
    message.mutable_hello()->set_instance(++last_instance_);
    message.mutable_hello()->set_cpus(1);
    EXPECT_TRUE(agent->stream->Write(message));
    return agent;
  }

  uint64_t last_instance_ = 0;
  const SystemClock clock_{};
  ControllerThread controller_{clock_};
  std::unique_ptr<ControllerServer> server_;
};

TEST_F(ControllerServerTest, AgentThatJoinsHasItsClockReadUntilTheControllerStops) {
  auto agent = Join("one");
  v1::ControllerMessage message;
  ASSERT_TRUE(agent->stream->Read(&message));
  EXPECT_TRUE(message.has_clock_probe());
  controller_.Stop();
  while (agent->stream->Read(&message)) {
  }
  EXPECT_EQ(agent->stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ControllerServerTest, NameThatIsTakenIsRefusedAndFreeAgainAfterwards) {
  auto first = Join("same");
  v1::ControllerMessage message;
  ASSERT_TRUE(first->stream->Read(&message));
  auto second = Join("same");
  EXPECT_FALSE(second->stream->Read(&message));
  EXPECT_EQ(second->stream->Finish().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  first->context.TryCancel();
  while (first->stream->Read(&message)) {
  }
  first->stream->Finish();
  // The news of the first one's end may be on its way still.
  bool joined = false;
  for (int i = 0; i < 100 && !joined; ++i) joined = Join("same")->stream->Read(&message);
  EXPECT_TRUE(joined);
  controller_.Stop();
}

TEST_F(ControllerServerTest, TakenPortIsRefused) {
  const auto second = ControllerServer::Listen({server_->address()}, clock_, controller_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another program listens there"));
  controller_.Stop();
}

TEST_F(ControllerServerTest, AddressWithoutPortIsWrongUsage) {
  EXPECT_TRUE(absl::IsInvalidArgument(ControllerServer::Listen({"localhost"}, clock_, controller_).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ControllerServer::Listen({"[::1]:99999"}, clock_, controller_).status()));
  controller_.Stop();
}

class LastWord : public RunFollower {
 public:
  void OnProgress(const v1::Progress&) override {}
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override { status = result.status(); }
  absl::Status status;
};

TEST_F(ControllerServerTest, PlanWithAPasswordIsRefused) {
  v1::RunRequest request;
  v1::Plan& plan = *request.mutable_plan();
  plan.set_name("p");
  plan.mutable_target()->set_conninfo("postgresql://u:geheim@127.0.0.1:1/d");
  plan.add_scripts()->set_builtin(v1::BUILTIN_SELECT_ONLY);
  v1::Phase& phase = *plan.add_phases();
  phase.set_name("p");
  phase.set_transactions(1);
  phase.mutable_load()->mutable_closed()->set_clients(1);
  LastWord last;
  (*ControlClient::Open(server_->address()))->Run(request, last);
  EXPECT_TRUE(absl::IsInvalidArgument(last.status)) << last.status;
  EXPECT_THAT(std::string(last.status.message()), HasSubstr("~/.pgpass"));
  EXPECT_THAT(std::string(last.status.message()), testing::Not(HasSubstr("geheim")));
  controller_.Stop();
}

TEST_F(ControllerServerTest, PlanFromElsewhereIsCheckedAgain) {
  LastWord last;
  (*ControlClient::Open(server_->address()))->Run(v1::RunRequest(), last);
  EXPECT_TRUE(absl::IsInvalidArgument(last.status)) << last.status;
  controller_.Stop();
}

TEST_F(ControllerServerTest, ControllerThatIsNotThereIsNamed) {
  const std::string address = server_->address();
  controller_.Stop();
  server_.reset();
  LastWord last;
  (*ControlClient::Open(address))->Run(v1::RunRequest(), last);
  EXPECT_TRUE(absl::IsUnavailable(last.status));
  EXPECT_THAT(std::string(last.status.message()), HasSubstr("no controller answers at " + address));
}

}  // namespace
}  // namespace trunkload
