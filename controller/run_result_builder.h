#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/frequent_keys.h"
#include "common/histogram.h"
#include "controller/controller_outside.h"
#include "controller/load_counts.h"
#include "controller/merger.h"
#include "controller/operation_record.h"
#include "controller/verdict.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// Collects what a run has to report while it goes on, and works out its figures. Not thread-safe.
class RunResultBuilder {
 public:
  // How a phase began on one agent, by the controller's clock.
  struct Start {
    double skew_us = 0;
    double uncertainty_us = 0;
  };

  // `plan` holds no password.
  RunResultBuilder(v1::Plan plan, std::string run_id, int64_t started_wall_ns);

  void SetServer(v1::ServerInfo server) { server_ = std::move(server); }
  void AddAgent(AgentId agent, const v1::Hello& hello, int application_servers);
  // How long it took to open its connections; ignored of one that takes no part.
  void SetConnecting(AgentId agent, double connecting_us);
  // In order; `loss` holds the agent's name.
  void AddLoss(v1::Loss loss) { losses_.push_back(std::move(loss)); }
  std::vector<v1::Loss>& losses() { return losses_; }
  const std::vector<v1::Loss>& losses() const { return losses_; }
  void Stop(std::string reason) { facts_.stopped = std::move(reason); }
  // A phase that has ended: no more transactions came due or began after `seconds`. `starts` holds those
  // agents that said when they began. Phases may come in any order, each once.
  void AddPhase(uint32_t phase, double seconds, const Merger& merger, const std::map<AgentId, Start>& starts);

  // A phase that was not to be recorded, that of a search, is judged as if it were; with `recorded` it is
  // shown so, too. Ignored where there is none of that name.
  void JudgeStep(const std::string& phase, bool recorded);
  // Of all phases that were added.
  LoadCounts counts() const;
  const FrequentKeys& keys() const { return keys_; }
  const OperationRecord& operations() const { return operations_; }

  v1::RunResult Build(bool cancelled) const;

 private:
  struct Agent {
    v1::AgentResult result;
    v1::Histogram schedule_lag;  // of recorded phases
  };
  struct Strain {
    v1::Histogram schedule_lag;
    v1::AgentStrain of_agent;
  };
  struct Phase {
    v1::PhaseResult result;
    RunFacts::Phase facts;
    // Over all scripts, of a recorded phase that objectives are judged on.
    std::optional<Merger::Script> total;
    // Of one that is not recorded, as far as is known: see JudgeStep.
    std::map<AgentId, Strain> strains;
  };

  void AddToAgents(const Merger& merger, const std::map<AgentId, Start>& starts, Phase& phase);
  // Of a recorded phase.
  void AddStrain(AgentId agent, const Strain& strain);
  std::vector<v1::ObjectiveResult> Objectives() const;

  v1::Plan plan_;
  std::string run_id_;
  int64_t started_wall_ns_;
  v1::ServerInfo server_;
  std::map<AgentId, Agent> agents_;
  std::map<uint32_t, Phase> phases_;
  std::vector<v1::Loss> losses_;
  FrequentKeys keys_;
  OperationRecord operations_;
  RunFacts facts_;
};

}  // namespace trunkload
