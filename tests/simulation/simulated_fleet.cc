#include "tests/simulation/simulated_fleet.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/duration.h"

namespace trunkload {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMillisecond;
constexpr int64_t kGiveUp = 3'600 * kSecond;
// Of the database.
constexpr int kNodes = 3;
// As agents do it.
constexpr int64_t kTick = 100 * kMillisecond;
constexpr int64_t kBeat = kSecond;
constexpr int64_t kUnanswered = 3 * kSecond;
constexpr int64_t kFirstBackOff = 200 * kMillisecond;
constexpr int64_t kLongestBackOff = 2 * kSecond;

// Then what agents said of the first attempt does not matter any more.
bool BeginsAnew(const RunSnapshot& snapshot) {
  return snapshot.run.phase() == 0 && !snapshot.run.has_start();
}

}  // namespace

// Passes on to a load that its process keeps.
class SimulatedFleet::LoadHandle : public Load {
 public:
  explicit LoadHandle(SimulatedLoad& load) : load_(load) {}
  void Open(const v1::Assignment& assignment) override { load_.Open(assignment); }
  void ChangePhase(uint32_t phase, const v1::Phase& described) override {
    load_.ChangePhase(phase, described);
  }
  void StartPhase(uint32_t phase, int64_t start_ns) override { load_.StartPhase(phase, start_ns); }
  void StopPhase(absl::Duration drain_timeout) override { load_.StopPhase(drain_timeout); }
  void TakeOver(const std::vector<v1::ApplicationServer>& servers) override { load_.TakeOver(servers); }
  void RenewLease(int64_t ends_ns) override { load_.RenewLease(ends_ns); }
  void Close() override { load_.Close(); }

 private:
  SimulatedLoad& load_;
};

struct SimulatedFleet::Link {
  Link(SimulatedFleet& fleet, StreamId id)
      : stream(id),
        to_agent(fleet.queue_, fleet.random_, fleet.options_.network),
        to_controller(fleet.queue_, fleet.random_, fleet.options_.network),
        beats(fleet.queue_, fleet.random_, fleet.options_.network),
        replies(fleet.queue_, fleet.random_, fleet.options_.network) {}

  void ForEach(const std::function<void(SimulatedStream&)>& action) {
    for (SimulatedStream* one : {&to_agent, &to_controller, &beats, &replies}) action(*one);
  }

  const StreamId stream;
  SimulatedStream to_agent;
  SimulatedStream to_controller;
  SimulatedStream beats;
  SimulatedStream replies;
};

struct SimulatedFleet::Process {
  Process(SimulatedFleet& fleet, int agent, const SimulatedClock& of_machine)
      : index(agent),
        name(absl::StrFormat("agent-%04d", agent)),
        instance(fleet.random_() | 1),
        clock(of_machine),
        outbox(fleet.options_.outbox),
        run(clock, outbox, [this, &fleet](LoadEvents& events) -> std::unique_ptr<Load> {
          loads.push_back(std::make_unique<SimulatedLoad>(fleet.queue_, clock, fleet.random_, events,
                                                          fleet.histories_[static_cast<size_t>(index)]));
          return std::make_unique<LoadHandle>(*loads.back());
        }) {}

  const int index;
  const std::string name;
  const uint64_t instance;
  const SimulatedClock& clock;
  bool alive = true;
  Outbox outbox;
  std::deque<std::unique_ptr<SimulatedLoad>> loads;
  trunkload::Run run;
  Lease lease;
  std::deque<Link> links;
  Link* link = nullptr;
  bool joined = false;
  bool leaving = false;
  int64_t backoff_ns = kFirstBackOff;
  int64_t last_beat_ns = 0;
  int64_t unanswered_since_ns = 0;
  // When the controller last answered a heartbeat, in simulated time.
  int64_t renewed_ns = 0;
  // What was ever sent, by sequence number, and which were told to be on disk.
  std::map<uint64_t, std::string> sent;
  uint64_t acknowledged = 0;
};

