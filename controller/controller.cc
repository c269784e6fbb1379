#include "controller/controller.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/utf8.h"
#include "controller/fleet.h"
#include "controller/merger.h"
#include "controller/phase_times.h"
#include "controller/plan/plan_check.h"
#include "controller/planner.h"
#include "controller/run_result_builder.h"
#include "controller/run_state.h"
#include "controller/workload/table_load.h"

namespace trunkload {
namespace {

constexpr int64_t kProgressNanos = 1'000'000'000;
// By then the intervals of the second that has just ended are here.
constexpr int64_t kProgressDelayNanos = 250'000'000;
constexpr size_t kLongestReason = 500;
constexpr uint64_t kLongestConnectingNanos = uint64_t{1} << 60;

// Sorts by time; the suffix tells runs of the same second apart.
std::string NewRunId(int64_t wall_ns) {
  absl::BitGen random;
  return absl::StrCat(absl::FormatTime("%Y%m%d-%H%M%S", absl::FromUnixNanos(wall_ns), absl::UTCTimeZone()),
                      absl::StrFormat("-%04x", absl::Uniform<uint16_t>(random)));
}

v1::Progress::Stage ToProto(RunState::Stage stage, bool first_phase) {
  switch (stage) {
    case RunState::Stage::kWaitingForAgents:
      return v1::Progress::STAGE_WAITING_FOR_AGENTS;
    case RunState::Stage::kSettingUp:
    case RunState::Stage::kFinishingTables:
      return v1::Progress::STAGE_SETTING_UP;
    case RunState::Stage::kConnecting:
      return v1::Progress::STAGE_CONNECTING;
    case RunState::Stage::kReadingClocks:
      return first_phase ? v1::Progress::STAGE_CONNECTING : v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kRunning:
      return v1::Progress::STAGE_RUNNING;
    case RunState::Stage::kDraining:
    case RunState::Stage::kEnded:
      break;
  }
  return v1::Progress::STAGE_DRAINING;
}

}  // namespace

class Controller::State {
 public:
  State(const Clock& clock, ControllerOutside& outside) : clock_(clock), outside_(outside) {}

  absl::StatusOr<std::string> StartRun(v1::Plan plan, const RunOptions& options);
  void CancelRun() { Apply(RunState::Cancelled{}).IgnoreError(); }
  void OnAgentConnected(AgentId agent) { fleet_.Connect(agent); }
  void OnAgentMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns);
  void OnAgentLeft(AgentId agent);
  void OnTargetTask(const std::string& name);
  void OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info);
  void OnTick();
  int64_t NextTickNanos() const;

 private:
  struct ActiveRun {
    std::string id;
    v1::Plan plan;
    RunState state;
    RunResultBuilder result;
    // Agents that were there before the run are taken in at the next tick, so that nothing ends inside
    // StartRun.
    bool agents_taken_in = false;
    // Of the phase under way.
    std::optional<Merger> merger;
    std::map<AgentId, RunResultBuilder::Start> starts;
    int64_t stopped_ns = INT64_MAX;
    int64_t next_progress_ns = 0;
    // How tables are set up; the last step may be under way, since then. 0: it has ended.
    std::vector<v1::SetUpStep> set_up;
    int64_t step_began_ns = 0;
    bool distributed = false;
    // What agents load, and that as the plan that they are assigned to.
    std::optional<v1::TableLoad> load;
    v1::Plan load_plan;
  };

  absl::Status OnMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns);
  absl::Status OnHello(AgentId agent, const v1::Hello& hello);
  absl::Status OnClockReply(AgentId agent, const v1::ClockReply& reply, int64_t received_ns);
  absl::Status OnInterval(AgentId agent, const v1::Interval& interval);
  void TellTransactions(AgentId agent, const v1::TransactionLog& log);
  absl::Status OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended);
  // What an agent of an earlier run says of that one, before EndRun has reached it, is no fault of its.
  bool OfThisRun(AgentId agent, const std::string& run_id) const {
    return run_ && run_->state.TakesPart(agent) && run_->id == run_id;
  }

  // Hands an event to the run's state and carries out what follows. OK without a run.
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

  void TakeAgentsIn();
  void EndStep();
  uint64_t RowsLoaded() const;
  void SendProgress();
  void DescribePhase(v1::Progress& progress) const;

  const Clock& clock_;
  ControllerOutside& outside_;
  Fleet fleet_;
  std::optional<ActiveRun> run_;
  // Raised while commands are carried out.
  std::deque<RunState::Event> events_;
};

