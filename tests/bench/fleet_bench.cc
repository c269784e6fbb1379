// What a controller costs by the number of its agents: agents without a load, each with its own connection,
// heartbeats and an interval a second, against a controller in a process of its own. tests/bench/run drives
// this.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/file_limit.h"
#include "common/histogram.h"
#include "trunkload/v1/control.grpc.pb.h"
#include "trunkload/v1/fleet.grpc.pb.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// As an agent that runs a hundred transactions a second would tell of them.
v1::Interval SomeInterval(std::mt19937_64& random) {
  v1::Interval interval;
  Histogram response;
  Histogram small;
  for (int i = 0; i < 100; ++i) {
    response.Record(static_cast<int64_t>(500'000 + random() % 3'000'000));
    small.Record(static_cast<int64_t>(random() % 200'000));
  }
  v1::ScriptInterval& script = *interval.add_scripts();
  script.set_offered(100);
  script.set_transactions(100);
  script.set_rows(100);
  *script.mutable_response() = *script.mutable_service() = response.ToProto();
  *script.mutable_pool_wait() = *script.mutable_send_lag() = *interval.mutable_schedule_lag() =
      small.ToProto();
  interval.set_busiest_reactor(0.1);
  return interval;
}

// One agent's stream. Its callbacks come on gRPC's threads, intervals from the bench's.
class BenchAgent : public grpc::ClientBidiReactor<v1::AgentMessage, v1::ControllerMessage> {
 public:
  BenchAgent(const std::string& controller, uint64_t number) : instance_(number + 1) {
    grpc::ChannelArguments arguments;
    // A connection for each, as on machines of their own.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::FleetService::NewStub(
        grpc::CreateCustomChannel(controller, grpc::InsecureChannelCredentials(), arguments));
    stub_->async()->Join(&context_, this);
    v1::AgentMessage message;
    message.mutable_hello()->set_protocol(2);
    message.mutable_hello()->set_name(absl::StrCat("bench-", number));
    message.mutable_hello()->set_instance(instance_);
    AddHold();
    StartRead(&incoming_);
    StartCall();
    Send(std::move(message));
  }

  void Tick(const v1::Interval& interval, int64_t now_ns) {
    Beat();
    absl::MutexLock lock(&mutex_);
    if (start_ns_ == 0 || now_ns < start_ns_ + kSecond) return;
    const int64_t second = std::min(seconds_, (now_ns - start_ns_) / kSecond) - 1;
    if (second < next_second_) return;
    // A turn that came late tells of two.
    for (; next_second_ < second; ++next_second_) SendInterval(interval, next_second_);
    SendInterval(interval, second);
    next_second_ = second + 1;
    if (second + 1 < seconds_) return;
    v1::AgentMessage message;
    message.mutable_phase_ended()->set_run_id(run_id_);
    message.mutable_phase_ended()->set_intervals(next_number_);
    message.mutable_phase_ended()->set_started_ns(start_ns_);
    SendSequenced(std::move(message));
    start_ns_ = 0;
  }
  void SendInterval(const v1::Interval& interval, int64_t second) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    v1::AgentMessage message;
    *message.mutable_interval() = interval;
    message.mutable_interval()->set_run_id(run_id_);
    message.mutable_interval()->set_number(next_number_++);
    message.mutable_interval()->set_first_second(static_cast<uint32_t>(second));
    message.mutable_interval()->set_last_second(static_cast<uint32_t>(second));
    SendSequenced(std::move(message));
  }
  static std::atomic<int> joined;
  static std::atomic<int> broken;
  static std::atomic<uint64_t> acknowledged;

 private:
  class Heartbeats : public grpc::ClientBidiReactor<v1::Heartbeat, v1::HeartbeatReply> {
   public:
    Heartbeats(v1::FleetService::Stub& stub, uint64_t instance) {
      heartbeat_.set_instance(instance);
      stub.async()->KeepAlive(&context_, this);
      AddHold();
      StartRead(&reply_);
      StartCall();
    }
    void Beat() {
      if (writing_.exchange(true)) return;
      heartbeat_.set_number(heartbeat_.number() + 1);
      StartWrite(&heartbeat_);
    }
    void OnWriteDone(bool /*ok*/) override { writing_ = false; }
    void OnReadDone(bool ok) override {
      if (ok) return StartRead(&reply_);
      RemoveHold();
    }

   private:
    grpc::ClientContext context_;
    v1::Heartbeat heartbeat_;
    v1::HeartbeatReply reply_;
    std::atomic<bool> writing_{false};
  };

  void Beat() {
    if (welcome_) {
      if (!heartbeats_) heartbeats_ = std::make_unique<Heartbeats>(*stub_, instance_);
      heartbeats_->Beat();
    }
  }
  void SendSequenced(v1::AgentMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    message.set_sequence(++sequence_);
    unsent_.push_back(std::move(message));
    if (unsent_.size() == 1) StartWrite(&unsent_.front());
  }
  void Send(v1::AgentMessage message) {
    absl::MutexLock lock(&mutex_);
    unsent_.push_back(std::move(message));
    if (unsent_.size() == 1) StartWrite(&unsent_.front());
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return;
    absl::MutexLock lock(&mutex_);
    unsent_.pop_front();
    if (!unsent_.empty()) StartWrite(&unsent_.front());
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      ++broken;
      return RemoveHold();
    }
    const int64_t received_ns = clock_.MonotonicNanos();
    if (!welcome_.exchange(true)) ++joined;
    v1::AgentMessage reply;
    if (incoming_.has_clock_probe()) {
      reply.mutable_clock_reply()->set_number(incoming_.clock_probe().number());
      reply.mutable_clock_reply()->set_received_ns(received_ns);
      reply.mutable_clock_reply()->set_sent_ns(received_ns);
      Send(std::move(reply));
    } else if (incoming_.has_assignment()) {
      absl::MutexLock lock(&mutex_);
      run_id_ = incoming_.assignment().run_id();
      seconds_ = incoming_.assignment().phases(0).duration().seconds();
      reply.mutable_ready()->set_run_id(run_id_);
      reply.mutable_ready()->set_version(incoming_.assignment().version());
      SendSequenced(std::move(reply));
    } else if (incoming_.has_start_phase()) {
      absl::MutexLock lock(&mutex_);
      start_ns_ = incoming_.start_phase().start_ns();
    } else if (incoming_.has_acknowledge()) {
      ++acknowledged;
    }
    StartRead(&incoming_);
  }

  const uint64_t instance_;
  const SystemClock clock_;
  std::unique_ptr<v1::FleetService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ControllerMessage incoming_;
  std::atomic<bool> welcome_{false};
  std::unique_ptr<Heartbeats> heartbeats_;
  absl::Mutex mutex_;
  std::deque<v1::AgentMessage> unsent_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string run_id_ ABSL_GUARDED_BY(mutex_);
  int64_t seconds_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t start_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_second_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::atomic<int> BenchAgent::joined{0};
std::atomic<int> BenchAgent::broken{0};
std::atomic<uint64_t> BenchAgent::acknowledged{0};

int Main(int argc, char** argv) {
  std::string controller;
  int count = 2000;
  CLI::App app("Agents without a load, an interval a second each, until this is killed.");
  app.add_option("--controller", controller)->required();
  app.add_option("--agents", count);
  CLI11_PARSE(app, argc, argv);
  RaiseFileLimit();
  std::mt19937_64 random(1);
  std::vector<v1::Interval> intervals;
  for (int i = 0; i < 16; ++i) intervals.push_back(SomeInterval(random));
  std::deque<BenchAgent> agents;
  for (int i = 0; i < count; ++i) {
    agents.emplace_back(controller, static_cast<uint64_t>(i));
    while (i - BenchAgent::joined > 50) absl::SleepFor(absl::Milliseconds(1));
    // Those that are there already must be heard.
    if (i % 200 == 199) {
      for (int j = 0; j < i; ++j) agents[static_cast<size_t>(j)].Tick(intervals[0], 0);
    }
  }
  std::cout << "joined" << std::endl;
  const SystemClock clock;
  // Agents take their turns over the second, as they would.
  for (int64_t turn = 0;; ++turn) {
    const int64_t began_ns = clock.MonotonicNanos();
    for (size_t i = 0; i < agents.size(); ++i) {
      agents[i].Tick(intervals[(i + static_cast<size_t>(turn)) % intervals.size()], clock.MonotonicNanos());
      const int64_t due_ns = began_ns + static_cast<int64_t>(i + 1) * kSecond / count;
      const int64_t early_ns = due_ns - clock.MonotonicNanos();
      if (early_ns > 1'000'000) absl::SleepFor(absl::Nanoseconds(early_ns));
    }
    if (BenchAgent::broken > 0) {
      std::cerr << BenchAgent::broken << " streams broke" << std::endl;
      return 1;
    }
  }
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}