SimulatedFleet::SimulatedFleet(FleetOptions options)
    : options_(std::move(options)),
      random_(options_.seed),
      clock_(queue_, 0, 0),
      histories_(static_cast<size_t>(options_.agents)),
      cut_off_until_ns_(static_cast<size_t>(options_.agents)),
      alive_(static_cast<size_t>(options_.agents)) {
  for (int i = 0; i < options_.agents; ++i) {
    const int64_t offset_ns = Between(-options_.clock_offset_ns, options_.clock_offset_ns);
    std::uniform_real_distribution<double> drift(-options_.clock_drift, options_.clock_drift);
    agent_clocks_.emplace_back(queue_, offset_ns, drift(random_));
  }
}

SimulatedFleet::~SimulatedFleet() = default;

void SimulatedFleet::At(int64_t time_ns, std::function<void()> event) {
  queue_.At(time_ns, [this, event = std::move(event)] {
    if (!result_) event();
  });
}

absl::StatusOr<v1::RunResult> SimulatedFleet::Run() {
  controller_ = std::make_unique<Controller>(clock_, *this, "boot");
  const Controller::RunOptions run{.agents = static_cast<uint32_t>(options_.agents)};
  absl::StatusOr<std::string> id = controller_->StartRun(options_.plan, run);
  if (!id.ok()) return id.status();
  run_id_ = *id;
  for (int i = 0; i < options_.agents; ++i) {
    queue_.At(Between(0, kSecond), [this, i] { StartAgent(i); });
  }
  PlanFaults();
  while (!result_) {
    const int64_t tick_ns = controller_ ? controller_->NextTickNanos() : INT64_MAX;
    const int64_t tick_true_ns =
        tick_ns == INT64_MAX ? INT64_MAX : std::max(stalled_until_ns_, clock_.TrueNanos(tick_ns));
    if (std::min(tick_true_ns, queue_.next_ns()) > kGiveUp) {
      return absl::DeadlineExceededError("the run has not ended");
    }
    if (queue_.next_ns() <= tick_true_ns) {
      queue_.RunNext();
    } else {
      queue_.AdvanceTo(tick_true_ns);
      controller_->OnTick();
    }
  }
  return *result_;
}

void SimulatedFleet::PlanFaults() {
  const Faults& faults = options_.faults;
  const auto sometime = [this, &faults] { return Between(faults.from_ns, faults.within_ns); };
  const auto agent = [this] { return static_cast<int>(Between(0, options_.agents - 1)); };
  std::vector<int> doomed(static_cast<size_t>(options_.agents));
  for (size_t i = 0; i < doomed.size(); ++i) doomed[i] = static_cast<int>(i);
  std::shuffle(doomed.begin(), doomed.end(), random_);
  for (int i = 0; i < faults.agents_killed; ++i) {
    const int index = doomed[static_cast<size_t>(i % options_.agents)];
    const int64_t when_ns = sometime();
    At(when_ns, [this, index] { KillAgent(index); });
    if (i < faults.agents_started_again) {
      At(when_ns + Between(kSecond / 10, faults.longest_downtime_ns), [this, index] { StartAgent(index); });
    }
  }
  for (int i = 0; i < faults.agents_told_to_stop; ++i) {
    At(sometime(), [this, index = agent()] {
      Process* const process = alive_[static_cast<size_t>(index)];
      if (process == nullptr) return;
      process->leaving = true;
      process->run.Leave();
    });
  }
  for (int i = 0; i < faults.controller_killed; ++i) {
    At(sometime(), [this, downtime_ns = Between(kSecond / 10, faults.longest_downtime_ns)] {
      if (!controller_) return;
      KillController();
      At(queue_.now_ns() + downtime_ns, [this] { StartController(); });
    });
  }
  for (int i = 0; i < faults.controller_stalled; ++i) {
    At(sometime(), [this, how_long_ns = Between(kSecond / 10, faults.longest_stall_ns)] {
      StallController(how_long_ns);
    });
  }
  for (int i = 0; i < faults.streams_reset; ++i) {
    At(sometime(), [this, index = agent()] {
      Process* const process = alive_[static_cast<size_t>(index)];
      if (process != nullptr && process->link != nullptr) Break(*process);
    });
  }
  for (int i = 0; i < faults.partitions; ++i) {
    At(sometime(), [this, how_long_ns = Between(kSecond / 2, faults.longest_partition_ns), index = agent()] {
      const int64_t until_ns = queue_.now_ns() + how_long_ns;
      cut_off_until_ns_[static_cast<size_t>(index)] = until_ns;
      Process* const process = alive_[static_cast<size_t>(index)];
      if (process == nullptr || process->link == nullptr) return;
      process->link->ForEach([until_ns](SimulatedStream& stream) { stream.Block(until_ns); });
    });
  }
  for (int i = 0; i < faults.wall_clock_jumps; ++i) {
    At(sometime(), [this, by_ns = Between(-3600, 3600) * kSecond] { clock_.JumpWall(by_ns); });
  }
  if (options_.cancel_at_ns == INT64_MAX) return;
  At(options_.cancel_at_ns, [this] {
    if (!controller_) return;
    cancelled_ns_ = queue_.now_ns();
    ToController([this] { controller_->CancelRun(); });
  });
}

