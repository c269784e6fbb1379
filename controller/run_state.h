#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/controller_outside.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {

// The course of one run as a state machine, without clock, agents or database: an event in, what is to be
// done out. It decides who takes part, when each stage ends or has waited too long, and how the run ends. Not
// thread-safe.
class RunState {
 public:
  enum class Stage {
    kWaitingForAgents,
    kSettingUp,
    // The agents have loaded their rows, and the tables are finished.
    kFinishingTables,
    kConnecting,
    kReadingClocks,
    kRunning,
    kDraining,
    kEnded
  };

  // Events. Reasons are one sentence without its full stop, and name no agent.
  // With their names. Those that come together take part together, even where fewer would do.
  struct AgentsJoined {
    std::map<AgentId, std::string> agents;
  };
  struct AgentLeft {
    AgentId agent;
    std::string reason;
  };
  struct AgentFailed {
    AgentId agent;
    std::string reason;
  };
  struct AgentReady {
    AgentId agent;
  };
  // An interval came.
  struct AgentReported {
    AgentId agent;
  };
  struct AgentEndedPhase {
    AgentId agent;
  };
  struct TargetPrepared {
    absl::Status status;
  };
  // And StartPhase must be sent to the agent so far ahead.
  struct ClockRead {
    AgentId agent;
    int64_t lead_ns;
  };
  struct Cancelled {};
  struct TimePassed {};
  using Event = std::variant<AgentsJoined, AgentLeft, AgentFailed, AgentReady, AgentReported, AgentEndedPhase,
                             TargetPrepared, ClockRead, Cancelled, TimePassed>;

  // Commands, to be carried out in order. "All" are the agents in agents().
  struct PrepareTarget {};
  // Of rows to load.
  struct AssignLoad {};
  struct StartLoad {
    int64_t start_ns;
  };
  // Every agent has ended its part; EndRun follows for each. FinishTarget, or what that found out without
  // asking the target, is answered by TargetPrepared.
  struct FinishTarget {};
  struct CancelPrepareTarget {};
  struct AssignAll {};
  // Of all.
  struct ReadClocks {};
  struct StartPhase {
    uint32_t phase;
    int64_t start_ns;
  };
  struct StopPhase {
    uint32_t phase;
  };
  // Nothing more is waited for in it.
  struct ClosePhase {
    uint32_t phase;
  };
  // Takes no part any more. `seconds` into the phase; negative before its start.
  struct LoseAgent {
    AgentId agent;
    std::string reason;
    uint32_t phase;
    double seconds;
  };
  // Tells an agent that was assigned to.
  struct EndRun {
    AgentId agent;
  };
  // The last one. OK: there is a result, else why the run could not run.
  struct Finish {
    absl::Status status;
    bool cancelled;
  };
  using Command =
      std::variant<PrepareTarget, CancelPrepareTarget, AssignLoad, StartLoad, FinishTarget, AssignAll,
                   ReadClocks, StartPhase, StopPhase, ClosePhase, LoseAgent, EndRun, Finish>;

  // Starts waiting for `agents_wanted` agents at `now_ns`.
  RunState(const v1::Plan& plan, uint32_t agents_wanted, absl::Duration wait, int64_t now_ns);

  // FAILED_PRECONDITION, and no change, where `event` can't happen now: the sender broke the protocol.
  absl::StatusOr<std::vector<Command>> Handle(const Event& event, int64_t now_ns);
  // When TimePassed would change something; INT64_MAX: never.
  int64_t DeadlineNanos() const;

  Stage stage() const { return stage_; }
  bool loading() const { return loading_; }
  // Under way or next.
  uint32_t phase() const { return phase_; }
  // Of the phase under way; meaningful from kRunning to kDraining.
  int64_t start_ns() const { return start_ns_; }
  // Everyone there while waiting, then those that take part and were not lost.
  std::vector<AgentId> agents() const;
  bool TakesPart(AgentId agent) const { return agents_.contains(agent); }
  bool IsReady(AgentId agent) const;
  // How many the run waits for, and then how many took part when it began.
  uint32_t agents_wanted() const { return agents_wanted_; }

 private:
  struct Agent {
    std::string name;
    bool ready = false;
    bool clock_read = false;
    int64_t lead_ns = 0;
    bool ended_phase = false;
    int64_t heard_ns = 0;
  };
  using Commands = std::vector<Command>;

  absl::Status On(const AgentsJoined& event);
  absl::Status On(const AgentLeft& event);
  absl::Status On(const AgentFailed& event);
  absl::Status On(const AgentReady& event);
  absl::Status On(const AgentReported& event);
  absl::Status On(const AgentEndedPhase& event);
  absl::Status On(const TargetPrepared& event);
  absl::Status On(const ClockRead& event);
  absl::Status On(const Cancelled& event);
  absl::Status On(const TimePassed& event);

  absl::StatusOr<Agent*> Find(AgentId agent);
  bool InPhase() const { return stage_ == Stage::kRunning || stage_ == Stage::kDraining; }
  bool PhaseCounts() const { return loading_ || planned_[phase_] == absl::InfiniteDuration(); }
  void StartSetUp();
  void Connect(Command assign);
  void StartLoadingRows();
  void FinishTables();
  void ReadClocksOrFinish();
  void StartPhaseIfAllRead();
  void StartDraining();
  void EndPhaseIfAllHave();
  // A lost agent before the first phase means that the run can't run.
  void Lose(AgentId agent, const std::string& reason, absl::StatusCode code);
  void LoseThoseThat(absl::FunctionRef<bool(const Agent&)> have_not_answered, const std::string& reason);
  void End(absl::Status status);
  std::string NamesOfNotReady() const;

  const absl::Duration wait_;
  const absl::Duration set_up_;
  const absl::Duration connect_;
  std::vector<std::string> phase_names_;
  std::vector<absl::Duration> planned_;
  std::vector<absl::Duration> drain_;

  const bool agents_load_;
  uint32_t agents_wanted_;
  Stage stage_ = Stage::kWaitingForAgents;
  std::map<AgentId, Agent> agents_;
  uint32_t phase_ = 0;
  int64_t start_ns_ = 0;
  bool loading_ = false;
  bool preparing_target_ = false;
  bool cancelled_ = false;
  int64_t deadline_ns_;
  // Of the event being handled.
  int64_t now_ns_;
  Commands commands_;
};

}  // namespace trunkload
