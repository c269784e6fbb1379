#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/tls/transport.h"
#include "controller/cli/run_watch.h"
#include "controller/controller.h"
#include "trunkload/v1/control.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What shows a run that is under way to the person at the terminal. Called on the thread that waits for the
// run.
class RunView {
 public:
  virtual ~RunView() = default;
  // False where the run is to be ended, in order.
  virtual bool ShowProgress(const v1::Progress& progress) = 0;
  virtual void ShowNote(const std::string& text) = 0;
  // The run has ended.
  virtual void Finish() = 0;
};

// Where a plan is run. With neither address, by agents on this machine.
struct RunPlace {
  uint32_t local_agents = 1;
  bool allow_shell = false;  // of those
  // Faults of the plan may be commands of this machine; not with `controller`, which was told at its start.
  bool allow_commands = false;
  std::string listen;      // HOST:PORT that agents come to
  std::string controller;  // HOST:PORT of the controller that serves
  Transport transport;     // of either; settled
  // Where the run is kept; empty: DefaultDataDir(), or nowhere if that can't be.
  std::string data_dir;
  Controller::RunOptions options;
  // Gets the transactions that are told one by one, on the controller's thread; not with `controller`.
  RunWatch::TransactionSink on_transactions;
};

// Runs plans, one after the other, in one place: agents and a controller of its own are there for all of
// them.
class PlanRunner {
 public:
  // StopSignals::Block must have been called before there was any other thread. The view must outlive the
  // runner.
  static absl::StatusOr<std::unique_ptr<PlanRunner>> Open(RunPlace place, RunView& view);
  virtual ~PlanRunner() = default;
  // To its end, which the first signal brings about in order; the second one leaves the program. Blocks.
  virtual absl::StatusOr<v1::RunResult> Run(v1::Plan plan) = 0;
};

// One plan alone.
absl::StatusOr<v1::RunResult> RunPlan(v1::Plan plan, RunPlace place, RunView& view);

}  // namespace trunkload