// --- Processes.

void SimulatedFleet::StartAgent(int index) {
  const auto i = static_cast<size_t>(index);
  if (alive_[i] != nullptr) return;
  processes_.push_back(std::make_unique<Process>(*this, index, agent_clocks_[i]));
  alive_[i] = processes_.back().get();
  Tick(*alive_[i]);
  Dial(*alive_[i]);
}

void SimulatedFleet::KillAgent(int index) {
  Process*& process = alive_[static_cast<size_t>(index)];
  if (process == nullptr) return;
  process->alive = false;
  for (const auto& load : process->loads) load->Close();
  if (process->link != nullptr) Break(*process);
  process = nullptr;
}

void SimulatedFleet::StallController(int64_t how_long_ns) {
  stalled_until_ns_ = std::max(stalled_until_ns_, queue_.now_ns() + how_long_ns);
  At(stalled_until_ns_, [this, incarnation = incarnation_] {
    const bool goes_on = incarnation == incarnation_ && controller_ && queue_.now_ns() >= stalled_until_ns_;
    // The clock may be looked at before the mail.
    if (goes_on && Between(0, 1) == 0) controller_->OnTick();
    while (goes_on && !held_up_.empty() && !result_) {
      const std::function<void()> event = std::move(held_up_.front());
      held_up_.pop_front();
      event();
    }
  });
}

void SimulatedFleet::ToController(std::function<void()> event) {
  if (!controller_ || result_) return;
  if (queue_.now_ns() < stalled_until_ns_ || !held_up_.empty()) {
    held_up_.push_back(std::move(event));
  } else {
    event();
  }
}

void SimulatedFleet::KillController() {
  controller_.reset();
  stalled_until_ns_ = 0;
  held_up_.clear();
  // It may have been killed after it wrote, and before it knew that it had.
  if (saving_ && Between(0, 1) == 0) store_.Save(*saving_);
  saving_.reset();
  ++incarnation_;
  ++preparation_;
  ++observer_;
  streams_.clear();
  for (Process* process : alive_) {
    if (process == nullptr || process->link == nullptr) continue;
    Link* const link = process->link;
    link->ForEach([](SimulatedStream& stream) { stream.Break(); });
    // The agent's machine is told some time later, if it can be.
    queue_.After(Between(0, kSecond), [this, process, link] {
      if (process->alive && process->link == link) Redial(*process);
    });
  }
  // What the next one finds.
  const std::map<uint64_t, uint64_t> before = std::exchange(taken_in_, {});
  const std::optional<RunSnapshot> snapshot = store_.Load();
  if (!snapshot) return;
  const bool begins_anew = BeginsAnew(*snapshot);
  for (const v1::AgentCheckpoint& agent : snapshot->run.agents()) {
    const uint64_t instance = agent.hello().instance();
    // Of one that is gone all that came is there.
    taken_in_[instance] = agent.gone() ? before.at(instance) : agent.sequence();
    for (const Process* process : alive_) {
      if (process == nullptr || process->instance != agent.hello().instance()) continue;
      if (begins_anew || process->acknowledged <= agent.sequence()) continue;
      violations_.push_back(absl::StrCat(process->name, " was told that ", process->acknowledged,
                                         " is on disk, where only ", agent.sequence(), " is"));
    }
  }
}