absl::StatusOr<std::string> Controller::State::StartRun(v1::Plan plan, const RunOptions& options) {
  if (run_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "run ", run_->id, " is under way, and a controller does one at a time: try again after it"));
  }
  const uint32_t agents = std::max(options.agents, 1u);
  if (absl::Status status = CheckAgents(plan, agents); !status.ok()) return status;
  const int64_t now_ns = clock_.MonotonicNanos();
  const int64_t wall_ns = clock_.WallNanos();
  const std::string id = NewRunId(wall_ns);
  RunState state(plan, agents, options.wait, now_ns);
  RunResultBuilder result(Redacted(plan), id, wall_ns);
  run_.emplace(
      ActiveRun{.id = id, .plan = std::move(plan), .state = std::move(state), .result = std::move(result)});
  run_->next_progress_ns = now_ns;
  return id;
}

void Controller::State::TakeAgentsIn() {
  run_->agents_taken_in = true;
  RunState::AgentsJoined joined;
  for (AgentId agent : fleet_.joined_agents()) joined.agents.emplace(agent, fleet_.hello(agent).name());
  Apply(std::move(joined)).IgnoreError();
}

void Controller::State::OnAgentMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns) {
  // What was under way when the agent was disconnected.
  if (!fleet_.connected(agent)) return;
  const absl::Status status = OnMessage(agent, message, received_ns);
  if (status.ok()) return;
  outside_.Disconnect(agent, status);
  fleet_.Leave(agent);
  Apply(RunState::AgentLeft{agent, absl::StrCat("it broke the protocol: ", status.message())}).IgnoreError();
}

absl::Status Controller::State::OnMessage(AgentId agent, const v1::AgentMessage& message,
                                          int64_t received_ns) {
  if (!fleet_.joined(agent) && !message.has_hello()) {
    return absl::FailedPreconditionError("the first message of an agent must be Hello");
  }
  switch (message.kind_case()) {
    case v1::AgentMessage::kHello:
      return OnHello(agent, message.hello());
    case v1::AgentMessage::kClockReply:
      return OnClockReply(agent, message.clock_reply(), received_ns);
    case v1::AgentMessage::kReady:
      if (!OfThisRun(agent, message.ready().run_id())) return absl::OkStatus();
      if (message.ready().connecting_ns() > kLongestConnectingNanos)
        return absl::InvalidArgumentError("its Ready has a time that no clock gives");
      run_->result.SetConnecting(agent, static_cast<double>(message.ready().connecting_ns()) / 1000);
      if (run_->state.loading() && !fleet_.clock(agent).known()) {
        return absl::FailedPreconditionError("Ready came before the answer to a clock probe");
      }
      return Apply(RunState::AgentReady{agent});
    case v1::AgentMessage::kInterval:
      return OnInterval(agent, message.interval());
    case v1::AgentMessage::kPhaseEnded:
      return OnPhaseEnded(agent, message.phase_ended());
    case v1::AgentMessage::kFailed:
      if (!OfThisRun(agent, message.failed().run_id())) return absl::OkStatus();
      return Apply(RunState::AgentFailed{agent, OneLine(message.failed().reason(), kLongestReason)});
    case v1::AgentMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "a message of an unknown kind: install the same version on agent and controller");
}

absl::Status Controller::State::OnHello(AgentId agent, const v1::Hello& hello) {
  if (absl::Status status = fleet_.Join(agent, hello); !status.ok()) return status;
  fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
  if (run_ && !run_->agents_taken_in) {
    TakeAgentsIn();
    return absl::OkStatus();
  }
  return Apply(RunState::AgentsJoined{{{agent, hello.name()}}});
}

absl::Status Controller::State::OnClockReply(AgentId agent, const v1::ClockReply& reply,
                                             int64_t received_ns) {
  if (absl::Status status = fleet_.clock(agent).OnReply(reply, received_ns); !status.ok()) return status;
  const bool awaited =
      run_ && run_->state.stage() == RunState::Stage::kReadingClocks && run_->state.TakesPart(agent);
  if (!awaited || !fleet_.Probed(agent)) return absl::OkStatus();
  return Apply(RunState::ClockRead{agent, fleet_.LeadNanos(agent)});
}

absl::Status Controller::State::OnInterval(AgentId agent, const v1::Interval& interval) {
  if (!run_ || !run_->state.IsReady(agent)) return absl::OkStatus();
  if (!run_->merger) return absl::FailedPreconditionError("an Interval came while no phase was under way");
  const double elapsed = static_cast<double>(clock_.MonotonicNanos() - run_->state.start_ns()) / 1e9;
  if (absl::Status status = run_->merger->Merge(agent, interval, elapsed); !status.ok()) return status;
  if (interval.log().client_size() > 0) TellTransactions(agent, interval.log());
  return Apply(RunState::AgentReported{agent});
}

