#include "controller/agent_clock.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// Enough for the probes before and after the start of a phase, and those before the next.
constexpr size_t kSamples = 32;
constexpr size_t kOnTheirWay = 64;
// Two crystals at their worst, 100 ppm each, in opposite directions.
constexpr double kDrift = 200e-6;
// No monotonic clock gets there, and sums of a few such stamps don't overflow.
constexpr int64_t kHighestStamp = int64_t{1} << 60;

}  // namespace

v1::ClockProbe AgentClock::Probe(int64_t now_ns) {
  on_their_way_.push_back(now_ns);
  if (on_their_way_.size() > kOnTheirWay) {
    on_their_way_.pop_front();
    ++given_up_;
    ++answered_;
  }
  v1::ClockProbe probe;
  probe.set_number(++sent_);
  return probe;
}

void AgentClock::GiveUpProbes() {
  given_up_ = answered_ = sent_;
  on_their_way_.clear();
}

absl::Status AgentClock::OnReply(const v1::ClockReply& reply, int64_t received_ns) {
  if (reply.number() <= given_up_ && reply.number() > 0) return absl::OkStatus();
  // A stream keeps its order, so that the reply is to the oldest probe.
  const uint64_t oldest = sent_ - on_their_way_.size() + 1;
  if (reply.number() != oldest || on_their_way_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ClockReply ", reply.number(), " that answers no probe"));
  }
  if (reply.received_ns() < 0 || reply.sent_ns() < reply.received_ns() || reply.sent_ns() > kHighestStamp) {
    return absl::InvalidArgumentError("a ClockReply with stamps that no clock gives");
  }
  const int64_t sent_ns = on_their_way_.front();
  on_their_way_.pop_front();
  ++answered_;

  Sample sample;
  sample.middle_ns = sent_ns + (received_ns - sent_ns) / 2;
  sample.offset_ns = ((reply.received_ns() - sent_ns) + (reply.sent_ns() - received_ns)) / 2;
  // Clocks that drift apart can make a very fast one negative.
  sample.round_trip_ns =
      std::max<int64_t>(0, (received_ns - sent_ns) - (reply.sent_ns() - reply.received_ns()));
  samples_.push_back(sample);
  if (samples_.size() > kSamples) samples_.pop_front();
  return absl::OkStatus();
}

const AgentClock::Sample& AgentClock::Best(int64_t around_ns) const {
  const auto error = [around_ns](const Sample& sample) {
    return static_cast<double>(sample.round_trip_ns) / 2 +
           kDrift * std::abs(static_cast<double>(around_ns - sample.middle_ns));
  };
  return *std::min_element(samples_.begin(), samples_.end(),
                           [&error](const Sample& a, const Sample& b) { return error(a) < error(b); });
}

int64_t AgentClock::ToAgent(int64_t controller_ns) const {
  return controller_ns + Best(controller_ns).offset_ns;
}

int64_t AgentClock::ToController(int64_t agent_ns, int64_t around_ns) const {
  return agent_ns - Best(around_ns).offset_ns;
}

int64_t AgentClock::UncertaintyNanos(int64_t around_ns) const {
  return Best(around_ns).round_trip_ns / 2;
}

int64_t AgentClock::SlowestRoundTripNanos() const {
  int64_t slowest = 0;
  for (const Sample& sample : samples_) slowest = std::max(slowest, sample.round_trip_ns);
  return slowest;
}

}  // namespace trunkload