void SimulatedFleet::StartController() {
  std::optional<RunSnapshot> snapshot = store_.Load();
  if (!snapshot) {
    OnRunEnded(absl::UnavailableError("the controller was killed before anything was on its disk"));
    return;
  }
  if (BeginsAnew(*snapshot)) {
    for (const auto& process : processes_) process->acknowledged = 0;
  }
  controller_ = std::make_unique<Controller>(clock_, *this, "boot");
  const absl::StatusOr<std::string> resumed = controller_->ResumeRun(*std::move(snapshot));
  ++resumed_;
  if (!resumed.ok()) violations_.push_back(absl::StrCat("resuming: ", resumed.status().ToString()));
  if (!resumed.ok()) OnRunEnded(resumed.status());
}

// --- An agent's way to the controller.

void SimulatedFleet::Dial(Process& process) {
  const bool may = process.alive && process.link == nullptr;
  if (!may) return;
  const bool cut_off = queue_.now_ns() < cut_off_until_ns_[static_cast<size_t>(process.index)];
  if (controller_ && !cut_off) return Connect(process);
  process.backoff_ns = std::min(process.backoff_ns * 2, kLongestBackOff);
  const int64_t wait_ns = process.backoff_ns / 2 + Between(0, process.backoff_ns);
  queue_.After(wait_ns, [this, &process] { Dial(process); });
}

void SimulatedFleet::Redial(Process& process) {
  process.link = nullptr;
  process.joined = false;
  process.lease.OnStreamEnded();
  queue_.After(process.backoff_ns / 2 + Between(0, process.backoff_ns), [this, &process] { Dial(process); });
}

void SimulatedFleet::Connect(Process& process) {
  const StreamId stream = ++last_stream_;
  process.links.emplace_back(*this, stream);
  process.link = &process.links.back();
  streams_[stream] = &process;
  process.outbox.BeginStream();
  ToController([this, stream] { controller_->OnStreamOpened(stream); });
  v1::AgentMessage message;
  v1::Hello& hello = *message.mutable_hello();
  hello.set_protocol(2);
  hello.set_name(process.name);
  hello.set_host("simulated");
  hello.set_instance(process.instance);
  hello.set_unacknowledged(process.outbox.size());
  if (std::optional<v1::HeldRun> held = process.run.held()) *hello.mutable_held() = *held;
  process.link->to_controller.Send([this, &process, stream, message] { Deliver(process, stream, message); });
}

void SimulatedFleet::Break(Process& process) {
  Link* const link = process.link;
  link->ForEach([](SimulatedStream& stream) { stream.Break(); });
  const StreamId stream = link->stream;
  const bool heard = queue_.now_ns() >= cut_off_until_ns_[static_cast<size_t>(process.index)];
  if (heard) {
    queue_.After(Between(0, 300 * kMillisecond), [this, stream, incarnation = incarnation_] {
      if (incarnation != incarnation_) return;
      ToController([this, stream] {
        if (streams_.erase(stream) > 0) controller_->OnStreamEnded(stream);
      });
    });
  }
  if (process.alive) Redial(process);
}

void SimulatedFleet::Deliver(Process& process, StreamId stream, const v1::AgentMessage& message) {
  // gRPC's threads stand still together with the controller's.
  ToController([this, &process, stream, message] {
    if (!streams_.contains(stream)) return;
    controller_->OnAgentMessage(stream, message, clock_.MonotonicNanos());
    uint64_t& taken_in = taken_in_[process.instance];
    taken_in = std::max(taken_in, message.sequence());
  });
}

