#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
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
// done out. It decides who takes part, when each stage ends or has waited too long, what the loss of an agent
// means, and how the run ends. Not thread-safe.
class RunState {
 public:
  enum class Stage {
    kWaitingForAgents,
    kSettingUp,
    // The agents have loaded their rows, and the tables are finished.
    kFinishingTables,
    kConnecting,
    // The database is read while no load is on: before each phase, and after the last.
    kObserving,
    kReadingClocks,
    // The start of the phase is being written down, before anybody hears of it.
    kStarting,
    kRunning,
    kDraining,
    // All load is over: the plan's checks are settled.
    kChecking,
    kEnded
  };

  // How long transactions under way may still take where a run is to end early.
  static constexpr absl::Duration kShortDrain = absl::Seconds(1);

  // Events. Reasons are one sentence without its full stop, and name no agent.
  // With their names. Those that come together take part together, even where fewer would do.
  struct AgentsJoined {
    std::map<AgentId, std::string> agents;
  };
  // Was not heard for a while, and may load until its lease ends.
  struct AgentSilent {
    AgentId agent;
    std::string reason;
    int64_t lease_ends_ns;
  };
  // Is heard again.
  struct AgentBack {
    AgentId agent;
  };
  // Is there, but without its assignment: it closed its connections while no phase was under way.
  struct AgentUnassigned {
    AgentId agent;
  };
  // Loads no more, that is certain. `announced`: by itself.
  struct AgentGone {
    AgentId agent;
    std::string reason;
    bool announced = false;
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
  // Where its load ended before its time, `cut` says why: then it takes no part any more, but is there for
  // the next phase, unless it `leaves`.
  struct AgentEndedPhase {
    AgentId agent;
    std::string cut = {};
    bool leaves = false;
  };
  struct TargetPrepared {
    absl::Status status;
  };
  // And StartPhase must be sent to the agent so far ahead.
  struct ClockRead {
    AgentId agent;
    int64_t lead_ns;
  };
  // What follows is this phase, which has not begun and is no earlier than the next one, or none: then it is
  // as many as there are. `takes`: in place of what the plan says.
  struct PhaseChosen {
    uint32_t phase;
    std::optional<absl::Duration> takes = std::nullopt;
  };
  // All that can be read of the database was.
  struct DatabaseRead {};
  struct Saved {};
  struct ChecksSettled {};
  // Others emulate all that this one did.
  struct TakenOver {
    AgentId lost;
  };
  // Nobody listened for a while: what was to come by now may be on its way.
  struct Stalled {};
  // The run is to end, in order.
  struct Cancelled {};
  // The same, because going on makes no sense.
  struct Stopped {
    std::string reason;
  };
  struct TimePassed {};
  using Event =
      std::variant<AgentsJoined, AgentSilent, AgentBack, AgentUnassigned, AgentGone, AgentFailed, AgentReady,
                   AgentReported, AgentEndedPhase, TargetPrepared, ClockRead, DatabaseRead, PhaseChosen,
                   Saved, ChecksSettled, TakenOver, Stalled, Cancelled, Stopped, TimePassed>;

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
  // Before a phase that is not the first: application servers that nobody emulates, and some of those of
  // agents that took over others', go to `newcomers`, or where there are none to all. AgentReady follows for
  // each agent, also for those whose assignment stays.
  struct Reassign {
    std::vector<AgentId> newcomers;
  };
  // The others are to take over what this one emulated, in the phase under way.
  struct TakeOver {
    AgentId agent;
  };
  // Answered by DatabaseRead; not waited for for long. `last`: the run's load is over.
  struct ReadDatabase {
    bool last;
  };
  // Of all.
  struct ReadClocks {};
  // The phase is to begin then; it is written down with all that has happened so far, which is answered by
  // Saved. StartPhase follows, or another StartPlanned where that took too long.
  struct StartPlanned {
    uint32_t phase;
  };
  struct StartPhase {
    uint32_t phase;
    int64_t start_ns;
  };
  // With kShortDrain.
  struct StopPhase {
    uint32_t phase;
  };
  // Nothing more is waited for in it.
  struct ClosePhase {
    uint32_t phase;
  };
  // Answered by ChecksSettled; not waited for for ever.
  struct SettleChecks {};
  // Takes no part any more. `seconds` into the phase; negative before its start.
  struct LoseAgent {
    AgentId agent;
    std::string reason;
    uint32_t phase;
    double seconds;
    bool announced;
  };
  // Tells an agent that was assigned to.
  struct EndRun {
    AgentId agent;
  };
  // The last one. OK: there is a result, else why the run could not run.
  struct Finish {
    absl::Status status;
    bool cancelled;
    // Why it ended before its time, where nobody cancelled it.
    std::string stopped;
  };
  using Command = std::variant<PrepareTarget, CancelPrepareTarget, AssignLoad, StartLoad, FinishTarget,
                               AssignAll, Reassign, TakeOver, ReadDatabase, ReadClocks, StartPlanned,
                               StartPhase, StopPhase, ClosePhase, SettleChecks, LoseAgent, EndRun, Finish>;

