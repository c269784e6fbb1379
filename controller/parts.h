#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "controller/controller_outside.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Who emulates which application servers in a run. Every application server is in at most one agent's part;
// one that is given to another agent gets its next generation, so that it draws other numbers and keys than
// it may have drawn already. Not thread-safe.
class Parts {
 public:
  using Servers = std::vector<v1::ApplicationServer>;

  void Add(AgentId agent, v1::ApplicationServer server) { parts_[agent].push_back(std::move(server)); }
  // Empty where it has none.
  const Servers& of(AgentId agent) const;

  void Change(AgentId agent, Servers servers) { parts_[agent] = std::move(servers); }
  // It emulates the same, but anew.
  void Renew(AgentId agent);
  // What `lost` emulated goes to `receivers`, of which there is one at least: the ones with the fewest first.
  // Those that got any.
  std::set<AgentId> TakeOver(AgentId lost, const std::vector<AgentId>& receivers);
  // What those that are not among `agents` emulated goes to `newcomers`, or to all where there are none; then
  // newcomers get as many as the others, from those with the most. All application servers of an agent whose
  // part has changed count as given anew. The agents whose part has changed.
  std::set<AgentId> Rebalance(const std::vector<AgentId>& agents, const std::vector<AgentId>& newcomers);

 private:
  Servers TakeOrphans(const std::vector<AgentId>& agents);

  std::map<AgentId, Servers> parts_;
};

}  // namespace trunkload