void SimulatedFleet::Pump(Process& process) {
  if (!process.alive || process.link == nullptr || !process.joined) return;
  const StreamId stream = process.link->stream;
  while (const std::shared_ptr<const v1::AgentMessage> next = process.outbox.Next()) {
    std::string bytes = next->SerializeAsString();
    const auto [sent, first] = process.sent.emplace(next->sequence(), bytes);
    if (!first && sent->second != bytes) {
      violations_.push_back(
          absl::StrCat(process.name, " changed message ", next->sequence(), " after it was sent"));
    }
    process.link->to_controller.Send(
        [this, &process, stream, message = *next] { Deliver(process, stream, message); });
  }
}

void SimulatedFleet::Tick(Process& process) {
  if (!process.alive || result_) return;
  process.run.CheckLease(process.lease.confirmed_ns());
  CheckLease(process);
  const int64_t now_ns = queue_.now_ns();
  if (process.link != nullptr && process.joined) {
    if (now_ns - process.last_beat_ns >= kBeat) Beat(process);
    Pump(process);
    if (process.lease.unanswered() > 0 && now_ns - process.unanswered_since_ns > kUnanswered) Break(process);
  } else if (process.link != nullptr && now_ns - process.unanswered_since_ns > kUnanswered) {
    Break(process);
  }
  if (process.leaving && !process.run.active() && process.outbox.empty()) return KillAgent(process.index);
  queue_.After(kTick, [this, &process] { Tick(process); });
}

void SimulatedFleet::Beat(Process& process) {
  if (process.lease.unanswered() == 0) process.unanswered_since_ns = queue_.now_ns();
  process.last_beat_ns = queue_.now_ns();
  const uint64_t number = process.lease.OnSent(process.clock.MonotonicNanos());
  Link* const link = process.link;
  link->beats.Send([this, &process, link, number] {
    ToController([this, &process, link, number] { Answer(process, link, number); });
  });
}

void SimulatedFleet::Answer(Process& process, Link* link, uint64_t number) {
  if (!controller_->heartbeats().OnHeartbeat(process.instance, clock_.MonotonicNanos())) {
    if (process.alive && process.link == link) Break(process);
    return;
  }
  process.renewed_ns = queue_.now_ns();
  link->replies.Send([this, &process, link, number] {
    if (!process.alive || process.link != link) return;
    process.lease.OnAnswered(number);
    process.unanswered_since_ns = queue_.now_ns();
    process.backoff_ns = kFirstBackOff;
  });
}

void SimulatedFleet::CheckLease(const Process& process) {
  const bool loading = std::any_of(process.loads.begin(), process.loads.end(),
                                   [](const auto& load) { return load->loading(); });
  const int64_t lease_ns = absl::ToInt64Nanoseconds(FromProto(options_.plan.fleet().lease()));
  // A clock may run slow, and the agent looks every so often.
  const int64_t ends_ns = process.renewed_ns + lease_ns + lease_ns / 1000 + kTick;
  if (loading && process.renewed_ns > 0 && queue_.now_ns() > ends_ns) {
    violations_.push_back(absl::StrCat(process.name, " loads at ", queue_.now_ns(), " without a lease"));
  }
}

// --- The controller's outside.

void SimulatedFleet::Send(StreamId to, const v1::ControllerMessage& message) {
  const auto found = streams_.find(to);
  if (found == streams_.end()) return;
  Process& process = *found->second;
  if (process.link == nullptr || process.link->stream != to) return;
  Link* const link = process.link;
  link->to_agent.Send([this, &process, link, message] {
    if (!process.alive || process.link != link) return;
    if (!std::exchange(process.joined, true)) {
      process.last_beat_ns = 0;
      process.unanswered_since_ns = queue_.now_ns();
    }
    if (message.has_acknowledge()) {
      process.acknowledged = std::max(process.acknowledged, message.acknowledge().sequence());
    }
    const absl::Status status = process.run.OnMessage(
        message, process.clock.MonotonicNanos(), [this, &process, link](v1::AgentMessage reply) {
          link->to_controller.Send([this, &process, stream = link->stream, reply = std::move(reply)] {
            Deliver(process, stream, reply);
          });
        });
    if (!status.ok()) {
      violations_.push_back(absl::StrCat(process.name, ": ", status.ToString()));
      Break(process);
      return;
    }
    Pump(process);
  });
}

