#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/controller.h"
#include "controller/plan/plan_check.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/fuzz_steps.h"

namespace trunkload {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr StreamId kAgents = 2;

class ManualClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return now_ns; }
  int64_t WallNanos() const override { return 1'795'000'000 * kSecond; }
  int64_t now_ns = 1'000 * kSecond;
};

v1::Plan SmallPlan() {
  v1::Plan plan;
  plan.set_name("fuzz");
  plan.mutable_target()->set_conninfo("dbname=bench");
  plan.mutable_fleet()->set_application_servers(2);
  v1::Script& script = *plan.add_scripts();
  script.set_text("\\set a 1\nSELECT :a;");
  script.set_per_command(true);
  script.set_continue_on_error(false);
  for (const char* name : {"first", "second"}) {
    v1::Phase& phase = *plan.add_phases();
    phase.set_name(name);
    phase.mutable_duration()->set_seconds(3);
    phase.mutable_load()->mutable_open()->set_rate(100);
  }
  plan.add_objectives("p99(response) < 50ms");
  return *ValidatePlan(std::move(plan));
}

// A fleet of two agents whose messages come from the fuzzer, in a run that is under way.
class LiveRun : private ControllerOutside {
 public:
  LiveRun() : controller_(clock_, *this) {
    static const v1::Plan* const plan = new v1::Plan(SmallPlan());
    for (StreamId agent = 0; agent < kAgents; ++agent) Join(agent);
    run_id_ = *controller_.StartRun(*plan, {.agents = kAgents});
    Tick();
  }