void Controller::State::TellTransactions(AgentId agent, const v1::TransactionLog& log) {
  const std::map<AgentId, Merger::Agent>& agents = run_->merger->agents();
  const int64_t phase_start_ns = clock_.WallNanos() - (clock_.MonotonicNanos() - run_->state.start_ns());
  outside_.OnTransactions(static_cast<uint32_t>(std::distance(agents.begin(), agents.find(agent))),
                          phase_start_ns / 1000, log);
}

absl::Status Controller::State::OnPhaseEnded(AgentId agent, const v1::PhaseEnded& ended) {
  if (!run_ || !run_->state.IsReady(agent)) return absl::OkStatus();
  if (!run_->merger) return absl::FailedPreconditionError("PhaseEnded came while no phase was under way");
  if (absl::Status status = run_->merger->End(agent, ended); !status.ok()) return status;
  const int64_t start_ns = run_->state.start_ns();
  const AgentClock& clock = fleet_.clock(agent);
  run_->starts[agent] = {
      .skew_us = static_cast<double>(clock.ToController(ended.started_ns(), start_ns) - start_ns) / 1000,
      .uncertainty_us = static_cast<double>(clock.UncertaintyNanos(start_ns)) / 1000};
  return Apply(RunState::AgentEndedPhase{agent});
}

void Controller::State::OnAgentLeft(AgentId agent) {
  fleet_.Leave(agent);
  Apply(RunState::AgentLeft{agent, "its connection to the controller broke"}).IgnoreError();
}

void Controller::State::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  if (!run_) return;
  const bool to_be_loaded = run_->state.stage() == RunState::Stage::kSettingUp && AgentsLoad(run_->plan);
  if (!to_be_loaded) EndStep();
  if (info.ok()) {
    run_->result.SetServer(*info);
    run_->distributed = info->distributed();
  }
  Apply(RunState::TargetPrepared{info.status()}).IgnoreError();
}

void Controller::State::OnTargetTask(const std::string& name) {
  if (!run_) return;
  EndStep();
  run_->set_up.emplace_back().set_name(name);
  run_->step_began_ns = clock_.MonotonicNanos();
  SendProgress();
}

void Controller::State::EndStep() {
  if (run_->step_began_ns == 0) return;
  run_->set_up.back().set_seconds(static_cast<double>(clock_.MonotonicNanos() - run_->step_began_ns) / 1e9);
  run_->step_began_ns = 0;
}

void Controller::State::OnTick() {
  const int64_t now_ns = clock_.MonotonicNanos();
  for (AgentId agent : fleet_.TakeDueProbes(now_ns)) {
    v1::ControllerMessage message;
    *message.mutable_clock_probe() = fleet_.clock(agent).Probe(clock_.MonotonicNanos());
    outside_.Send(agent, message);
  }
  if (run_ && !run_->agents_taken_in) TakeAgentsIn();
  if (run_ && now_ns >= run_->state.DeadlineNanos()) Apply(RunState::TimePassed{}).IgnoreError();
  if (run_ && now_ns >= run_->next_progress_ns) SendProgress();
}

int64_t Controller::State::NextTickNanos() const {
  if (!run_) return fleet_.NextProbeNanos();
  // When the run began. Not now, which would always be a little later than what the caller read before.
  if (!run_->agents_taken_in) return run_->next_progress_ns;
  return std::min({fleet_.NextProbeNanos(), run_->state.DeadlineNanos(), run_->next_progress_ns});
}

absl::Status Controller::State::Apply(RunState::Event event) {
  if (!run_) return absl::OkStatus();
  const RunState::Stage stage = run_->state.stage();
  absl::StatusOr<std::vector<RunState::Command>> commands =
      run_->state.Handle(event, clock_.MonotonicNanos());
  if (!commands.ok()) return commands.status();
  for (const RunState::Command& command : *commands) {
    std::visit([this](const auto& kind) { Do(kind); }, command);
  }
  if (run_ && run_->state.stage() != stage) SendProgress();
  while (!events_.empty()) {
    RunState::Event raised = std::move(events_.front());
    events_.pop_front();
    Apply(std::move(raised)).IgnoreError();
  }
  return absl::OkStatus();
}

