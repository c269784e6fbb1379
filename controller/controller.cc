#include "controller/controller.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

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

// In a run it ticks at least once a second.
constexpr int64_t kStalledNanos = 2'000'000'000;

}  // namespace

Controller::Controller(const Clock& clock, ControllerOutside& outside, std::string boot_id)
    : clock_(clock), outside_(outside), boot_id_(std::move(boot_id)), last_tick_ns_(clock.MonotonicNanos()) {}

absl::StatusOr<std::string> Controller::StartRun(v1::Plan plan, const RunOptions& options) {
  if (run_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "run ", run_->id(), " is under way, and a controller does one at a time: try again after it"));
  }
  if (!plan.sweep().empty() && !plan.has_cell())
    return absl::InvalidArgumentError("a sweep is run cell by cell, by the command line");
  if (absl::Status status = CheckHoldsNoPassword(plan); !status.ok()) return status;
  const uint32_t agents = std::max(options.agents, 1u);
  if (absl::Status status = CheckAgents(plan, agents); !status.ok()) return status;
  const int64_t wall_ns = clock_.WallNanos();
  const ActiveRun::Identity identity{
      .id = NewRunId(wall_ns), .began_ns = clock_.MonotonicNanos(), .began_wall_ns = wall_ns};
  run_ = std::make_unique<ActiveRun>(identity, std::move(plan), agents, options.wait,
                                     ActiveRun::Surroundings{clock_, outside_, fleet_, boot_id_});
  return identity.id;
}

absl::StatusOr<std::string> Controller::ResumeRun(RunSnapshot snapshot) {
  if (run_) return absl::ResourceExhaustedError(absl::StrCat("run ", run_->id(), " is under way"));
  absl::StatusOr<std::unique_ptr<ActiveRun>> run =
      ActiveRun::Restore(std::move(snapshot), {clock_, outside_, fleet_, boot_id_});
  if (!run.ok()) return run.status();
  run_ = *std::move(run);
  return run_->id();
}

void Controller::CancelRun() {
  if (run_) run_->Cancel();
  FinishIfEnded();
}

void Controller::OnStreamOpened(StreamId stream) {
  fleet_.Connect(stream);
}

void Controller::OnAgentMessage(StreamId stream, const v1::AgentMessage& message, int64_t received_ns) {
  // What was under way when the agent was disconnected.
  if (!fleet_.connected(stream)) return;
  const absl::Status status = OnMessage(stream, message, received_ns);
  if (!status.ok()) {
    if (const std::optional<AgentId> agent = fleet_.AgentOf(stream)) {
      Drop(*agent, status);
    } else {
      outside_.Disconnect(stream, status);
      fleet_.Disconnect(stream);
    }
  }
  FinishIfEnded();
}

void Controller::Drop(AgentId agent, const absl::Status& why) {
  if (const std::optional<StreamId> stream = fleet_.StreamOf(agent)) outside_.Disconnect(*stream, why);
  if (run_) run_->OnAgentGone(agent, absl::StrCat("it broke the protocol: ", why.message()));
  fleet_.Remove(agent);
}

absl::Status Controller::OnMessage(StreamId stream, const v1::AgentMessage& message, int64_t received_ns) {
  if (message.has_hello()) return OnHello(stream, message.hello());
  const std::optional<AgentId> agent = fleet_.AgentOf(stream);
  if (!agent) return absl::FailedPreconditionError("the first message of an agent must be Hello");
  if (message.has_clock_reply()) {
    const absl::Status status = fleet_.clock(*agent).OnReply(message.clock_reply(), received_ns);
    return status.ok() && run_ ? run_->OnClockReply(*agent) : status;
  }
  if (message.sequence() == 0 && message.kind_case() != v1::AgentMessage::KIND_NOT_SET) {
    return absl::InvalidArgumentError("a message without its sequence number");
  }
  if (run_) run_->Touch();
  // One that came before, over a stream that broke.
  if (!fleet_.TakeSequence(*agent, message.sequence())) {
    if (!run_ || !run_->Remembers(*agent)) Acknowledge(*agent);
    return absl::OkStatus();
  }
  const absl::Status status = OnSequenced(*agent, message);
  if (status.ok() && fleet_.contains(*agent) && (!run_ || !run_->Remembers(*agent))) Acknowledge(*agent);
  return status;
}

absl::Status Controller::OnSequenced(AgentId agent, const v1::AgentMessage& message) {
  switch (message.kind_case()) {
    case v1::AgentMessage::kReady:
      return run_ ? run_->OnReady(agent, message.ready()) : absl::OkStatus();
    case v1::AgentMessage::kInterval:
      return run_ ? run_->OnInterval(agent, message.interval()) : absl::OkStatus();
    case v1::AgentMessage::kPhaseEnded:
      return run_ ? run_->OnPhaseEnded(agent, message.phase_ended()) : absl::OkStatus();
    case v1::AgentMessage::kFailed:
      return run_ ? run_->OnFailed(agent, message.failed()) : absl::OkStatus();
    case v1::AgentMessage::kTakenOver:
      return run_ ? run_->OnTakenOver(agent, message.taken_over()) : absl::OkStatus();
    case v1::AgentMessage::kLeaving:
      if (run_) run_->OnAgentLeaving(agent);
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          "a message of an unknown kind: install the same version on agent and controller");
  }
}

