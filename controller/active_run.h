#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/controller_outside.h"
#include "controller/fleet.h"
#include "controller/merger.h"
#include "controller/run_result_builder.h"
#include "controller/run_state.h"
#include "trunkload/v1/fleet.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// The run that a controller has under way: hands what happens to its RunState, carries out what follows from
// that, and adds up what agents report. Not thread-safe: belongs to its controller.
class ActiveRun {
 public:
  struct Identity {
    std::string id;
    // By the clock below.
    int64_t began_ns;
    int64_t began_wall_ns;
  };
  struct Surroundings {
    const Clock& clock;
    ControllerOutside& outside;
    Fleet& fleet;
  };
  // `plan` is valid, and fits `agents` agents, for which it waits so long.
  ActiveRun(const Identity& identity, v1::Plan plan, uint32_t agents, absl::Duration wait,
            const Surroundings& surroundings);

  const std::string& id() const { return id_; }
  // Once the run has ended, its result or why it could not run; none until then. Nothing of what is below
  // has an effect after that.
  const std::optional<absl::StatusOr<v1::RunResult>>& outcome() const { return outcome_; }

  void Cancel();
  // Each of them of an agent that is in the fleet. An error: it broke the protocol.
  absl::Status OnAgentJoined(AgentId agent);
  absl::Status OnReady(AgentId agent, const v1::Ready& ready);
  absl::Status OnFailed(AgentId agent, const v1::Failed& failed);
  absl::Status OnClockReply(AgentId agent);
  absl::Status OnInterval(AgentId agent, const v1::Interval& interval);
  absl::Status OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended);
  void OnAgentLeft(AgentId agent, std::string why);
  // See Controller.
  void OnTargetTask(const std::string& name);
  void OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info);
  void OnTick();
  int64_t NextTickNanos() const;

 private:
  // What an agent of an earlier run says of that one, before EndRun has reached it, is no fault of its.
  bool IsTold(AgentId agent, const std::string& run_id) const {
    return state_.TakesPart(agent) && id_ == run_id;
  }
  void TakeAgentsIn();
  void TellTransactions(AgentId agent, const v1::TransactionLog& log);

  // Hands an event to the run's state and carries out what follows.
  absl::Status Apply(RunState::Event event);
  void Do(const RunState::PrepareTarget&);
  void Do(const RunState::CancelPrepareTarget&) { outside_.CancelPrepareTarget(); }
  void Do(const RunState::AssignLoad&);
  void Do(const RunState::StartLoad& command);
  void Do(const RunState::FinishTarget&);
  void Do(const RunState::AssignAll&);
  void Do(const RunState::ReadClocks&);
  void Do(const RunState::StartPhase& command);
  void Do(const RunState::StopPhase& command);
  void Do(const RunState::ClosePhase& command);
  void Do(const RunState::LoseAgent& command);
  void Do(const RunState::EndRun& command);
  void Do(const RunState::Finish& command);

  std::vector<std::string> NamesOf(const std::vector<AgentId>& agents) const;
  void EndStep();
  uint64_t RowsLoaded() const;
  void SendProgress();
  void DescribePhase(v1::Progress& progress) const;

  const std::string id_;
  const v1::Plan plan_;
  const Clock& clock_;
  ControllerOutside& outside_;
  Fleet& fleet_;
  RunState state_;
  RunResultBuilder result_;
  std::optional<absl::StatusOr<v1::RunResult>> outcome_;
  // Raised while commands are carried out.
  std::deque<RunState::Event> events_;
  // Agents that were there before the run are taken in at the next tick, so that nothing ends inside
  // StartRun.
  bool agents_taken_in_ = false;
  // Of the phase under way.
  std::optional<Merger> merger_;
  std::map<AgentId, RunResultBuilder::Start> starts_;
  int64_t stopped_ns_ = INT64_MAX;
  int64_t next_progress_ns_;
  // How tables are set up; the last step may be under way, since then. 0: it has ended.
  std::vector<v1::SetUpStep> set_up_;
  int64_t step_began_ns_ = 0;
  bool distributed_ = false;
  // What agents load, and that as the plan that they are assigned to.
  std::optional<v1::TableLoad> load_;
  v1::Plan load_plan_;
};

}  // namespace trunkload
