#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/agent_clock.h"
#include "controller/controller_outside.h"
#include "controller/heartbeats.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Who is in the fleet, who they say they are, whether they are heard, and how far off their clocks are. An
// agent whose stream breaks stays until it is removed, and is the same when it comes back over another. Not
// thread-safe.
class Fleet {
 public:
  // An agent that was not heard for so long is silent.
  static constexpr int64_t kSilenceNanos = 2'800'000'000;

  // A stream is open; its agent is in the fleet once it has joined.
  void Connect(StreamId stream);
  struct Joined {
    AgentId agent;
    // It was here before, as the same process.
    bool returned = false;
    // Its stream of before, where that had not ended.
    std::optional<StreamId> stream_before;
    // One of the same name, whose process has ended: it is not here any more.
    std::optional<AgentId> replaced;
  };
  // ALREADY_EXISTS where the name is taken, FAILED_PRECONDITION where the protocol is another or it joined
  // before, INVALID_ARGUMENT where the message doesn't keep to its limits.
  absl::StatusOr<Joined> Join(StreamId stream, v1::Hello hello, int64_t now_ns);
  // The stream has ended, but the agent stays: which one that is.
  std::optional<AgentId> Disconnect(StreamId stream);
  void Remove(AgentId agent);
  // Those that have no stream.
  void RemoveAway();
  // No other agent gets this one's id.
  void Reserve(AgentId agent) { last_agent_ = last_agent_ > agent ? last_agent_ : agent; }
  // One of a run that goes on; it is away.
  void Restore(AgentId agent, v1::Hello hello, uint64_t sequence, int64_t now_ns);

  bool connected(StreamId stream) const { return streams_.contains(stream); }
  std::optional<AgentId> AgentOf(StreamId stream) const;
  std::optional<StreamId> StreamOf(AgentId agent) const;
  std::optional<AgentId> Named(const std::string& name) const;
  bool contains(AgentId agent) const { return members_.contains(agent); }
  // Those that have a stream.
  std::vector<AgentId> joined_agents() const;
  // Of one that has joined, and was not removed.
  const v1::Hello& hello(AgentId agent) const { return members_.at(agent).hello; }
  const AgentClock& clock(AgentId agent) const { return members_.at(agent).clock; }
  AgentClock& clock(AgentId agent) { return members_.at(agent).clock; }

  // The highest sequence number that came from it.
  uint64_t sequence(AgentId agent) const { return members_.at(agent).sequence; }
  // False where a message of that number has come before.
  bool TakeSequence(AgentId agent, uint64_t sequence);

  // Heartbeats go straight in here, from whatever thread.
  Heartbeats& heartbeats() { return heartbeats_; }
  int64_t LastHeardNanos(AgentId agent) const { return members_.at(agent).last_heard_ns; }
  // All that are not silent count as heard now: it was the controller that did not listen.
  void HearAll(int64_t now_ns);
  // Those that were not heard for kSilenceNanos, each once: no heartbeat of theirs is taken until they join
  // again.
  std::vector<AgentId> TakeSilent(int64_t now_ns);
  // When there may be one; INT64_MAX: never.
  int64_t NextSilenceNanos() const { return next_silence_ns_; }

  // Has the agent's clock probed some times in a row, the first time at `from_ns`; not where it is away.
  void ProbeFrom(AgentId agent, int64_t from_ns);
  // When the next probe is due; INT64_MAX: none.
  int64_t NextProbeNanos() const { return next_probe_ns_; }
  // Those who are due a probe now. Each is to be sent one.
  std::vector<AgentId> TakeDueProbes(int64_t now_ns);
  // Whether all its probes have been sent and answered.
  bool Probed(AgentId agent) const;

  // How far ahead an instant must be named to an agent whose clock was probed, so that it hears of it in
  // time.
  int64_t LeadNanos(AgentId agent) const;

 private:
  struct Member {
    v1::Hello hello;
    AgentClock clock;
    std::optional<StreamId> stream;
    uint64_t sequence = 0;
    bool silent = false;
    int64_t last_heard_ns = 0;
    int probes_left = 0;
    int64_t next_probe_ns = INT64_MAX;
  };

  absl::StatusOr<Joined> Return(AgentId agent, StreamId stream, v1::Hello hello);
  void Hear(Member& member, int64_t now_ns);

  std::map<StreamId, std::optional<AgentId>> streams_;
  std::map<AgentId, Member> members_;
  absl::flat_hash_map<uint64_t, AgentId> by_instance_;
  absl::flat_hash_map<std::string, AgentId> by_name_;
  AgentId last_agent_ = 0;
  Heartbeats heartbeats_;
  int64_t next_silence_ns_ = INT64_MAX;
  int64_t next_probe_ns_ = INT64_MAX;
};

}  // namespace trunkload
