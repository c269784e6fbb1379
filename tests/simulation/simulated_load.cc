#include "tests/simulation/simulated_load.h"

#include <algorithm>
#include <utility>

#include "common/histogram.h"
#include "common/script/script_parser.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMillisecond;
// How far its thread wakes up late.
constexpr int64_t kLatestWakeUp = 100'000;
constexpr uint64_t kConnectingNanos = 5'000'000;
constexpr int64_t kLongestDrain = 300 * kMillisecond;

}  // namespace

void SimulatedLoad::After(int64_t delay_ns, void (SimulatedLoad::*step)()) {
  queue_.After(delay_ns, [this, step, generation = generation_] {
    if (generation == generation_) (this->*step)();
  });
}

void SimulatedLoad::Open(const v1::Assignment& assignment) {
  assignment_ = assignment;
  commands_.clear();
  for (const v1::Script& script : assignment.scripts()) {
    VariableNames names;
    const absl::StatusOr<Script> parsed = ParseScript(ScriptSource(script.name(), script.text()), names);
    commands_.push_back(script.per_command() && parsed.ok() ? parsed->commands.size() : 0);
  }
  history_.phases.resize(static_cast<size_t>(assignment.phases_size()));
  queue_.After(Uniform(5, 300) * kMillisecond, [this, generation = generation_] {
    if (generation != generation_) return;
    uint32_t connections = 0;
    for (const v1::ApplicationServer& server : assignment_.application_servers())
      connections += server.connections();
    events_->OnLoadReady(connections, kConnectingNanos);
  });
}

void SimulatedLoad::StartPhase(uint32_t phase, int64_t start_ns) {
  phase_ = phase;
  planned_start_ns_ = start_ns;
  under_way_ = true;
  stopping_ = false;
  next_number_ = 0;
  next_second_ = 0;
  const int64_t start_true_ns = std::max(queue_.now_ns(), clock_.TrueNanos(start_ns));
  After(start_true_ns - queue_.now_ns() + Uniform(0, kLatestWakeUp), &SimulatedLoad::Begin);
}

void SimulatedLoad::Begin() {
  history_.phases[phase_].started_ns = queue_.now_ns();
  for (const v1::ApplicationServer& server : assignment_.application_servers()) Serve(server);
  // One that begins late does not make up for it.
  next_second_ = ElapsedSeconds();
  After(kSecond, &SimulatedLoad::Slice);
  const int64_t duration_ns = assignment_.phases(static_cast<int>(phase_)).duration().seconds() * kSecond;
  const int64_t late_ns = std::max<int64_t>(0, queue_.now_ns() - clock_.TrueNanos(planned_start_ns_));
  After(std::max<int64_t>(0, duration_ns - late_ns), &SimulatedLoad::Drain);
}

void SimulatedLoad::Drain() {
  if (std::exchange(stopping_, true) || !under_way_) return;
  StopServing();
  After(Uniform(0, kLongestDrain), &SimulatedLoad::EndPhase);
}

void SimulatedLoad::StopServing() {
  for (const auto& [server, from_ns] : serving_)
    history_.spans.push_back({server, phase_, from_ns, queue_.now_ns()});
  serving_.clear();
}

void SimulatedLoad::Close() {
  ++generation_;
  StopServing();
}

void SimulatedLoad::TakeOver(const std::vector<v1::ApplicationServer>& servers) {
  queue_.After(Uniform(5, 300) * kMillisecond, [this, servers, generation = generation_] {
    if (generation != generation_ || !under_way_ || stopping_) return;
    v1::TakenOver taken_over;
    taken_over.set_phase(phase_);
    taken_over.set_from_ns(clock_.MonotonicNanos());
    for (const v1::ApplicationServer& server : servers) {
      Serve(server);
      taken_over.add_application_servers(server.number());
    }
    events_->OnTakenOver(taken_over);
  });
}

void SimulatedLoad::Slice() {
  if (!under_way_) return;
  // Now and then it can't send, and the next interval holds several seconds.
  if (Uniform(0, 9) > 0) SendInterval();
  After(kSecond, &SimulatedLoad::Slice);
}

uint32_t SimulatedLoad::ElapsedSeconds() const {
  if (history_.phases[phase_].started_ns < 0) return 0;
  const int64_t elapsed_ns = queue_.now_ns() - clock_.TrueNanos(planned_start_ns_);
  return static_cast<uint32_t>(std::max<int64_t>(0, elapsed_ns) / kSecond);
}

