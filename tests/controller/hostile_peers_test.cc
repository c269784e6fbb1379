// Whatever comes over the network: it is refused with a status, the controller lives, and agents that are
// there notice nothing.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/message_limits.h"
#include "controller/controller_server.h"
#include "controller/controller_thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trunkload {
namespace {

// An agent that does what it ought to: answers probes, and sends heartbeats.
class GoodAgent {
 public:
  GoodAgent(const std::string& address, uint64_t instance)
      : stub_(v1::FleetService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Join(&join_)),
        heartbeats_(stub_->KeepAlive(&keep_alive_)) {
    v1::AgentMessage hello;
    hello.mutable_hello()->set_protocol(2);
    hello.mutable_hello()->set_name("good-" + std::to_string(instance));
    hello.mutable_hello()->set_instance(instance);
    stream_->Write(hello);
    v1::ControllerMessage first;
    EXPECT_TRUE(stream_->Read(&first));
    Answer(first);
    reader_ = std::thread([this] {
      v1::ControllerMessage message;
      while (stream_->Read(&message)) Answer(message);
      ended_ = true;
    });
    heartbeat_.set_instance(instance);
  }
  ~GoodAgent() {
    join_.TryCancel();
    keep_alive_.TryCancel();
    reader_.join();
  }

  // Is in the fleet, and is heard.
  bool IsWell() {
    heartbeat_.set_number(heartbeat_.number() + 1);
    v1::HeartbeatReply reply;
    return !ended_ && heartbeats_->Write(heartbeat_) && heartbeats_->Read(&reply) &&
           reply.number() == heartbeat_.number();
  }

 private:
  void Answer(const v1::ControllerMessage& message) {
    if (!message.has_clock_probe()) return;
    v1::AgentMessage reply;
    reply.mutable_clock_reply()->set_number(message.clock_probe().number());
    reply.mutable_clock_reply()->set_received_ns(clock_.MonotonicNanos());
    reply.mutable_clock_reply()->set_sent_ns(clock_.MonotonicNanos());
    stream_->Write(reply);
  }

