#include "agent/client_seeds.h"

#include <algorithm>
#include <cstddef>

#include "common/random.h"

namespace trunkload {

std::vector<uint64_t> ClientSeeds(const v1::Assignment& assignment) {
  const bool any_text = std::any_of(assignment.scripts().begin(), assignment.scripts().end(),
                                    [](const v1::Script& script) { return !script.text().empty(); });
  if (!any_text) return {};
  uint32_t clients = 0;
  uint32_t generation = 0;
  for (const v1::ApplicationServer& server : assignment.application_servers()) {
    clients = std::max(clients, server.connections());
    generation = std::max(generation, server.generation());
    for (const v1::PhaseShare& share : server.shares()) clients = std::max(clients, share.clients());
  }
  // Clients that are taken over don't draw once more what those of the lost agent have drawn.
  Random base(generation == 0 ? assignment.seed() : MixSeed(assignment.seed(), generation));
  std::vector<uint64_t> seeds(size_t{clients} * assignment.fleet_application_servers());
  for (uint64_t& seed : seeds) seed = base.Next();
  return seeds;
}

}  // namespace trunkload