void Controller::Acknowledge(AgentId agent) {
  const std::optional<StreamId> stream = fleet_.StreamOf(agent);
  if (!stream) return;
  v1::ControllerMessage message;
  message.mutable_acknowledge()->set_sequence(fleet_.sequence(agent));
  outside_.Send(*stream, message);
}

absl::Status Controller::OnHello(StreamId stream, const v1::Hello& hello) {
  const int64_t now_ns = clock_.MonotonicNanos();
  const absl::StatusOr<Fleet::Joined> joined = fleet_.Join(stream, hello, now_ns);
  if (!joined.ok()) return joined.status();
  if (joined->stream_before) {
    outside_.Disconnect(*joined->stream_before, absl::AbortedError("the agent has dialled anew"));
  }
  if (joined->replaced && run_) run_->OnAgentGone(*joined->replaced, "its process has ended");
  const AgentId agent = joined->agent;
  fleet_.ProbeFrom(agent, now_ns);
  const v1::HeldRun* held = hello.has_held() ? &hello.held() : nullptr;
  if (held != nullptr && (!run_ || held->run_id() != run_->id())) {
    v1::ControllerMessage message;
    message.mutable_end_run()->set_run_id(held->run_id());
    outside_.Send(stream, message);
    held = nullptr;
  }
  return run_ ? run_->OnAgentJoined(agent, held, hello.unacknowledged() > 0) : absl::OkStatus();
}

void Controller::OnStreamEnded(StreamId stream) {
  const std::optional<AgentId> agent = fleet_.Disconnect(stream);
  // One that has a part in the run may come back within its lease.
  if (agent && !(run_ && run_->TakesPart(*agent))) {
    if (run_) run_->OnAgentGone(*agent, "its connection to the controller broke");
    if (!run_ || !run_->Remembers(*agent)) fleet_.Remove(*agent);
  }
  FinishIfEnded();
}

void Controller::OnAgentDied(const std::string& name) {
  const std::optional<AgentId> agent = fleet_.Named(name);
  if (!agent) return;
  if (run_) run_->OnAgentGone(*agent, "its process has ended");
  fleet_.Remove(*agent);
  FinishIfEnded();
}

void Controller::ForgiveIfStalled() {
  const int64_t now_ns = clock_.MonotonicNanos();
  const int64_t last_ns = std::exchange(last_tick_ns_, now_ns);
  if (now_ns - last_ns < kStalledNanos) return;
  fleet_.HearAll(now_ns);
  if (run_) run_->OnStalled();
}

void Controller::FindSilent() {
  for (const AgentId agent : fleet_.TakeSilent(clock_.MonotonicNanos())) {
    if (const std::optional<StreamId> stream = fleet_.StreamOf(agent)) {
      outside_.Disconnect(*stream, absl::UnavailableError("it was not heard for too long"));
      fleet_.Disconnect(*stream);
    }
    if (run_) run_->OnAgentSilent(agent, fleet_.LastHeardNanos(agent));
    if (!run_ || !run_->Remembers(agent)) fleet_.Remove(agent);
  }
}

void Controller::OnSaved(const absl::Status& status) {
  if (run_) run_->OnSaved(status);
  FinishIfEnded();
}

void Controller::OnTargetTask(const std::string& name) {
  if (run_) run_->OnTargetTask(name);
}

void Controller::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  if (run_) run_->OnTargetPrepared(std::move(info));
  FinishIfEnded();
}

void Controller::OnChecksSettled(std::vector<v1::CheckResult> checks) {
  if (run_) run_->OnChecksSettled(std::move(checks));
  FinishIfEnded();
}

void Controller::OnFaultBegan(int fault) {
  if (run_) run_->OnFaultBegan(fault);
}

void Controller::OnFaultEnded(int fault, const std::string& failure) {
  if (run_) run_->OnFaultEnded(fault, failure);
  FinishIfEnded();
}

void Controller::OnObserved(v1::Observed observed) {
  if (run_) run_->OnObserved(std::move(observed));
  FinishIfEnded();
}

void Controller::OnTick() {
  for (AgentId agent : fleet_.TakeDueProbes(clock_.MonotonicNanos())) {
    v1::ControllerMessage message;
    *message.mutable_clock_probe() = fleet_.clock(agent).Probe(clock_.MonotonicNanos());
    if (const std::optional<StreamId> stream = fleet_.StreamOf(agent)) outside_.Send(*stream, message);
  }
  ForgiveIfStalled();
  FindSilent();
  if (run_) run_->OnTick();
  FinishIfEnded();
}

int64_t Controller::NextTickNanos() const {
  const int64_t next_ns = std::min(fleet_.NextProbeNanos(), fleet_.NextSilenceNanos());
  return run_ ? std::min(next_ns, run_->NextTickNanos()) : next_ns;
}

void Controller::FinishIfEnded() {
  if (!run_ || !run_->outcome()) return;
  absl::StatusOr<v1::RunResult> result = *run_->outcome();
  // What they have not been told is on disk has no run any more that it could be lost from.
  std::vector<AgentId> agents;
  for (const AgentId agent : fleet_.joined_agents()) {
    if (run_->Remembers(agent)) agents.push_back(agent);
  }
  run_.reset();
  fleet_.RemoveAway();
  for (const AgentId agent : agents) Acknowledge(agent);
  outside_.OnRunEnded(std::move(result));
}

}  // namespace trunkload
