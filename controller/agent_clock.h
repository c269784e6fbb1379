#pragma once

#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// How far one agent's monotonic clock is from the controller's, measured over its stream as NTP does it: a
// probe and its reply bear four stamps, and the offset is off by at most half the round trip. Instants are
// nanoseconds; the offset at an instant comes from the probe that is most certain there, by its round trip
// and by how much both clocks may have drifted apart in between. Not thread-safe.
class AgentClock {
 public:
  // The next probe, to be sent at once.
  v1::ClockProbe Probe(int64_t now_ns);
  // INVALID_ARGUMENT where it answers no probe, or bears stamps that no clock gives.
  absl::Status OnReply(const v1::ClockReply& reply, int64_t received_ns);

  // Those that are on their way are not answered any more: the stream has broken.
  void GiveUpProbes();

  // Whether any probe was answered; nothing below may be asked before.
  bool known() const { return !samples_.empty(); }
  // How many of the probes sent were answered or given up; equal to probes_sent() when none is on its way.
  uint64_t probes_sent() const { return sent_; }
  uint64_t probes_answered() const { return answered_; }

  // The same instant by the other clock; `around_ns` is about when that is, by the controller's.
  int64_t ToAgent(int64_t controller_ns) const;
  int64_t ToController(int64_t agent_ns, int64_t around_ns) const;
  // How far off both may be: half of a round trip.
  int64_t UncertaintyNanos(int64_t around_ns) const;
  // Of the recent probes.
  int64_t SlowestRoundTripNanos() const;

 private:
  struct Sample {
    int64_t middle_ns;  // by the controller's clock
    int64_t offset_ns;  // agent's clock - controller's clock
    int64_t round_trip_ns;
  };
  const Sample& Best(int64_t around_ns) const;

  uint64_t sent_ = 0;
  uint64_t answered_ = 0;
  // The highest number of those whose reply would come too late to be of use.
  uint64_t given_up_ = 0;
  // When the probes that are on their way were sent, the newest being number sent_.
  std::deque<int64_t> on_their_way_;
  std::deque<Sample> samples_;
};

}  // namespace trunkload
