#include "controller/controller.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/plan/plan_check.h"
#include "controller/planner.h"

namespace trunkload {
namespace {

// Sorts by time; the suffix tells runs of the same second apart.
std::string NewRunId(int64_t wall_ns) {
  absl::BitGen random;
  return absl::StrCat(absl::FormatTime("%Y%m%d-%H%M%S", absl::FromUnixNanos(wall_ns), absl::UTCTimeZone()),
                      absl::StrFormat("-%04x", absl::Uniform<uint16_t>(random)));
}

}  // namespace

Controller::Controller(const Clock& clock, ControllerOutside& outside) : clock_(clock), outside_(outside) {}

absl::StatusOr<std::string> Controller::StartRun(v1::Plan plan, const RunOptions& options) {
  if (run_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "run ", run_->id(), " is under way, and a controller does one at a time: try again after it"));
  }
  const uint32_t agents = std::max(options.agents, 1u);
  if (absl::Status status = CheckAgents(plan, agents); !status.ok()) return status;
  const int64_t wall_ns = clock_.WallNanos();
  const ActiveRun::Identity identity{
      .id = NewRunId(wall_ns), .began_ns = clock_.MonotonicNanos(), .began_wall_ns = wall_ns};
  run_.emplace(identity, std::move(plan), agents, options.wait,
               ActiveRun::Surroundings{clock_, outside_, fleet_});
  return identity.id;
}

void Controller::CancelRun() {
  if (run_) run_->Cancel();
  FinishIfEnded();
}

void Controller::OnAgentConnected(AgentId agent) {
  fleet_.Connect(agent);
}

void Controller::OnAgentMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns) {
  // What was under way when the agent was disconnected.
  if (!fleet_.connected(agent)) return;
  const absl::Status status = OnMessage(agent, message, received_ns);
  if (!status.ok()) {
    outside_.Disconnect(agent, status);
    fleet_.Leave(agent);
    if (run_) run_->OnAgentLeft(agent, absl::StrCat("it broke the protocol: ", status.message()));
  }
  FinishIfEnded();
}

absl::Status Controller::OnMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns) {
  if (!fleet_.joined(agent) && !message.has_hello()) {
    return absl::FailedPreconditionError("the first message of an agent must be Hello");
  }
  switch (message.kind_case()) {
    case v1::AgentMessage::kHello:
      return OnHello(agent, message.hello());
    case v1::AgentMessage::kClockReply: {
      const absl::Status status = fleet_.clock(agent).OnReply(message.clock_reply(), received_ns);
      return status.ok() && run_ ? run_->OnClockReply(agent) : status;
    }
    case v1::AgentMessage::kReady:
      return run_ ? run_->OnReady(agent, message.ready()) : absl::OkStatus();
    case v1::AgentMessage::kInterval:
      return run_ ? run_->OnInterval(agent, message.interval()) : absl::OkStatus();
    case v1::AgentMessage::kPhaseEnded:
      return run_ ? run_->OnPhaseEnded(agent, message.phase_ended()) : absl::OkStatus();
    case v1::AgentMessage::kFailed:
      return run_ ? run_->OnFailed(agent, message.failed()) : absl::OkStatus();
    case v1::AgentMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "a message of an unknown kind: install the same version on agent and controller");
}

absl::Status Controller::OnHello(AgentId agent, const v1::Hello& hello) {
  if (absl::Status status = fleet_.Join(agent, hello); !status.ok()) return status;
  fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
  return run_ ? run_->OnAgentJoined(agent) : absl::OkStatus();
}

void Controller::OnAgentLeft(AgentId agent) {
  fleet_.Leave(agent);
  if (run_) run_->OnAgentLeft(agent, "its connection to the controller broke");
  FinishIfEnded();
}

void Controller::OnTargetTask(const std::string& name) {
  if (run_) run_->OnTargetTask(name);
}

void Controller::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  if (run_) run_->OnTargetPrepared(std::move(info));
  FinishIfEnded();
}

void Controller::OnTick() {
  for (AgentId agent : fleet_.TakeDueProbes(clock_.MonotonicNanos())) {
    v1::ControllerMessage message;
    *message.mutable_clock_probe() = fleet_.clock(agent).Probe(clock_.MonotonicNanos());
    outside_.Send(agent, message);
  }
  if (run_) run_->OnTick();
  FinishIfEnded();
}

int64_t Controller::NextTickNanos() const {
  return run_ ? std::min(fleet_.NextProbeNanos(), run_->NextTickNanos()) : fleet_.NextProbeNanos();
}

void Controller::FinishIfEnded() {
  if (!run_ || !run_->outcome()) return;
  absl::StatusOr<v1::RunResult> result = *run_->outcome();
  run_.reset();
  outside_.OnRunEnded(std::move(result));
}

}  // namespace trunkload
