#include "controller/cli/plan_run.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
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

absl::StatusOr<v1::RunResult> RunEmbedded(v1::Plan plan, RunPlace place, RunView& view) {
  const SystemClock clock;
  auto watch = std::make_shared<RunWatch>(std::move(place.on_transactions));
  absl::StatusOr<std::unique_ptr<RunStore>> store = StoreFor(place, view);
  if (!store.ok()) return store.status();
  ControllerThread controller(clock, *std::move(store));
  const bool local = place.listen.empty();
  auto server = ControllerServer::Listen(local ? "127.0.0.1:0" : place.listen, clock, controller);
  if (!server.ok()) return server.status();
  std::unique_ptr<LocalAgents> agents;
  if (local) {
    auto started =
        LocalAgents::Start({place.local_agents, (*server)->address(), place.allow_shell},
                           [watch, &controller](const std::string& name, const std::string& death) {
                             watch->AddNote({death, true});
                             controller.OnAgentDied(name);
                           });
    if (!started.ok()) return started.status();
    agents = *std::move(started);
  } else {
    view.ShowNote(absl::StrCat("listening on ", (*server)->address()));
  }
  // Before the agents are waited for: the end of their streams is what ends them.
  const absl::Cleanup stop = [&controller, &agents] {
    if (agents) agents->ExpectEnd();
    controller.Stop();
  };
  controller.StartRun(std::move(plan), place.options, watch);
  const auto cancel = [&controller, follower = watch.get()] { controller.CancelRun(follower); };
  const StopSignals signals(OnSignal(*watch, cancel, [&agents] {
    if (agents) agents->Kill();
  }));
  return Follow(*watch, view, cancel);
}

absl::StatusOr<v1::RunResult> RunElsewhere(v1::Plan plan, const RunPlace& place, RunView& view) {
  v1::RunRequest request;
  *request.mutable_plan() = std::move(plan);
  request.set_agents(place.options.agents);
  request.set_wait_s(
      static_cast<uint32_t>(absl::ToInt64Seconds(absl::Ceil(place.options.wait, absl::Seconds(1)))));
  RunWatch watch;
  ControlClient client(place.controller);
  const auto cancel = [&client] { client.Cancel(); };
  const StopSignals signals(OnSignal(watch, cancel, [] {}));
  std::thread caller([&client, &request, &watch] { client.Run(request, watch); });
  const absl::Cleanup join = [&caller] { caller.join(); };
  return Follow(watch, view, cancel);
}

}  // namespace

absl::StatusOr<v1::RunResult> RunPlan(v1::Plan plan, RunPlace place, RunView& view) {
  return place.controller.empty() ? RunEmbedded(std::move(plan), std::move(place), view)
                                  : RunElsewhere(std::move(plan), place, view);
}

}  // namespace trunkload