  // As a well-behaved fleet would answer.
  void Connect() {
    controller_.OnTargetPrepared(v1::ServerInfo());
    for (StreamId agent = 0; agent < kAgents; ++agent) {
      v1::AgentMessage message;
      message.mutable_ready()->set_run_id(run_id_);
      message.mutable_ready()->set_version(versions_[agent]);
      FromAgent(agent, message);
    }
    for (int i = 0; i < 100; ++i) Tick();
  }
  // As the process that it was, where that was not forgotten.
  void Join(StreamId agent) {
    const StreamId stream = streams_[agent] = ++last_stream_;
    controller_.OnStreamOpened(stream);
    v1::AgentMessage message;
    message.mutable_hello()->set_protocol(2);
    message.mutable_hello()->set_name(std::string(1, static_cast<char>('a' + agent)));
    message.mutable_hello()->set_instance(agent + 1);
    FromAgent(agent, message);
  }
  // The run's id can't be guessed, and the next sequence number hardly ever.
  void FromAgent(StreamId agent, v1::AgentMessage message) {
    const auto name_run = [this](auto* of_run) {
      if (of_run->run_id().empty() || of_run->run_id() == "run") of_run->set_run_id(run_id_);
    };
    if (message.has_ready()) name_run(message.mutable_ready());
    if (message.has_failed()) name_run(message.mutable_failed());
    if (message.has_interval()) name_run(message.mutable_interval());
    if (message.has_phase_ended()) name_run(message.mutable_phase_ended());
    if (message.has_taken_over()) name_run(message.mutable_taken_over());
    if (message.hello().has_held()) name_run(message.mutable_hello()->mutable_held());
    if (message.sequence() == 0) message.set_sequence(++sequences_[agent]);
    controller_.OnAgentMessage(streams_[agent], message, clock_.now_ns);
  }
  void Tick() {
    const int64_t next_ns = controller_.NextTickNanos();
    if (next_ns == INT64_MAX) return;
    clock_.now_ns = std::max(clock_.now_ns, next_ns);
    for (StreamId agent = 0; agent < kAgents; ++agent) {
      if (streams_.contains(agent)) controller_.heartbeats().OnHeartbeat(agent + 1, clock_.now_ns);
    }
    controller_.OnTick();
    if (std::exchange(saving_, false)) controller_.OnSaved(absl::OkStatus());
    Answer();
  }
  void Cancel() { controller_.CancelRun(); }
  void BreakStream(StreamId agent) {
    controller_.OnStreamEnded(streams_[agent]);
    streams_.erase(agent);
  }
  void JoinAgain(StreamId agent) {
    if (!streams_.contains(agent)) Join(agent);
  }
  void FailToSave() {
    if (std::exchange(saving_, false)) controller_.OnSaved(absl::ResourceExhaustedError("no space left"));
  }
  // Another controller goes on from the last snapshot: whatever agents said, it can.
  void CheckSnapshot() {
    if (!snapshot_) return;
    Nobody nobody;
    Controller other(clock_, nobody);
    const absl::StatusOr<std::string> resumed = other.ResumeRun(*snapshot_);
    FUZZ_CHECK(resumed.ok(), resumed.status());
  }
  void Prepared(bool ok) {
    controller_.OnTargetPrepared(ok ? absl::StatusOr<v1::ServerInfo>(v1::ServerInfo())
                                    : absl::NotFoundError("no table"));
  }
  // Whatever agents said, the run ends.
  void Finish(bool cancel) {
    if (cancel) Cancel();
    for (int i = 0; i < 10'000 && !ended_; ++i) Tick();
    FUZZ_CHECK(ended_, run_id_);
  }

 private:
  class Nobody : public ControllerOutside {
    void Send(StreamId, const v1::ControllerMessage&) override {}
    void Disconnect(StreamId, const absl::Status&) override {}
    void PrepareTarget(const v1::Plan&, const std::string&) override {}
    void FinishTarget(const v1::Plan&, bool) override {}
    void CancelPrepareTarget() override {}
    void Save(RunSnapshot) override {}
    void OnProgress(const v1::Progress&) override {}
    void OnRunEnded(absl::StatusOr<v1::RunResult>) override {}
  };

  void Send(StreamId to, const v1::ControllerMessage& message) override {
    for (StreamId agent = 0; agent < kAgents; ++agent) {
      const auto stream = streams_.find(agent);
      if (stream == streams_.end() || stream->second != to) continue;
      if (message.has_assignment()) versions_[agent] = message.assignment().version();
    }
    if (!message.has_clock_probe()) return;
    v1::AgentMessage reply;
    reply.mutable_clock_reply()->set_number(message.clock_probe().number());
    reply.mutable_clock_reply()->set_received_ns(clock_.now_ns);
    reply.mutable_clock_reply()->set_sent_ns(clock_.now_ns);
    replies_.emplace_back(to, std::move(reply));
  }
  void Answer() {
    for (const auto& [agent, reply] : std::exchange(replies_, {})) {
      controller_.OnAgentMessage(agent, reply, clock_.now_ns);
    }
  }
  void Disconnect(StreamId, const absl::Status& why) override { FUZZ_CHECK(!why.ok(), why); }
  void Save(RunSnapshot snapshot) override {
    FUZZ_CHECK(!saving_, "twice at once");
    saving_ = true;
    // Phases that did not change since are in one before; of those that changed, all but old points are.
    snapshot_ = std::move(snapshot);
    std::erase_if(snapshot_->phases,
                  [](const RunSnapshot::Phase& phase) { return !phase.state.open_seconds().empty(); });
  }
  void PrepareTarget(const v1::Plan&, const std::string&) override {}
  void FinishTarget(const v1::Plan&, bool) override {}
  void CancelPrepareTarget() override {}
  void OnProgress(const v1::Progress& progress) override {
    FUZZ_CHECK(progress.elapsed_s() >= 0, progress.elapsed_s());
  }
  void OnRunEnded(absl::StatusOr<v1::RunResult> result) override {
    FUZZ_CHECK(!ended_, "ended twice");
    ended_ = true;
    if (!result.ok()) return;
    FUZZ_CHECK(result->verdict().valid() == result->verdict().reasons().empty(), result->DebugString());
    for (const v1::PhaseResult& phase : result->phases()) {
      FUZZ_CHECK(std::isfinite(phase.duration_s()) && std::isfinite(phase.throughput_per_s()),
                 phase.DebugString());
      FUZZ_CHECK(phase.series_size() < 1000, phase.series_size());
      FUZZ_CHECK(phase.scripts(0).commands_size() == 2, phase.DebugString());
    }
  }

  ManualClock clock_;
  Controller controller_;
  std::string run_id_;
  std::map<StreamId, StreamId> streams_;  // of each agent that has one
  StreamId last_stream_ = 100;
  std::map<StreamId, uint64_t> sequences_;
  std::map<StreamId, uint32_t> versions_;
  bool saving_ = false;
  std::optional<RunSnapshot> snapshot_;
  std::vector<std::pair<StreamId, v1::AgentMessage>> replies_;
  bool ended_ = false;
};

}  // namespace
}  // namespace trunkload

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trunkload::FuzzSteps steps(data, size);
  trunkload::LiveRun run;
  const uint8_t course = steps.Byte();
  if ((course & 1) == 0) run.Connect();
  while (!steps.done()) {
    const uint8_t step = steps.Byte();
    const trunkload::StreamId agent = step & 1;
    switch (step >> 1 & 7) {
      case 0:
        run.Tick();
        break;
      case 1:
        run.Cancel();
        break;
      case 2:
        (step & 0x20) != 0 ? run.JoinAgain(agent) : run.BreakStream(agent);
        break;
      case 3:
        (step & 0x20) != 0 ? run.FailToSave() : run.Prepared(agent == 0);
        break;
      case 4:
        if ((step & 0x60) == 0x60) run.CheckSnapshot();
        [[fallthrough]];
      default:
        if (trunkload::v1::AgentMessage message; steps.Read(message))
          run.FromAgent(agent, std::move(message));
    }
  }
  run.Finish((course & 2) == 0);
  return 0;
}