void SimulatedLoad::StopPhase(absl::Duration drain_timeout) {
  if (!under_way_) return;
  if (drain_timeout > absl::ZeroDuration()) return Drain();
  stopping_ = true;
  StopServing();
  // Never from within the call.
  After(0, &SimulatedLoad::EndPhase);
}

void SimulatedLoad::EndPhase() {
  if (!under_way_) return;
  under_way_ = false;
  LoadHistory::Phase& history = history_.phases[phase_];
  if (history.started_ns < 0) history.started_ns = queue_.now_ns();
  SendInterval();
  v1::PhaseEnded ended;
  ended.set_phase(phase_);
  ended.set_intervals(next_number_);
  ended.set_started_ns(planned_start_ns_ + history.started_ns - clock_.TrueNanos(planned_start_ns_));
  ended.set_cpu_ns(static_cast<uint64_t>(Uniform(1, kSecond)));
  // A slice or another end that is still planned belongs to no phase any more.
  ++generation_;
  events_->OnPhaseEnded(ended);
}

void SimulatedLoad::SendInterval() {
  v1::Interval interval;
  interval.set_phase(phase_);
  interval.set_number(next_number_++);
  interval.set_first_second(next_second_);
  const uint32_t elapsed = ElapsedSeconds();
  interval.set_last_second(std::max(next_second_, under_way_ && elapsed > 0 ? elapsed - 1 : elapsed));
  next_second_ = interval.last_second() + 1;
  Histogram lag;
  for (int i = 0; i < assignment_.scripts_size(); ++i) *interval.add_scripts() = MakeScript(commands_[i]);
  for (int i = 0; i < 20; ++i) lag.Record(Uniform(0, kMillisecond));
  *interval.mutable_schedule_lag() = lag.ToProto();
  interval.set_reactor_cpu_ns(static_cast<uint64_t>(Uniform(1, kSecond / 2)));
  interval.set_busiest_reactor(0.5);
  interval.set_connections_lost(static_cast<uint64_t>(Uniform(0, 1)));
  interval.set_last_completion_ns((interval.last_second() + 1) * static_cast<uint64_t>(kSecond) - 1);
  history_.phases[phase_].intervals.push_back(interval);
  events_->OnInterval(std::move(interval));
}

v1::ScriptInterval SimulatedLoad::MakeScript(size_t commands) {
  v1::ScriptInterval script;
  const int64_t transactions = Uniform(1, 30);
  const int64_t errors = Uniform(0, 2);
  const int64_t dropped = Uniform(0, 1);
  const int64_t skipped = Uniform(0, 3);
  const int64_t retried = Uniform(0, transactions);
  script.set_offered(static_cast<uint64_t>(transactions + errors + dropped + skipped));
  script.set_skipped(static_cast<uint64_t>(skipped));
  script.set_late(static_cast<uint64_t>(Uniform(0, transactions)));
  script.set_retried(static_cast<uint64_t>(retried));
  script.set_retries(static_cast<uint64_t>(retried * Uniform(1, 3)));
  script.set_transactions(static_cast<uint64_t>(transactions));
  script.set_rows(static_cast<uint64_t>(transactions * 3));
  script.set_dropped(static_cast<uint64_t>(dropped));
  if (errors > 0) {
    (*script.mutable_errors())["23505"] = static_cast<uint64_t>(errors);
    (*script.mutable_error_messages())["23505"] = "duplicate key value";
  }
  Histogram response;
  Histogram failed;
  for (int64_t i = 0; i < transactions; ++i) response.Record(Uniform(100'000, 80 * kMillisecond));
  for (int64_t i = 0; i < errors; ++i) failed.Record(Uniform(100'000, 80 * kMillisecond));
  *script.mutable_response() = response.ToProto();
  *script.mutable_service() = *script.mutable_pool_wait() = *script.mutable_send_lag() = script.response();
  *script.mutable_failed() = failed.ToProto();
  for (size_t i = 0; i < commands; ++i) {
    *script.add_commands()->mutable_latency() = script.response();
    script.mutable_commands()->rbegin()->set_failures(static_cast<uint64_t>(errors));
  }
  return script;
}

}  // namespace trunkload
