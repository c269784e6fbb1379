// What an ActiveRun tells agents to do, and how that is shared out among them.
#include <algorithm>
#include <utility>

#include "controller/active_run.h"
#include "controller/planner.h"
#include "controller/preflight.h"
#include "controller/workload/table_load.h"

namespace trunkload {

absl::Status ActiveRun::CheckAssignments(const std::vector<AgentId>& agents) const {
  const absl::StatusOr<std::vector<v1::Assignment>> assignments =
      PlanAssignments(plan_, NamesOf(agents), id_, GroupsOf(agents));
  if (!assignments.ok()) return assignments.status();
  for (size_t i = 0; i < agents.size(); ++i) {
    if (absl::Status status = CheckOpenFiles((*assignments)[i], fleet_.hello(agents[i])); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

std::vector<std::string> ActiveRun::GroupsOf(const std::vector<AgentId>& agents) const {
  std::vector<std::string> groups;
  if (!plan_.fleet().has_spread_over()) return groups;
  for (const AgentId agent : agents) {
    const auto& labels = fleet_.hello(agent).labels();
    const auto label = labels.find(plan_.fleet().spread_over());
    groups.push_back(label == labels.end() ? "" : label->second);
  }
  return groups;
}

std::vector<std::string> ActiveRun::NamesOf(const std::vector<AgentId>& agents) const {
  std::vector<std::string> names;
  for (const AgentId agent : agents) names.push_back(fleet_.hello(agent).name());
  return names;
}

void ActiveRun::Do(const RunState::AssignLoad&) {
  static constexpr char kStep[] = "client-side generate";
  if (set_up_.empty() || set_up_.back().name() != kStep) OnTargetTask(kStep);
  const std::vector<AgentId> agents = state_.agents();
  load_ = TableLoadOf(plan_, server_.distributed());
  load_plan_ = PlanOfLoad(plan_, *load_, agents.size());
  std::vector<v1::Assignment> assignments = PlanAssignments(load_plan_, NamesOf(agents), id_).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    *assignments[i].mutable_load() = *load_;
    versions_[agents[i]] = {++last_version_, last_version_};
    assignments[i].set_version(last_version_);
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    Send(agents[i], message);
  }
}

void ActiveRun::Do(const RunState::AssignAll&) {
  const std::vector<AgentId> agents = state_.agents();
  // Checked before the target was prepared; nobody has joined since.
  const std::vector<v1::Assignment> assignments =
      PlanAssignments(plan_, NamesOf(agents), id_, GroupsOf(agents)).value();
  if (plan_.observer().enabled()) outside_.StartObserving(plan_);
  if (!plan_.faults().empty()) outside_.PrepareFaults(plan_, id_);
  for (const AgentId agent : agents) Admit(agent);
  for (size_t i = 0; i < agents.size(); ++i) {
    for (const v1::ApplicationServer& server : assignments[i].application_servers())
      parts_.Add(agents[i], server);
    result_.AddAgent(agents[i], fleet_.hello(agents[i]), assignments[i].application_servers_size());
    Assign(agents[i]);
  }
}

void ActiveRun::AssignAnew(AgentId agent) {
  parts_.Renew(agent);
  Assign(agent);
}

void ActiveRun::Admit(AgentId agent) {
  numbers_.emplace(agent, static_cast<uint32_t>(numbers_.size()));
  hellos_[agent] = fleet_.hello(agent);
}

void ActiveRun::Assign(AgentId agent) {
  v1::ControllerMessage message;
  v1::Assignment& assignment = *message.mutable_assignment();
  assignment = PlanCommon(plan_, id_, numbers_.size());
  assignment.set_agent(numbers_.at(agent));
  forgotten_.erase(agent);
  versions_[agent] = {++last_version_, last_version_};
  assignment.set_version(last_version_);
  assignment.set_next_phase(state_.phase());
  const Parts::Servers& servers = parts_.of(agent);
  *assignment.mutable_application_servers() = {servers.begin(), servers.end()};
  assignment.set_threads(std::min(assignment.threads(), static_cast<uint32_t>(servers.size())));
  Send(agent, message);
}

void ActiveRun::Do(const RunState::Reassign& command) {
  const std::vector<AgentId> agents = state_.agents();
  // Some may have been lost by the same event.
  if (agents.empty()) return;
  std::vector<AgentId> newcomers;
  for (const AgentId agent : command.newcomers) {
    if (!state_.TakesPart(agent)) continue;
    Admit(agent);
    newcomers.push_back(agent);
  }
  std::set<AgentId> changed = parts_.Rebalance(agents, newcomers);
  const auto taking_over = std::exchange(taking_over_, {});
  for (const AgentId agent : agents) {
    const Parts::Servers& servers = parts_.of(agent);
    const bool unsure = std::any_of(servers.begin(), servers.end(), [&taking_over](const auto& server) {
      return taking_over.contains(server.number());
    });
    if (unsure && changed.insert(agent).second) parts_.Renew(agent);
    result_.AddAgent(agent, hellos_.at(agent), static_cast<int>(parts_.of(agent).size()));
    if (changed.contains(agent)) {
      Assign(agent);
    } else {
      events_.emplace_back(RunState::AgentReady{agent});
    }
  }
}

void ActiveRun::Do(const RunState::TakeOver& command) {
  std::vector<AgentId> receivers;
  for (const AgentId agent : state_.agents()) {
    if (fleet_.StreamOf(agent) && !state_.EndedPhase(agent)) receivers.push_back(agent);
  }
  if (receivers.empty()) return;
  parts_.Change(command.agent, Remaining(command.agent, parts_.of(command.agent)));
  for (const v1::ApplicationServer& server : parts_.of(command.agent))
    taking_over_[server.number()].insert(command.agent);
  for (const AgentId agent : parts_.TakeOver(command.agent, receivers)) {
    versions_[agent].newest = ++last_version_;
    // Not before it is on disk: another controller might give them to somebody else.
    to_take_over_.insert(agent);
  }
  save_soon_ = true;
}

void ActiveRun::SendTakeOver(AgentId agent) {
  v1::ControllerMessage message;
  v1::TakeOver& take_over = *message.mutable_take_over();
  take_over.set_run_id(id_);
  take_over.set_phase(state_.phase());
  take_over.set_version(versions_.at(agent).newest);
  const Parts::Servers& servers = parts_.of(agent);
  *take_over.mutable_application_servers() = {servers.begin(), servers.end()};
  Send(agent, message);
}

// In a phase that is limited by transactions: what was not started yet, as far as is known.
Parts::Servers ActiveRun::Remaining(AgentId agent, Parts::Servers servers) const {
  const int phase = static_cast<int>(state_.phase());
  const Merger* const merger = phases_.merger(state_.phase());
  const bool counted = plan_.phases(phase).has_transactions() && plan_.phases(phase).load().has_closed();
  if (!counted || merger == nullptr) return servers;
  uint64_t started = merger->agents().at(agent).offered;
  for (v1::ApplicationServer& server : servers) {
    v1::PhaseShare& share = *server.mutable_shares(phase);
    const uint64_t of_this = std::min(started, share.transactions());
    share.set_transactions(share.transactions() - of_this);
    started -= of_this;
  }
  return servers;
}

double ActiveRun::ShareOf(AgentId agent, uint32_t phase) const {
  const v1::Load& load = plan_.phases(static_cast<int>(phase)).load();
  const Parts::Servers& servers = parts_.of(agent);
  if (load.has_open()) {
    return static_cast<double>(servers.size()) / plan_.fleet().application_servers();
  }
  double clients = 0;
  for (const v1::ApplicationServer& server : servers)
    clients += server.shares(static_cast<int>(phase)).clients();
  return clients / load.closed().clients();
}

}  // namespace trunkload