void SimulatedFleet::Disconnect(StreamId stream, const absl::Status& why) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  Process& process = *found->second;
  streams_.erase(found);
  if (absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why)) {
    histories_[static_cast<size_t>(process.index)].protocol_error = std::string(why.message());
    violations_.push_back(absl::StrCat(process.name, " was disconnected: ", why.ToString()));
  }
  if (process.link == nullptr || process.link->stream != stream) return;
  Link* const link = process.link;
  link->ForEach([](SimulatedStream& one) { one.Break(); });
  queue_.After(Between(1, 50) * kMillisecond, [this, &process, link] {
    if (process.alive && process.link == link) Redial(process);
  });
}

void SimulatedFleet::PrepareTarget(const v1::Plan&, const std::string&) {
  queue_.After(Between(1, 500) * kMillisecond, [this, preparation = ++preparation_] {
    if (preparation != preparation_ || !controller_) return;
    ToController([this, preparation] {
      v1::ServerInfo info;
      info.set_postgresql_version("15.4");
      if (preparation == preparation_) controller_->OnTargetPrepared(info);
    });
  });
}

void SimulatedFleet::StartObserving(const v1::Plan&) {
  ++observer_;
  if (Between(0, 2) == 0) return;
  v1::Observed observed;
  if (Between(0, 9) == 0) {
    observed.set_failure("cannot observe the database");
  } else {
    for (int i = 0; i < kNodes; ++i)
      observed.mutable_nodes()->add_nodes()->set_role(v1::DatabaseNode::ROLE_WORKER);
  }
  Observe(std::move(observed));
}

void SimulatedFleet::Read(bool last) {
  for (uint32_t node = 0; node < kNodes; ++node) {
    const int64_t fate = Between(0, 99);
    if (fate == 0) continue;
    v1::Observed observed;
    if (fate < 5) {
      observed.mutable_unreachable()->set_node(node);
    } else {
      observed.mutable_sample()->set_node(node);
      observed.mutable_sample()->set_reading(true);
    }
    Observe(observed);
    if (!last || fate < 5) continue;
    observed.mutable_rows()->set_node(node);
    Observe(observed);
  }
}

void SimulatedFleet::Observe(v1::Observed observed) {
  queue_.After(Between(1, 300) * kMillisecond, [this, observer = observer_, observed = std::move(observed)] {
    if (observer != observer_ || !controller_) return;
    ToController([this, observer, observed] {
      if (observer == observer_) controller_->OnObserved(observed);
    });
  });
}

void SimulatedFleet::Save(RunSnapshot snapshot) {
  saving_ = std::move(snapshot);
  queue_.After(Between(kMillisecond, options_.faults.slowest_save_ns), [this, incarnation = incarnation_] {
    if (incarnation != incarnation_) return;
    ToController([this] {
      store_.Save(*saving_);
      saving_.reset();
      controller_->OnSaved(absl::OkStatus());
    });
  });
}

void SimulatedFleet::OnRunEnded(absl::StatusOr<v1::RunResult> result) {
  ++results_;
  result_ = std::move(result);
}

std::vector<v1::Interval> SimulatedFleet::Counted() const {
  std::vector<v1::Interval> counted;
  for (const auto& process : processes_) {
    const auto taken_in = taken_in_.find(process->instance);
    if (taken_in == taken_in_.end()) continue;
    for (const auto& [sequence, bytes] : process->sent) {
      if (sequence > taken_in->second) break;
      v1::AgentMessage message;
      message.ParseFromString(bytes);
      if (message.has_interval()) counted.push_back(message.interval());
    }
  }
  return counted;
}

}  // namespace trunkload
