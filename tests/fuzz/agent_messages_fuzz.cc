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
constexpr AgentId kAgents = 2;

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
    for (AgentId agent = 0; agent < kAgents; ++agent) {
      controller_.OnAgentConnected(agent);
      v1::AgentMessage message;
      message.mutable_hello()->set_protocol(1);
      message.mutable_hello()->set_name(std::string(1, static_cast<char>('a' + agent)));
      FromAgent(agent, message);
    }
    run_id_ = *controller_.StartRun(*plan, {.agents = kAgents});
    Tick();
  }

  // As a well-behaved fleet would answer.
  void Connect() {
    controller_.OnTargetPrepared(v1::ServerInfo());
    for (AgentId agent = 0; agent < kAgents; ++agent) {
      v1::AgentMessage message;
      message.mutable_ready()->set_run_id(run_id_);
      FromAgent(agent, message);
    }
    for (int i = 0; i < 100; ++i) Tick();
  }
  // The run's id can't be guessed.
  void FromAgent(AgentId agent, v1::AgentMessage message) {
    if (message.has_ready() && message.ready().run_id() == "run")
      message.mutable_ready()->set_run_id(run_id_);
    if (message.has_failed() && message.failed().run_id() == "run")
      message.mutable_failed()->set_run_id(run_id_);
    controller_.OnAgentMessage(agent, message, clock_.now_ns);
  }
  void Tick() {
    const int64_t next_ns = controller_.NextTickNanos();
    if (next_ns == INT64_MAX) return;
    clock_.now_ns = std::max(clock_.now_ns, next_ns);
    controller_.OnTick();
    Answer();
  }
  void Cancel() { controller_.CancelRun(); }
  void Leave(AgentId agent) { controller_.OnAgentLeft(agent); }
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
  void Send(AgentId to, const v1::ControllerMessage& message) override {
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
  void Disconnect(AgentId, const absl::Status& why) override { FUZZ_CHECK(!why.ok(), why); }
  void PrepareTarget(const v1::Plan&) override {}
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
  std::vector<std::pair<AgentId, v1::AgentMessage>> replies_;
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
    const trunkload::AgentId agent = step & 1;
    switch (step >> 1 & 7) {
      case 0:
        run.Tick();
        break;
      case 1:
        run.Cancel();
        break;
      case 2:
        run.Leave(agent);
        break;
      case 3:
        run.Prepared(agent == 0);
        break;
      default:
        if (trunkload::v1::AgentMessage message; steps.Read(message))
          run.FromAgent(agent, std::move(message));
    }
  }
  run.Finish((course & 2) == 0);
  return 0;
}
