#include "agent/run.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/assignment_check.h"
#include "common/duration.h"

namespace trunkload {
namespace {

constexpr int64_t kLatestStartNanos = int64_t{100} * 366 * 24 * 3600 * 1'000'000'000;

}  // namespace

Run::Run(const Clock& clock, Outbox& outbox, MakeLoad make_load, bool allow_shell)
    : clock_(clock), outbox_(outbox), make_load_(std::move(make_load)), allow_shell_(allow_shell) {}

Run::~Run() = default;

absl::Status Run::OnMessage(const v1::ControllerMessage& message, int64_t received_ns, Reply reply) {
  switch (message.kind_case()) {
    case v1::ControllerMessage::kClockProbe: {
      v1::AgentMessage answer;
      answer.mutable_clock_reply()->set_number(message.clock_probe().number());
      answer.mutable_clock_reply()->set_received_ns(received_ns);
      answer.mutable_clock_reply()->set_sent_ns(clock_.MonotonicNanos());
      reply(std::move(answer));
      return absl::OkStatus();
    }
    case v1::ControllerMessage::kAcknowledge:
      outbox_.OnAcknowledged(message.acknowledge().sequence());
      return absl::OkStatus();
    case v1::ControllerMessage::kAssignment:
      return OnAssignment(message.assignment(), received_ns);
    case v1::ControllerMessage::kStartPhase:
      return OnStartPhase(message.start_phase());
    case v1::ControllerMessage::kStopPhase: {
      // A phase that ended by itself may have crossed this on the way.
      const v1::StopPhase& stop = message.stop_phase();
      if (!phase_under_way_ || static_cast<int>(stop.phase()) != phases_started_ - 1) return absl::OkStatus();
      load_->StopPhase(stop.has_drain_timeout() ? FromProto(stop.drain_timeout()) : absl::InfiniteDuration());
      return absl::OkStatus();
    }
    case v1::ControllerMessage::kTakeOver:
      return OnTakeOver(message.take_over());
    case v1::ControllerMessage::kEndRun:
      if (message.end_run().run_id() == assignment_.run_id()) Drop();
      return absl::OkStatus();
    case v1::ControllerMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the controller sent a message of an unknown kind: update the agent");
}

absl::Status Run::OnAssignment(const v1::Assignment& assignment, int64_t received_ns) {
  // Sent by a controller that did not know yet.
  if (leaving_) return absl::OkStatus();
  // One of the same run, before a phase, takes the place of the one before.
  if (active() && (phase_under_way_ || assignment.run_id() != assignment_.run_id())) {
    return absl::FailedPreconditionError("the controller sent an assignment while a run is under way");
  }
  Drop();
  assignment_ = assignment;
  if (const absl::Status status = CheckAssignment(assignment, allow_shell_); !status.ok()) {
    // Without the line of a script that it shows below.
    const absl::string_view message = status.message();
    OnLoadFailed(std::string(message.substr(0, message.find('\n'))));
    return absl::OkStatus();
  }
  assigned_ns_ = received_ns;
  phases_started_ = static_cast<int>(assignment.next_phase());
  load_ = make_load_(*this);
  load_->Open(assignment);
  return absl::OkStatus();
}

absl::Status Run::OnStartPhase(const v1::StartPhase& start) {
  // Where the load has just failed, or the run was given up, the controller doesn't know yet.
  if (!active() || failed_ || leaving_) return absl::OkStatus();
  const auto phase = static_cast<int>(start.phase());
  if (phase_under_way_ || phase < phases_started_ || phase >= assignment_.phases_size()) {
    return absl::FailedPreconditionError(absl::StrCat("the controller started phase ", start.phase(), " of ",
                                                      assignment_.phases_size(), " out of order"));
  }
  if (start.start_ns() < 0 || start.start_ns() > kLatestStartNanos) {
    return absl::InvalidArgumentError("the controller started a phase at an instant that can't be");
  }
  if (start.has_rate()) {
    v1::Phase described = assignment_.phases(phase);
    if (!described.load().has_open()) {
      return absl::InvalidArgumentError("the controller gave a rate to a phase that has none");
    }
    described.mutable_load()->mutable_open()->set_rate(start.rate());
    *described.mutable_duration() = start.duration();
    if (absl::Status status = CheckPhase(described); !status.ok()) return status;
    *assignment_.mutable_phases(phase) = described;
    load_->ChangePhase(start.phase(), described);
  }
  phases_started_ = phase + 1;
  start_ns_ = start.start_ns();
  phase_under_way_ = true;
  load_->StartPhase(start.phase(), start.start_ns());
  return absl::OkStatus();
}

absl::Status Run::OnTakeOver(const v1::TakeOver& take_over) {
  // The phase may have ended meanwhile.
  const bool now = phase_under_way_ && !failed_ && cut_ == v1::PhaseEnded::CUT_UNSPECIFIED &&
                   take_over.run_id() == assignment_.run_id() &&
                   static_cast<int>(take_over.phase()) == phases_started_ - 1;
  if (!now) return absl::OkStatus();
  std::set<uint32_t> emulated;
  for (const v1::ApplicationServer& server : assignment_.application_servers())
    emulated.insert(server.number());
  v1::Assignment more = assignment_;
  more.clear_application_servers();
  for (const v1::ApplicationServer& server : take_over.application_servers()) {
    if (emulated.insert(server.number()).second) *more.add_application_servers() = server;
  }
  assignment_.set_version(take_over.version());
  if (more.application_servers().empty()) return absl::OkStatus();
  if (absl::Status status = CheckAssignment(more, allow_shell_); !status.ok()) return status;
  assignment_.mutable_application_servers()->MergeFrom(more.application_servers());
  load_->TakeOver({more.application_servers().begin(), more.application_servers().end()});
  return absl::OkStatus();
}

std::optional<v1::HeldRun> Run::held() const {
  if (!active()) return std::nullopt;
  v1::HeldRun held;
  held.set_run_id(assignment_.run_id());
  held.set_version(assignment_.version());
  held.set_ready(ready_);
  held.set_phases_started(static_cast<uint32_t>(phases_started_));
  held.set_start_ns(start_ns_);
  held.set_phase_under_way(phase_under_way_);
  return held;
}

void Run::CheckLease(int64_t confirmed_ns) {
  if (!active() || cut_ == v1::PhaseEnded::CUT_LEASE) return;
  const absl::Duration lease = FromProto(assignment_.lease());
  if (lease <= absl::ZeroDuration()) return;
  // An assignment may have been on its way for long: it renews nothing, but the first one may be faster than
  // the answer to the first heartbeat.
  const int64_t from_ns = confirmed_ns == INT64_MIN ? assigned_ns_ : confirmed_ns;
  lease_ends_ns_ = from_ns + absl::ToInt64Nanoseconds(lease);
  load_->RenewLease(lease_ends_ns_);
  if (clock_.MonotonicNanos() >= lease_ends_ns_) Cut(v1::PhaseEnded::CUT_LEASE);
}

void Run::Leave() {
  if (std::exchange(leaving_, true)) return;
  if (active()) Cut(v1::PhaseEnded::CUT_LEAVING);
  if (!active()) TellLeaving();
}

void Run::TellLeaving() {
  v1::AgentMessage message;
  message.mutable_leaving();
  Tell(std::move(message));
}

void Run::Cut(v1::PhaseEnded::Cut why) {
  if (!phase_under_way_ || failed_) return Drop();
  // One that is being cut already drains no longer than this.
  cut_ = why;
  const bool at_once = why == v1::PhaseEnded::CUT_LEASE;
  load_->StopPhase(at_once ? absl::ZeroDuration() : kShortDrain);
}

void Run::Drop() {
  if (load_) load_->Close();
  load_.reset();
  ready_ = phase_under_way_ = failed_ = closed_ = false;
  cut_ = v1::PhaseEnded::CUT_UNSPECIFIED;
  lease_ends_ns_ = INT64_MAX;
}

void Run::OnLoadReady(uint32_t connections, uint64_t connecting_ns) {
  ready_ = true;
  v1::AgentMessage message;
  message.mutable_ready()->set_run_id(assignment_.run_id());
  message.mutable_ready()->set_version(assignment_.version());
  message.mutable_ready()->set_connections(connections);
  message.mutable_ready()->set_connecting_ns(connecting_ns);
  Tell(std::move(message));
}

void Run::OnLoadFailed(const std::string& reason) {
  failed_ = true;
  v1::AgentMessage message;
  message.mutable_failed()->set_run_id(assignment_.run_id());
  message.mutable_failed()->set_reason(reason);
  Tell(std::move(message));
}

void Run::OnInterval(v1::Interval interval) {
  v1::AgentMessage message;
  *message.mutable_interval() = std::move(interval);
  message.mutable_interval()->set_run_id(assignment_.run_id());
  Tell(std::move(message));
}

void Run::OnPhaseEnded(const v1::PhaseEnded& ended) {
  phase_under_way_ = false;
  // The load looks at the lease too, and may have been first.
  if (clock_.MonotonicNanos() >= lease_ends_ns_) cut_ = v1::PhaseEnded::CUT_LEASE;
  v1::AgentMessage message;
  *message.mutable_phase_ended() = ended;
  message.mutable_phase_ended()->set_run_id(assignment_.run_id());
  message.mutable_phase_ended()->set_cut(cut_);
  Tell(std::move(message));
  if (cut_ == v1::PhaseEnded::CUT_UNSPECIFIED && !leaving_) return;
  load_->Close();
  closed_ = true;
  if (leaving_) TellLeaving();
}

void Run::OnTakenOver(const v1::TakenOver& taken_over) {
  v1::AgentMessage message;
  *message.mutable_taken_over() = taken_over;
  message.mutable_taken_over()->set_run_id(assignment_.run_id());
  Tell(std::move(message));
}

}  // namespace trunkload