void Controller::State::Do(const RunState::PrepareTarget&) {
  // Tables are not touched for a run that can't follow.
  if (absl::Status status = CheckAgents(run_->plan, run_->state.agents().size()); !status.ok()) {
    events_.emplace_back(RunState::TargetPrepared{std::move(status)});
    return;
  }
  outside_.PrepareTarget(run_->plan);
}

void Controller::State::Do(const RunState::AssignLoad&) {
  static constexpr char kStep[] = "client-side generate";
  if (run_->set_up.empty() || run_->set_up.back().name() != kStep) OnTargetTask(kStep);
  const std::vector<AgentId> agents = run_->state.agents();
  run_->load = TableLoadOf(run_->plan, run_->distributed);
  run_->load_plan = PlanOfLoad(run_->plan, *run_->load, agents.size());
  std::vector<std::string> names;
  for (AgentId agent : agents) names.push_back(fleet_.hello(agent).name());
  std::vector<v1::Assignment> assignments = PlanAssignments(run_->load_plan, names, run_->id).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    *assignments[i].mutable_load() = *run_->load;
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    outside_.Send(agents[i], message);
  }
}

void Controller::State::Do(const RunState::StartLoad& command) {
  const std::vector<AgentId> agents = run_->state.agents();
  run_->merger.emplace(run_->load_plan, 0, agents);
  for (AgentId agent : agents) {
    v1::ControllerMessage message;
    message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(command.start_ns));
    outside_.Send(agent, message);
  }
}

void Controller::State::Do(const RunState::FinishTarget&) {
  const uint64_t rows = RowsLoaded();
  const bool smoothly = run_->merger->errors() == 0 && run_->merger->connections_lost() == 0;
  run_->set_up.back().set_rows(rows);
  run_->merger.reset();
  if (rows == run_->load->rows()) {
    outside_.FinishTarget(run_->plan, smoothly);
    return;
  }
  events_.emplace_back(RunState::TargetPrepared{absl::DataLossError(
      absl::StrCat("the agents loaded ", rows, " of ", run_->load->rows(), " rows: run it again"))});
}

uint64_t Controller::State::RowsLoaded() const {
  uint64_t rows = 0;
  for (const Merger::Script& script : run_->merger->scripts()) rows += script.rows;
  return rows;
}

void Controller::State::Do(const RunState::AssignAll&) {
  const std::vector<AgentId> agents = run_->state.agents();
  std::vector<std::string> names;
  for (AgentId agent : agents) names.push_back(fleet_.hello(agent).name());
  // Checked before the target was prepared; nobody has joined since.
  std::vector<v1::Assignment> assignments = PlanAssignments(run_->plan, names, run_->id).value();
  for (size_t i = 0; i < agents.size(); ++i) {
    run_->result.AddAgent(agents[i], fleet_.hello(agents[i]), assignments[i].application_servers_size());
    v1::ControllerMessage message;
    *message.mutable_assignment() = std::move(assignments[i]);
    outside_.Send(agents[i], message);
  }
}

void Controller::State::Do(const RunState::ReadClocks&) {
  for (AgentId agent : run_->state.agents()) fleet_.ProbeFrom(agent, clock_.MonotonicNanos());
}

void Controller::State::Do(const RunState::StartPhase& command) {
  const std::vector<AgentId> agents = run_->state.agents();
  run_->merger.emplace(run_->plan, command.phase, agents);
  run_->starts.clear();
  for (AgentId agent : agents) {
    v1::ControllerMessage message;
    message.mutable_start_phase()->set_phase(command.phase);
    message.mutable_start_phase()->set_start_ns(fleet_.clock(agent).ToAgent(command.start_ns));
    outside_.Send(agent, message);
    // Once more when it has begun, so that the skew is measured by more than the offset that it was started
    // with.
    fleet_.ProbeFrom(agent, command.start_ns);
  }
}

void Controller::State::Do(const RunState::StopPhase& command) {
  run_->stopped_ns = clock_.MonotonicNanos();
  v1::ControllerMessage message;
  message.mutable_stop_phase()->set_phase(command.phase);
  for (AgentId agent : run_->state.agents()) outside_.Send(agent, message);
}

void Controller::State::Do(const RunState::ClosePhase& command) {
  const Merger& merger = *run_->merger;
  const int64_t ended_ns = std::min(run_->stopped_ns, clock_.MonotonicNanos());
  double seconds = std::max(0.0, static_cast<double>(ended_ns - run_->state.start_ns()) / 1e9);
  const absl::Duration planned = PlannedDuration(run_->plan.phases(static_cast<int>(command.phase)));
  if (planned == absl::InfiniteDuration()) {
    seconds = std::min(seconds, static_cast<double>(merger.last_completion_ns()) / 1e9);
  } else {
    seconds = std::min(seconds, absl::ToDoubleSeconds(planned));
  }
  run_->result.AddPhase(command.phase, seconds, merger, run_->starts);
  run_->merger.reset();
}