  // Where a run was that goes on under another controller.
  struct Position {
    bool target_prepared = false;
    // Under way or next.
    uint32_t phase = 0;
    bool begun = false;
    int64_t start_ns = 0;
    bool cancelled = false;
    struct Agent {
      std::string name;
      bool ended_phase = false;
    };
    // Without those that were lost. They are waited for as long as their lease and some time for dialling
    // take.
    std::map<AgentId, Agent> agents;
    std::set<AgentId> unserved;  // lost, with application servers that nobody emulates for sure
  };

  // Starts waiting for `agents_wanted` agents at `now_ns`.
  RunState(const v1::Plan& plan, uint32_t agents_wanted, absl::Duration wait, int64_t now_ns);

  // Goes on from there; where no phase has begun, as one that waits for agents.
  RunState(const v1::Plan& plan, uint32_t agents_wanted, absl::Duration wait, int64_t now_ns,
           const Position& position);

  // FAILED_PRECONDITION, and no change, where `event` can't happen now: the sender broke the protocol.
  absl::StatusOr<std::vector<Command>> Handle(const Event& event, int64_t now_ns);
  // TimePassed changes nothing before then, and may well then; INT64_MAX: it never will.
  int64_t DeadlineNanos() const { return wake_ns_; }

  Stage stage() const { return stage_; }
  bool loading() const { return loading_; }
  // Under way or next.
  uint32_t phase() const { return phase_; }
  // Of the phase under way; meaningful from kStarting to kDraining.
  int64_t start_ns() const { return start_ns_; }
  // Everyone there while waiting, then those that take part and were not lost.
  std::vector<AgentId> agents() const;
  bool TakesPart(AgentId agent) const { return agents_.contains(agent); }
  bool IsReady(AgentId agent) const;
  bool EndedPhase(AgentId agent) const;
  // Of those that take part, how many are heard.
  uint32_t heard() const;
  // The phase under way was told to stop.
  bool stopping() const { return stopping_; }
  // Where the run began with fewer agents than it waited for: how many those were; 0: it did not.
  uint32_t agents_missed() const { return agents_missed_; }
  bool target_prepared() const { return target_prepared_; }
  bool cancelled() const { return cancelled_; }
  const std::string& stopped() const { return stopped_; }
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
    // Of one that is silent.
    bool silent = false;
    std::string silence;
    int64_t lease_ends_ns = INT64_MAX;
  };
  using Commands = std::vector<Command>;

