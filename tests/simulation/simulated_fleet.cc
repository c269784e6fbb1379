#include "tests/simulation/simulated_fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMillisecond;
constexpr int64_t kGiveUp = 3'600 * kSecond;

int64_t Between(std::mt19937_64& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

}  // namespace

// Passes on to a load that the fleet keeps.
class SimulatedFleet::LoadHandle : public Load {
 public:
  explicit LoadHandle(SimulatedLoad& load) : load_(load) {}
  void Open(const v1::Assignment& assignment) override { load_.Open(assignment); }
  void StartPhase(uint32_t phase, int64_t start_ns) override { load_.StartPhase(phase, start_ns); }
  void StopPhase() override { load_.StopPhase(); }
  void Close() override { load_.Close(); }

 private:
  SimulatedLoad& load_;
};

SimulatedFleet::Agent::Agent(SimulatedFleet& fleet, int index)
    : name(absl::StrFormat("agent-%04d", index)),
      clock(fleet.queue_,
            Between(fleet.random_, -fleet.options_.clock_offset_ns, fleet.options_.clock_offset_ns),
            std::uniform_real_distribution<double>(-fleet.options_.clock_drift,
                                                   fleet.options_.clock_drift)(fleet.random_)),
      to_agent(fleet.queue_, fleet.random_, fleet.options_.network),
      to_controller(fleet.queue_, fleet.random_, fleet.options_.network) {
  const auto id = static_cast<AgentId>(index);
  LoadHistory& history = fleet.histories_[static_cast<size_t>(index)];
  run = std::make_unique<trunkload::Run>(
      clock, [&fleet, id](v1::AgentMessage message) { fleet.ToController(id, std::move(message)); },
      [this, &fleet, &history](LoadEvents& events) -> std::unique_ptr<Load> {
        fleet.loads_.push_back(
            std::make_unique<SimulatedLoad>(fleet.queue_, clock, fleet.random_, events, history));
        return std::make_unique<LoadHandle>(*fleet.loads_.back());
      });
}

SimulatedFleet::SimulatedFleet(FleetOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      clock_(queue_, 0, 0),
      histories_(static_cast<size_t>(options_.agents)),
      controller_(clock_, *this) {
  for (int i = 0; i < options_.agents; ++i) agents_.emplace_back(*this, i);
}

absl::StatusOr<v1::RunResult> SimulatedFleet::Run() {
  for (int i = 0; i < options_.agents; ++i) {
    queue_.At(Between(random_, 0, kSecond), [this, i] { Join(static_cast<AgentId>(i)); });
  }
  std::vector<AgentId> doomed(agents_.size());
  for (size_t i = 0; i < doomed.size(); ++i) doomed[i] = i;
  std::shuffle(doomed.begin(), doomed.end(), random_);
  for (int i = 0; i < options_.crashes; ++i) {
    queue_.At(Between(random_, 0, options_.crash_within_ns),
              [this, id = doomed[static_cast<size_t>(i)]] { Break(id); });
  }
  if (options_.cancel_at_ns != INT64_MAX)
    queue_.At(options_.cancel_at_ns, [this] { controller_.CancelRun(); });

  const Controller::RunOptions run{.agents = static_cast<uint32_t>(options_.agents)};
  if (absl::StatusOr<std::string> id = controller_.StartRun(options_.plan, run); !id.ok()) return id.status();
  while (!result_) {
    const int64_t tick_ns = controller_.NextTickNanos();
    const int64_t tick_true_ns = tick_ns == INT64_MAX ? INT64_MAX : clock_.TrueNanos(tick_ns);
    if (std::min(tick_true_ns, queue_.next_ns()) > kGiveUp) {
      return absl::DeadlineExceededError("the run has not ended");
    }
    if (queue_.next_ns() <= tick_true_ns) {
      queue_.RunNext();
    } else {
      queue_.AdvanceTo(tick_true_ns);
      controller_.OnTick();
    }
  }
  return *result_;
}

void SimulatedFleet::Join(AgentId id) {
  Agent& agent = agents_[id];
  if (agent.to_controller.broken()) return;
  controller_.OnAgentConnected(id);
  v1::AgentMessage message;
  v1::Hello& hello = *message.mutable_hello();
  hello.set_protocol(1);
  hello.set_name(agent.name);
  hello.set_host("simulated");
  ToController(id, std::move(message));
}

void SimulatedFleet::Break(AgentId id) {
  Agent& agent = agents_[id];
  agent.run->OnControllerLost();
  agent.to_agent.Break();
  agent.to_controller.Break();
  // The transport notices some time later.
  queue_.After(Between(random_, 0, 3 * kSecond), [this, id] { controller_.OnAgentLeft(id); });
}

void SimulatedFleet::ToController(AgentId from, v1::AgentMessage message) {
  agents_[from].to_controller.Send([this, from, message = std::move(message)] {
    if (message.has_interval()) delivered_.push_back(message.interval());
    controller_.OnAgentMessage(from, message, clock_.MonotonicNanos());
  });
}

void SimulatedFleet::Send(AgentId to, const v1::ControllerMessage& message) {
  agents_[to].to_agent.Send([this, to, message] {
    Agent& agent = agents_[to];
    const absl::Status status = agent.run->OnMessage(message, agent.clock.MonotonicNanos());
    if (status.ok()) return;
    histories_[to].protocol_error = std::string(status.message());
    Break(to);
  });
}

void SimulatedFleet::Disconnect(AgentId agent, const absl::Status& why) {
  histories_[agent].protocol_error = std::string(why.message());
  agents_[agent].to_agent.Break();
  agents_[agent].to_controller.Break();
}

void SimulatedFleet::PrepareTarget(const v1::Plan&) {
  queue_.After(Between(random_, 1, 500) * kMillisecond, [this, preparation = ++preparation_] {
    if (preparation != preparation_) return;
    v1::ServerInfo info;
    info.set_postgresql_version("15.4");
    controller_.OnTargetPrepared(info);
  });
}

void SimulatedFleet::OnRunEnded(absl::StatusOr<v1::RunResult> result) {
  ++results_;
  result_ = std::move(result);
}

}  // namespace trunkload
