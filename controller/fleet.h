#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "controller/agent_clock.h"
#include "controller/controller_outside.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Who is connected, who they say they are, and how far off their clocks are. Not thread-safe.
class Fleet {
 public:
  // A stream is open; it is in the fleet once it has joined.
  void Connect(AgentId agent);
  // ALREADY_EXISTS where the name is taken, FAILED_PRECONDITION where the protocol is another or it joined
  // before, INVALID_ARGUMENT where the message doesn't keep to its limits.
  absl::Status Join(AgentId agent, v1::Hello hello);
  void Leave(AgentId agent);

  bool connected(AgentId agent) const { return members_.contains(agent); }
  bool joined(AgentId agent) const;
  std::vector<AgentId> joined_agents() const;
  // Of one that has joined.
  const v1::Hello& hello(AgentId agent) const { return *members_.at(agent).hello; }
  const AgentClock& clock(AgentId agent) const { return members_.at(agent).clock; }
  AgentClock& clock(AgentId agent) { return members_.at(agent).clock; }

  // Has the agent's clock probed some times in a row, the first time at `from_ns`.
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
    std::optional<v1::Hello> hello;
    AgentClock clock;
    int probes_left = 0;
    int64_t next_probe_ns = INT64_MAX;
  };

  std::map<AgentId, Member> members_;
  absl::flat_hash_set<std::string> names_;
  int64_t next_probe_ns_ = INT64_MAX;
};

}  // namespace trunkload
