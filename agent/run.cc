#include "agent/run.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/assignment_check.h"

namespace trunkload {

Run::Run(const Clock& clock, Send send, MakeLoad make_load, bool allow_shell)
    : clock_(clock), send_(std::move(send)), make_load_(std::move(make_load)), allow_shell_(allow_shell) {}

Run::~Run() = default;

absl::Status Run::OnMessage(const v1::ControllerMessage& message, int64_t received_ns) {
  switch (message.kind_case()) {
    case v1::ControllerMessage::kClockProbe: {
      v1::AgentMessage reply;
      reply.mutable_clock_reply()->set_number(message.clock_probe().number());
      reply.mutable_clock_reply()->set_received_ns(received_ns);
      reply.mutable_clock_reply()->set_sent_ns(clock_.MonotonicNanos());
      send_(std::move(reply));
      return absl::OkStatus();
    }
    case v1::ControllerMessage::kAssignment:
      return OnAssignment(message.assignment());
    case v1::ControllerMessage::kStartPhase:
      return OnStartPhase(message.start_phase());
    case v1::ControllerMessage::kStopPhase:
      // A phase that ended by itself may have crossed this on the way.
      if (load_ && phase_under_way_ && static_cast<int>(message.stop_phase().phase()) == next_phase_ - 1) {
        load_->StopPhase();
      }
      return absl::OkStatus();
    case v1::ControllerMessage::kEndRun:
      OnControllerLost();
      return absl::OkStatus();
    case v1::ControllerMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the controller sent a message of an unknown kind: update the agent");
}

absl::Status Run::OnAssignment(const v1::Assignment& assignment) {
  if (load_)
    return absl::FailedPreconditionError("the controller sent an assignment while a run is under way");
  run_id_ = assignment.run_id();
  if (const absl::Status status = CheckAssignment(assignment, allow_shell_); !status.ok()) {
    // Without the line of a script that it shows below.
    const absl::string_view message = status.message();
    OnLoadFailed(std::string(message.substr(0, message.find('\n'))));
    return absl::OkStatus();
  }
  phases_ = assignment.phases_size();
  next_phase_ = 0;
  phase_under_way_ = false;
  failed_ = false;
  load_ = make_load_(*this);
  load_->Open(assignment);
  return absl::OkStatus();
}

absl::Status Run::OnStartPhase(const v1::StartPhase& start) {
  // Where the load has just failed, or the run was given up, the controller doesn't know yet.
  if (!load_ || failed_) return absl::OkStatus();
  if (phase_under_way_ || static_cast<int>(start.phase()) != next_phase_ || next_phase_ >= phases_) {
    return absl::FailedPreconditionError(
        absl::StrCat("the controller started phase ", start.phase(), " of ", phases_, " out of order"));
  }
  constexpr int64_t kYears = int64_t{100} * 366 * 24 * 3600 * 1'000'000'000;
  if (start.start_ns() < 0 || start.start_ns() > kYears) {
    return absl::InvalidArgumentError("the controller started a phase at an instant that can't be");
  }
  ++next_phase_;
  phase_under_way_ = true;
  load_->StartPhase(start.phase(), start.start_ns());
  return absl::OkStatus();
}

void Run::OnControllerLost() {
  if (load_) load_->Close();
  load_.reset();
}

void Run::OnLoadReady(uint32_t connections, uint64_t connecting_ns) {
  v1::AgentMessage message;
  message.mutable_ready()->set_run_id(run_id_);
  message.mutable_ready()->set_connections(connections);
  message.mutable_ready()->set_connecting_ns(connecting_ns);
  send_(std::move(message));
}

void Run::OnLoadFailed(const std::string& reason) {
  failed_ = true;
  v1::AgentMessage message;
  message.mutable_failed()->set_run_id(run_id_);
  message.mutable_failed()->set_reason(reason);
  send_(std::move(message));
}

void Run::OnInterval(v1::Interval interval) {
  v1::AgentMessage message;
  *message.mutable_interval() = std::move(interval);
  send_(std::move(message));
}

void Run::OnPhaseEnded(const v1::PhaseEnded& ended) {
  phase_under_way_ = false;
  v1::AgentMessage message;
  *message.mutable_phase_ended() = ended;
  send_(std::move(message));
}

}  // namespace trunkload