  const SystemClock clock_{};
  std::unique_ptr<v1::FleetService::Stub> stub_;
  grpc::ClientContext join_;
  grpc::ClientContext keep_alive_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::ControllerMessage>> stream_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::Heartbeat, v1::HeartbeatReply>> heartbeats_;
  v1::Heartbeat heartbeat_;
  std::atomic<bool> ended_{false};
  std::thread reader_;
};

class HostilePeersTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listened = ControllerServer::Listen({"127.0.0.1:0"}, clock_, controller_);
    ASSERT_TRUE(listened.ok()) << listened.status();
    server_ = *std::move(listened);
    for (const uint64_t instance : {1, 2})
      good_.push_back(std::make_unique<GoodAgent>(server_->address(), instance));
  }
  void TearDown() override {
    good_.clear();
    controller_.Stop();
  }

  void ExpectAllIsWell() {
    for (const auto& agent : good_) EXPECT_TRUE(agent->IsWell());
  }

  // How a call ends: by what the server makes of its messages, by that and their end, or when the caller has had enough,
  // for a stream that is well-formed may go on for ever.
  enum class End { kServers, kServersAfterHalfClose, kCallers };

  // One call with these messages, whatever they are, and the status that it ends with.
  grpc::Status Call(const std::string& method, const std::vector<std::string>& messages, End end) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel =
        grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments);
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    // The status that is expected is never that of a deadline: a long one only ends a test that fails.
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(end == End::kCallers ? 100 : 120'000));
    grpc::CompletionQueue queue;
    grpc::ByteBuffer answer;
    const auto wait = [&queue] {
      void* tag;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto call = stub.PrepareCall(&context, method, &queue);
    call->StartCall(nullptr);
    bool open = wait();
    for (const std::string& message : messages) {
      if (!open) break;
      const grpc::Slice slice(message);
      const grpc::ByteBuffer bytes(&slice, 1);
      call->Write(bytes, nullptr);
      open = wait();
    }
    if (open && end != End::kServers) {
      call->WritesDone(nullptr);
      wait();
    }
    // The status comes behind all that is to be read.
    for (bool more = true; more; more = wait()) {
      answer.Clear();
      call->Read(&answer, nullptr);
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    wait();
    queue.Shutdown();
    while (wait()) {
    }
    return status;
  }

  const SystemClock clock_{};
  ControllerThread controller_{clock_};
  std::unique_ptr<ControllerServer> server_;
  std::vector<std::unique_ptr<GoodAgent>> good_;
  std::mt19937 random_{1};
};

constexpr char kJoin[] = "/trunkload.v1.FleetService/Join";
constexpr char kKeepAlive[] = "/trunkload.v1.FleetService/KeepAlive";
const char* const kMethods[] = {kJoin, kKeepAlive, "/trunkload.v1.ControlService/Run",
                                "/trunkload.v1.ControlService/Cancel", "/trunkload.v1.ControlService/Follow"};

std::string Hello(const std::string& name, uint64_t instance) {
  v1::AgentMessage message;
  message.mutable_hello()->set_protocol(2);
  message.mutable_hello()->set_name(name);
  message.mutable_hello()->set_instance(instance);
  return message.SerializeAsString();
}

TEST_F(HostilePeersTest, BytesThatAreNoMessages) {
  for (int round = 0; round < 400; ++round) {
    const std::string method = kMethods[static_cast<size_t>(round) % std::size(kMethods)];
    std::string garbage(1 + random_() % 2000, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random_());
    // No field has number 0, so that it can't be a message by chance.
    garbage[0] = 0;
    // Our own word on streams; of calls with one message, gRPC's.
    const bool stream = method == kJoin || method == kKeepAlive;
    EXPECT_EQ(Call(method, {garbage}, End::kServersAfterHalfClose).error_code(),
              stream ? grpc::StatusCode::INVALID_ARGUMENT : grpc::StatusCode::UNIMPLEMENTED)
        << method;
    ExpectAllIsWell();
  }
  ExpectAllIsWell();
}

TEST_F(HostilePeersTest, MessagesThatAreTooLarge) {
  const std::string large(static_cast<size_t>(kMaxMessageBytes) + 1024, 'x');
  for (const char* method : {kJoin, kKeepAlive}) {
    EXPECT_EQ(Call(method, {large}, End::kServers).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << method;
  }
  ExpectAllIsWell();
}

TEST_F(HostilePeersTest, MessagesOutOfOrder) {
  v1::AgentMessage interval;
  interval.mutable_interval()->set_run_id("no such run");
  v1::AgentMessage reply;
  reply.mutable_clock_reply()->set_number(77);
  const std::string unnumbered = interval.SerializeAsString();
  EXPECT_EQ(Call(kJoin, {unnumbered}, End::kServers).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Call(kJoin, {Hello("bad-1", 11), Hello("bad-1", 11)}, End::kServers).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Call(kJoin, {Hello("bad-2", 12), unnumbered}, End::kServers).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(kJoin, {Hello("bad-3", 13), reply.SerializeAsString()}, End::kServers).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call(kJoin, {Hello("good-1", 14)}, End::kServers).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  v1::Heartbeat stranger;
  stranger.set_instance(4711);
  EXPECT_EQ(Call(kKeepAlive, {stranger.SerializeAsString()}, End::kServers).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::CancelRequest cancel;
  cancel.set_run_id("no such run");
  EXPECT_EQ(Call("/trunkload.v1.ControlService/Cancel", {cancel.SerializeAsString()}, End::kServersAfterHalfClose).error_code(),
            grpc::StatusCode::NOT_FOUND);
  ExpectAllIsWell();
}

// Messages as agents send them, with bits turned over.
TEST_F(HostilePeersTest, DamagedMessages) {
  v1::AgentMessage interval;
  interval.set_sequence(1);
  interval.mutable_interval()->set_run_id("r");
  interval.mutable_interval()->add_scripts()->mutable_response()->add_count(3);
  v1::AgentMessage ended;
  ended.set_sequence(2);
  ended.mutable_phase_ended()->set_run_id("r");
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> messages = {Hello("bad", 100 + static_cast<uint64_t>(round)),
                                         interval.SerializeAsString(), ended.SerializeAsString()};
    std::string& damaged = messages[random_() % messages.size()];
    for (int i = 0; i < 3; ++i) damaged[random_() % damaged.size()] ^= static_cast<char>(1 << random_() % 8);
    Call(kJoin, messages, End::kCallers);
    ExpectAllIsWell();
  }
  ExpectAllIsWell();
}

}  // namespace
}  // namespace trunkload