  absl::Status On(const AgentsJoined& event);
  absl::Status On(const AgentSilent& event);
  absl::Status On(const AgentBack& event);
  absl::Status On(const AgentUnassigned& event);
  absl::Status On(const AgentGone& event);
  absl::Status On(const AgentFailed& event);
  absl::Status On(const AgentReady& event);
  absl::Status On(const AgentReported& event);
  absl::Status On(const AgentEndedPhase& event);
  absl::Status On(const TargetPrepared& event);
  absl::Status On(const ClockRead& event);
  absl::Status On(const DatabaseRead& event);
  absl::Status On(const PhaseChosen& event);
  absl::Status On(const Saved& event);
  absl::Status On(const ChecksSettled& event);
  absl::Status On(const TakenOver& event);
  absl::Status On(const Stalled& event);
  absl::Status On(const Cancelled& event);
  absl::Status On(const Stopped& event);
  absl::Status On(const TimePassed& event);

  void Resume(const Position& position);
  void OnDeadline();
  // The earliest of what the stage and any agent wait for.
  int64_t EarliestDeadlineNanos() const;
  absl::StatusOr<Agent*> Find(AgentId agent);
  bool InPhase() const { return stage_ == Stage::kRunning || stage_ == Stage::kDraining; }
  bool PhaseCounts() const { return loading_ || planned_[phase_] == absl::InfiniteDuration(); }
  void StartSetUp();
  void Connect(Command assign);
  void StartLoadingRows();
  void FinishTables();
  // The next phase, after those that are to take part in it have got what they emulate.
  void BeginPhaseOrFinish();
  bool MayReassign() const;
  void StartReassigning();
  void PrepareStartIfAllReady();
  // Reads what is to be read before a phase.
  void PrepareStart();
  void StartReadingClocks();
  void PlanStartIfAllRead();
  void PlanStart();
  void StartDraining(absl::Duration drain_timeout);
  bool EveryAgentEndedPhase() const;
  void EndPhaseIfAllHave();
  void EndEarly();
  // A lost agent before the first phase means that the run can't run.
  void Lose(AgentId agent, const std::string& reason, absl::StatusCode code, bool announced = false);
  void TakeOverInPhase(AgentId lost);
  void LoseThoseWhoseLeaseEnded();
  void LoseThoseThat(absl::FunctionRef<bool(const Agent&)> have_not_answered, const std::string& reason);
  // The run has a result: the database is read once more.
  void FinishRun();
  void SettleChecksOrEnd();
  void End(absl::Status status);
  std::string NamesOfNotReady() const;

  absl::Duration wait_;
  absl::Duration set_up_;
  absl::Duration connect_;
  std::vector<std::string> phase_names_;
  std::vector<absl::Duration> planned_;
  std::vector<absl::Duration> drain_;

  v1::OnAgentLost on_agent_lost_;
  absl::Duration lease_;
  bool agents_load_;
  // For how long the database may be read after the last phase; none where it is not observed.
  std::optional<absl::Duration> last_reading_;
  // For how long checks may be settled; none where the plan has none.
  std::optional<absl::Duration> settling_;
  // Phases before this one need not be waited for.
  uint32_t phases_read_ = 0;
  uint32_t agents_wanted_;
  uint32_t min_agents_;
  bool labels_wanted_;
  uint32_t agents_missed_ = 0;
  Stage stage_ = Stage::kWaitingForAgents;
  std::map<AgentId, Agent> agents_;
  // Came too late, or back, for the phase under way.
  std::map<AgentId, std::string> newcomers_;
  // Those that were lost and whose application servers nobody emulates, as far as is known; and whether any
  // are emulated by agents that took them over.
  std::set<AgentId> unserved_;
  bool taken_over_ = false;
  uint32_t phase_ = 0;
  int64_t start_ns_ = 0;
  bool loading_ = false;
  bool preparing_target_ = false;
  bool target_prepared_ = false;
  // How far ahead the start of the phase must be told.
  int64_t lead_ns_ = 0;
  absl::Duration save_allowance_;
  bool stopping_ = false;
  bool cancelled_ = false;
  std::string stopped_;
  int64_t deadline_ns_;
  int64_t wake_ns_;
  // Of the event being handled.
  int64_t now_ns_;
  Commands commands_;
};

}  // namespace trunkload