void Controller::State::Do(const RunState::LoseAgent& command) {
  run_->result.LoseAgent(command.agent, command.reason, command.phase, command.seconds);
  if (run_->merger) run_->merger->Leave(command.agent);
}

void Controller::State::Do(const RunState::EndRun& command) {
  v1::ControllerMessage message;
  message.mutable_end_run()->set_run_id(run_->id);
  outside_.Send(command.agent, message);
}

void Controller::State::Do(const RunState::Finish& command) {
  absl::StatusOr<v1::RunResult> result;
  if (command.status.ok()) {
    result = run_->result.Build(command.cancelled);
    for (v1::SetUpStep& step : run_->set_up) *result->mutable_run()->add_set_up() = std::move(step);
  } else {
    result = command.status;
  }
  run_.reset();
  outside_.OnRunEnded(std::move(result));
}

void Controller::State::SendProgress() {
  const RunState& state = run_->state;
  const int64_t now_ns = clock_.MonotonicNanos();
  v1::Progress progress;
  progress.set_run_id(run_->id);
  progress.set_stage(state.loading() ? v1::Progress::STAGE_SETTING_UP
                                     : ToProto(state.stage(), state.phase() == 0));
  progress.set_agents(static_cast<uint32_t>(state.agents().size()));
  progress.set_agents_wanted(state.agents_wanted());
  if (run_->step_began_ns != 0) progress.set_step(run_->set_up.back().name());
  run_->next_progress_ns = now_ns + kProgressNanos;
  if (run_->merger) {
    const int64_t elapsed_ns = std::max<int64_t>(0, now_ns - state.start_ns());
    progress.set_elapsed_s(static_cast<double>(elapsed_ns) / 1e9);
    if (state.loading()) {
      progress.set_rows_loaded(RowsLoaded());
      progress.set_rows_to_load(run_->load->rows());
    } else {
      DescribePhase(progress);
    }
    const int64_t whole_seconds = now_ns < state.start_ns() ? 0 : elapsed_ns / kProgressNanos;
    run_->next_progress_ns = state.start_ns() + (whole_seconds + 1) * kProgressNanos + kProgressDelayNanos;
  }
  outside_.OnProgress(progress);
}

void Controller::State::DescribePhase(v1::Progress& progress) const {
  const v1::Phase& phase = run_->plan.phases(static_cast<int>(run_->state.phase()));
  progress.set_phase(phase.name());
  if (!phase.has_transactions()) progress.set_duration_s(absl::ToDoubleSeconds(PlannedDuration(phase)));
  progress.set_errors(run_->merger->errors());
  progress.set_dropped(run_->merger->dropped());
  const Series& series = run_->merger->series();
  *progress.mutable_totals() = series.totals();
  if (series.complete() > 0) {
    const v1::SeriesPoint& newest = series.points()[series.complete() - 1];
    progress.set_throughput_per_s(static_cast<double>(newest.transactions()));
    progress.set_response_p99_us(newest.response_p99_us());
  }
}

Controller::Controller(const Clock& clock, ControllerOutside& outside)
    : state_(std::make_unique<State>(clock, outside)) {}
Controller::~Controller() = default;

absl::StatusOr<std::string> Controller::StartRun(v1::Plan plan, const RunOptions& options) {
  return state_->StartRun(std::move(plan), options);
}
void Controller::CancelRun() {
  state_->CancelRun();
}
void Controller::OnAgentConnected(AgentId agent) {
  state_->OnAgentConnected(agent);
}
void Controller::OnAgentMessage(AgentId agent, const v1::AgentMessage& message, int64_t received_ns) {
  state_->OnAgentMessage(agent, message, received_ns);
}
void Controller::OnAgentLeft(AgentId agent) {
  state_->OnAgentLeft(agent);
}
void Controller::OnTargetTask(const std::string& name) {
  state_->OnTargetTask(name);
}
void Controller::OnTargetPrepared(absl::StatusOr<v1::ServerInfo> info) {
  state_->OnTargetPrepared(std::move(info));
}
void Controller::OnTick() {
  state_->OnTick();
}
int64_t Controller::NextTickNanos() const {
  return state_->NextTickNanos();
}

}  // namespace trunkload
