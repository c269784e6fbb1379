#include "controller/planner.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "absl/strings/str_cat.h"
#include "controller/plan/conninfo.h"

namespace trunkload {
namespace {

// Part `index` of `total` in `parts` whole parts that differ by one at most, the larger ones first.
uint64_t EvenShare(uint64_t total, uint64_t parts, uint64_t index) {
  return total / parts + (index < total % parts ? 1 : 0);
}

// SplitMix64's finalizer: a bijection, so that distinct inputs give distinct seeds.
uint64_t Scramble(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

uint64_t SeedOf(uint64_t plan_seed, uint32_t application_server) {
  // An odd step visits every 64-bit value once before it repeats.
  constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  return Scramble(Scramble(plan_seed + kStep) + kStep * application_server);
}

v1::PhaseShare ShareOf(const v1::Phase& phase, uint32_t application_servers, uint32_t number) {
  v1::PhaseShare share;
  if (phase.load().has_open()) {
    // Arrival g is application server g mod M's, so that the first T mod M servers have one more.
    if (phase.has_transactions())
      share.set_transactions(EvenShare(phase.transactions(), application_servers, number));
    return share;
  }
  const uint32_t clients = phase.load().closed().clients();
  share.set_clients(static_cast<uint32_t>(EvenShare(clients, application_servers, number)));
  const uint32_t busy = std::min(clients, application_servers);
  if (phase.has_transactions() && number < busy) {
    share.set_transactions(EvenShare(phase.transactions(), busy, number));
  }
  return share;
}

uint32_t ConnectionsOf(const v1::Fleet& fleet, uint32_t application_server) {
  if (!fleet.has_connections()) return fleet.pool().size();
  return static_cast<uint32_t>(
      EvenShare(fleet.connections(), fleet.application_servers(), application_server));
}

// The agents by their group, each group in the place of its first; without groups each agent is one.
std::vector<std::vector<size_t>> Grouped(size_t agents, std::span<const std::string> groups) {
  std::vector<std::vector<size_t>> members;
  std::map<std::string, size_t> places;
  for (size_t agent = 0; agent < agents; ++agent) {
    const size_t place =
        groups.empty() ? agent : places.try_emplace(groups[agent], places.size()).first->second;
    if (place == members.size()) members.emplace_back();
    members[place].push_back(agent);
  }
  return members;
}

}  // namespace

absl::Status CheckAgents(const v1::Plan& plan, size_t agents) {
  if (agents == 0) return absl::InvalidArgumentError("a run needs at least one agent");
  // Without phases the plan's application servers have nothing to do.
  if (plan.phases().empty() || plan.fleet().application_servers() >= agents) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the plan's fleet.application_servers is ",
                                                 plan.fleet().application_servers(), ", too few for ", agents,
                                                 " agents, each of which emulates at least one: raise it to ",
                                                 agents, " or start fewer agents"));
}

v1::Assignment PlanCommon(const v1::Plan& plan, const std::string& run_id, size_t agents) {
  v1::Assignment common;
  common.set_run_id(run_id);
  // What an agent is told of the target holds no password, whatever the plan does.
  *common.mutable_target() = plan.target();
  common.mutable_target()->set_conninfo(RedactedConninfo(plan.target().conninfo()));
  if (plan.target().load_balance_hosts() == v1::LOAD_BALANCE_HOSTS_ROUND_ROBIN) {
    for (std::string& conninfo : ConninfosByHost(common.target().conninfo()))
      common.add_conninfos(std::move(conninfo));
  }
  common.set_threads(plan.fleet().threads());
  *common.mutable_pool() = plan.fleet().pool();
  *common.mutable_scripts() = plan.scripts();
  *common.mutable_phases() = plan.phases();
  common.set_fleet_application_servers(plan.fleet().application_servers());
  common.set_loaded_rows(plan.setup().rows());
  common.set_agents(static_cast<uint32_t>(agents));
  common.set_seed(plan.seed());
  *common.mutable_variables() = plan.variables();
  if (plan.setup().workload() == v1::WORKLOAD_PGBENCH) {
    common.mutable_variables()->insert({"scale", absl::StrCat(plan.setup().scale())});
  }
  *common.mutable_lease() = plan.fleet().lease();
  return common;
}

std::vector<v1::ApplicationServer> PlanApplicationServers(const v1::Plan& plan) {
  const uint32_t count = plan.fleet().application_servers();
  std::vector<v1::ApplicationServer> servers(count);
  for (uint32_t number = 0; number < count; ++number) {
    v1::ApplicationServer& server = servers[number];
    server.set_number(number);
    server.set_seed(SeedOf(plan.seed(), number));
    server.set_connections(ConnectionsOf(plan.fleet(), number));
    for (const v1::Phase& phase : plan.phases()) *server.add_shares() = ShareOf(phase, count, number);
  }
  return servers;
}

absl::StatusOr<std::vector<v1::Assignment>> PlanAssignments(const v1::Plan& plan,
                                                            std::span<const std::string> agents,
                                                            const std::string& run_id,
                                                            std::span<const std::string> groups) {
  if (absl::Status status = CheckAgents(plan, agents.size()); !status.ok()) return status;
  std::vector<v1::Assignment> assignments(agents.size(), PlanCommon(plan, run_id, agents.size()));
  const std::vector<std::vector<size_t>> members = Grouped(agents.size(), groups);
  for (v1::ApplicationServer& server : PlanApplicationServers(plan)) {
    // Dealt out in turn: the servers with one client or transaction more are the first ones, and no agent
    // gets them all.
    const std::vector<size_t>& group = members[server.number() % members.size()];
    const size_t agent = group[server.number() / members.size() % group.size()];
    *assignments[agent].add_application_servers() = std::move(server);
  }
  uint32_t agent = 0;
  for (v1::Assignment& assignment : assignments) {
    const auto servers = static_cast<uint32_t>(assignment.application_servers_size());
    if (servers == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the plan's fleet.application_servers is ", plan.fleet().application_servers(),
                       ", too few to spread them over ", plan.fleet().spread_over(), " and leave agent ",
                       agents[agent], " one: raise it or start fewer agents"));
    }
    assignment.set_agent(agent++);
    assignment.set_threads(std::min(plan.fleet().threads(), servers));
  }
  return assignments;
}

}  // namespace trunkload
