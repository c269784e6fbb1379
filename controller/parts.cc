#include "controller/parts.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace trunkload {
namespace {

// An odd step: no two generations of an application server share a seed.
constexpr uint64_t kGenerationStep = 0xd1342543de82ef95;

void GiveAnew(v1::ApplicationServer& server) {
  server.set_generation(server.generation() + 1);
  server.set_seed(server.seed() + kGenerationStep);
}

}  // namespace

const Parts::Servers& Parts::of(AgentId agent) const {
  static const Servers none;
  const auto found = parts_.find(agent);
  return found == parts_.end() ? none : found->second;
}

void Parts::Renew(AgentId agent) {
  std::for_each(parts_[agent].begin(), parts_[agent].end(), GiveAnew);
}

std::set<AgentId> Parts::TakeOver(AgentId lost, const std::vector<AgentId>& receivers) {
  Servers orphans = std::move(parts_[lost]);
  parts_.erase(lost);
  std::set<AgentId> takers;
  for (v1::ApplicationServer& server : orphans) {
    GiveAnew(server);
    const AgentId receiver =
        *std::min_element(receivers.begin(), receivers.end(),
                          [this](AgentId a, AgentId b) { return parts_[a].size() < parts_[b].size(); });
    takers.insert(receiver);
    parts_[receiver].push_back(std::move(server));
  }
  return takers;
}

Parts::Servers Parts::TakeOrphans(const std::vector<AgentId>& agents) {
  Servers orphans;
  for (auto part = parts_.begin(); part != parts_.end();) {
    if (std::find(agents.begin(), agents.end(), part->first) != agents.end()) {
      ++part;
      continue;
    }
    std::move(part->second.begin(), part->second.end(), std::back_inserter(orphans));
    part = parts_.erase(part);
  }
  return orphans;
}

std::set<AgentId> Parts::Rebalance(const std::vector<AgentId>& agents,
                                   const std::vector<AgentId>& newcomers) {
  std::set<AgentId> changed(newcomers.begin(), newcomers.end());
  const auto fewer = [this](AgentId a, AgentId b) { return parts_[a].size() < parts_[b].size(); };
  const std::vector<AgentId>& receivers = newcomers.empty() ? agents : newcomers;
  for (v1::ApplicationServer& server : TakeOrphans(agents)) {
    const AgentId receiver = *std::min_element(receivers.begin(), receivers.end(), fewer);
    parts_[receiver].push_back(std::move(server));
    changed.insert(receiver);
  }
  while (!newcomers.empty()) {
    const AgentId most = *std::max_element(agents.begin(), agents.end(), fewer);
    const AgentId fewest = *std::min_element(newcomers.begin(), newcomers.end(), fewer);
    if (parts_[most].size() <= parts_[fewest].size() + 1) break;
    parts_[fewest].push_back(std::move(parts_[most].back()));
    parts_[most].pop_back();
    changed.insert(most);
  }
  for (const AgentId agent : changed) Renew(agent);
  return changed;
}

}  // namespace trunkload
