#include "controller/cli/plan_run.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "controller/cli/data_dir.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/local_agents.h"
#include "controller/cli/run_watch.h"
#include "controller/cli/stop_signals.h"
#include "controller/control_client.h"
#include "controller/controller_server.h"
#include "controller/controller_thread.h"
#include "controller/store/run_store.h"

namespace trunkload {
namespace {

// Shows a run until it has ended. `cancel` ends it in order.
absl::StatusOr<v1::RunResult> Follow(RunWatch& watch, RunView& view, absl::AnyInvocable<void()> cancel) {
  bool under_load = false;
  bool cancelled = false;
  int warnings_shown = 0;
  std::optional<absl::Status> failed;
  while (true) {
    RunWatch::Update update = watch.Next();
    if (const auto* progress = std::get_if<v1::Progress>(&update)) {
      under_load = under_load || progress->stage() >= v1::Progress::STAGE_RUNNING;
      for (; warnings_shown < progress->warnings_size(); ++warnings_shown)
        view.ShowNote(absl::StrCat("warning: ", progress->warnings(warnings_shown)));
      if (!view.ShowProgress(*progress) && !std::exchange(cancelled, true)) cancel();
    } else if (const auto* note = std::get_if<RunWatch::Note>(&update)) {
      // In mid-run the controller decides what the loss of an agent means; before, there is no run without
      // it.
      if (note->agent_died && !under_load && !failed) {
        failed = absl::UnavailableError(note->text);
        cancel();
      } else {
        view.ShowNote(note->text);
      }
    } else {
      view.Finish();
      if (failed) return *failed;
      return std::get<RunWatch::Ended>(std::move(update));
    }
  }
}

// The first signal ends the run in order, the second one leaves at once.
absl::AnyInvocable<void(int)> OnSignal(RunWatch& watch, absl::AnyInvocable<void()> cancel,
                                       absl::AnyInvocable<void()> before_leaving) {
  return [&watch, cancel = std::move(cancel), before_leaving = std::move(before_leaving)](int count) mutable {
    if (count > 1) {
      before_leaving();
      _exit(kExitCancelled);
    }
    watch.AddNote({"ending the run in order; once more to leave at once"});
    cancel();
  };
}

// None where nobody has asked for it and it can't be.
absl::StatusOr<std::unique_ptr<RunStore>> StoreFor(const RunPlace& place, RunView& view) {
  const std::string data_dir = place.data_dir.empty() ? DefaultDataDir() : place.data_dir;
  if (data_dir.empty()) return nullptr;
  absl::StatusOr<std::unique_ptr<RunStore>> store = RunStore::Open(data_dir, /*resumable=*/false);
  if (store.ok() || !place.data_dir.empty()) return store;
  view.ShowNote(absl::StrCat("this run is not kept: ", store.status().message()));
  return nullptr;
}

class EmbeddedRunner final : public PlanRunner {
 public:
  EmbeddedRunner(RunPlace place, RunView& view, std::unique_ptr<RunStore> store)
      : place_(std::move(place)),
        view_(view),
        store_path_(store ? store->path() : ""),
        controller_(clock_, std::move(store), place_.allow_commands) {}
  ~EmbeddedRunner() override {
    // The end of their streams is what ends the agents.
    if (agents_) agents_->ExpectEnd();
    controller_.Stop();
  }

  absl::Status Start() {
    const bool local = place_.listen.empty();
    auto server = ControllerServer::Listen(
        local ? ControllerServer::Endpoint{"127.0.0.1:0"}
              : ControllerServer::Endpoint{place_.listen, place_.transport.tls, store_path_},
        clock_, controller_);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    if (!local) {
      view_.ShowNote(absl::StrCat("listening on ", server_->address()));
      return absl::OkStatus();
    }
    auto agents = LocalAgents::Start(
        {place_.local_agents, server_->address(), place_.allow_shell},
        [this](const std::string& name, const std::string& death) { OnDeath(name, death); });
    if (!agents.ok()) return agents.status();
    agents_ = *std::move(agents);
    return absl::OkStatus();
  }

  absl::StatusOr<v1::RunResult> Run(v1::Plan plan) override {
    auto watch = std::make_shared<RunWatch>(std::exchange(place_.on_transactions, nullptr));
    {
      absl::MutexLock lock(&mutex_);
      watch_ = watch;
      // Of an agent that ended between runs.
      for (const std::string& death : std::exchange(deaths_, {})) watch->AddNote({death, true});
    }
    controller_.StartRun(std::move(plan), place_.options, watch);
    const auto cancel = [this, follower = watch.get()] { controller_.CancelRun(follower); };
    const StopSignals signals(OnSignal(*watch, cancel, [this] {
      if (agents_) agents_->Kill();
    }));
    absl::StatusOr<v1::RunResult> result = Follow(*watch, view_, cancel);
    absl::MutexLock lock(&mutex_);
    watch_.reset();
    return result;
  }

 private:
  void OnDeath(const std::string& name, const std::string& death) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (watch_) {
        watch_->AddNote({death, true});
      } else {
        deaths_.push_back(death);
      }
    }
    controller_.OnAgentDied(name);
  }

  const SystemClock clock_;
  RunPlace place_;
  RunView& view_;
  const std::string store_path_;
  absl::Mutex mutex_;
  // Of the run under way.
  std::shared_ptr<RunWatch> watch_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> deaths_ ABSL_GUARDED_BY(mutex_);
  ControllerThread controller_;
  std::unique_ptr<ControllerServer> server_;
  std::unique_ptr<LocalAgents> agents_;
};

class ElsewhereRunner final : public PlanRunner {
 public:
  ElsewhereRunner(RunPlace place, RunView& view) : place_(std::move(place)), view_(view) {}

  absl::StatusOr<v1::RunResult> Run(v1::Plan plan) override {
    v1::RunRequest request;
    *request.mutable_plan() = std::move(plan);
    request.set_agents(place_.options.agents);
    request.set_wait_s(
        static_cast<uint32_t>(absl::ToInt64Seconds(absl::Ceil(place_.options.wait, absl::Seconds(1)))));
    RunWatch watch;
    const absl::StatusOr<std::unique_ptr<ControlClient>> client =
        ControlClient::Open(place_.controller, place_.transport);
    if (!client.ok()) return client.status();
    const auto cancel = [&client] { (*client)->Cancel(); };
    const StopSignals signals(OnSignal(watch, cancel, [] {}));
    std::thread caller([&client, &request, &watch] { (*client)->Run(request, watch); });
    const absl::Cleanup join = [&caller] { caller.join(); };
    return Follow(watch, view_, cancel);
  }

 private:
  const RunPlace place_;
  RunView& view_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PlanRunner>> PlanRunner::Open(RunPlace place, RunView& view) {
  if (!place.controller.empty()) return std::make_unique<ElsewhereRunner>(std::move(place), view);
  absl::StatusOr<std::unique_ptr<RunStore>> store = StoreFor(place, view);
  if (!store.ok()) return store.status();
  auto runner = std::make_unique<EmbeddedRunner>(std::move(place), view, *std::move(store));
  if (absl::Status status = runner->Start(); !status.ok()) return status;
  return runner;
}

absl::StatusOr<v1::RunResult> RunPlan(v1::Plan plan, RunPlace place, RunView& view) {
  const absl::StatusOr<std::unique_ptr<PlanRunner>> runner = PlanRunner::Open(std::move(place), view);
  if (!runner.ok()) return runner.status();
  return (*runner)->Run(std::move(plan));
}

}  // namespace trunkload
