#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "controller/cancellation.h"
#include "controller/cli/command.h"
#include "controller/cli/plan_run.h"
#include "controller/cli/stop_signals.h"
#include "controller/cli/target_password.h"
#include "controller/cli/transport_options.h"
#include "controller/database.h"
#include "controller/pgbench/options.h"
#include "controller/pgbench/plan.h"
#include "controller/pgbench/progress.h"
#include "controller/pgbench/report.h"
#include "controller/pgbench/transaction_log.h"
#include "controller/plan/conninfo.h"

namespace trunkload {
namespace {

// pgbench's.
enum PgbenchExitStatus : int { kOk = 0, kCouldNotRun = 1, kClientsAborted = 2, kInterrupted = 130 };

int Fail(const absl::Status& status) {
  std::cerr << "trunkload pgbench: " << status.message() << std::endl;
  return absl::IsCancelled(status) ? kInterrupted : kCouldNotRun;
}

// Shows what pgbench shows while it runs.
class PgbenchScreen final : public RunView {
 public:
  explicit PgbenchScreen(const PgbenchOptions& options) : options_(options), progress_(options) {}

  bool ShowProgress(const v1::Progress& progress) override {
    if (progress.stage() >= v1::Progress::STAGE_RUNNING) {
      std::cerr << progress_.Lines(progress.totals(), absl::Now()) << std::flush;
    }
    return !options_.exit_on_abort || progress.totals().aborted_clients() == 0;
  }
  void ShowNote(const std::string& text) override { std::cerr << "trunkload pgbench: " << text << std::endl; }
  void Finish() override {}

 private:
  const PgbenchOptions& options_;
  PgbenchProgress progress_;
};

// What is done on the controller's own connection before the run.
class Preparation {
 public:
  Preparation(const PgbenchOptions& options, Database& database) : options_(options), database_(database) {}

  // What the scripts are told: as many branches as there are, for builtin ones.
  absl::StatusOr<uint32_t> Scale() {
    if (!HasBuiltin()) return options_.scale.value_or(1);
    absl::StatusOr<std::string> count =
        database_.ReadValue("count the branches", "SELECT count(*) FROM pgbench_branches");
    if (!count.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(count.status().message(),
                       "; the builtin scripts need the tables that `trunkload pgbench -i` makes"));
    }
    uint32_t scale = 0;
    if (!absl::SimpleAtoi(*count, &scale) || scale == 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "pgbench_branches holds ", *count, " rows: make the tables with `trunkload pgbench -i`"));
    }
    if (options_.scale.has_value() && *options_.scale != scale) {
      std::cerr << "trunkload pgbench: -s is not heeded: there are " << scale
                << " branches in pgbench_branches" << std::endl;
    }
    return scale;
  }

  absl::StatusOr<PgbenchPartitions> Partitions() {
    PgbenchPartitions partitions;
    if (!HasBuiltin()) return partitions;
    const std::string what = "look how pgbench_accounts is partitioned";
    absl::StatusOr<std::string> method =
        database_.ReadValue(what,
                            "SELECT CASE partstrat WHEN 'r' THEN 'range' WHEN 'h' THEN 'hash' END FROM "
                            "pg_catalog.pg_partitioned_table "
                            "WHERE partrelid = 'pgbench_accounts'::pg_catalog.regclass");
    if (!method.ok() || method->empty())
      return method.ok() ? partitions : absl::StatusOr<PgbenchPartitions>(method.status());
    absl::StatusOr<std::string> count =
        database_.ReadValue(what,
                            "SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent = "
                            "'pgbench_accounts'::pg_catalog.regclass");
    if (!count.ok()) return count.status();
    return PgbenchPartitions{*method, *count};
  }

  void Vacuum() {
    if (options_.no_vacuum) return;
    std::cerr << "starting vacuum..." << std::flush;
    Try("vacuum pgbench_branches");
    Try("vacuum pgbench_tellers");
    Try("truncate pgbench_history");
    std::cerr << "end." << std::endl;
    if (!options_.vacuum_all) return;
    std::cerr << "starting vacuum pgbench_accounts..." << std::flush;
    Try("vacuum analyze pgbench_accounts");
    std::cerr << "end." << std::endl;
  }

 private:
  bool HasBuiltin() const {
    return std::any_of(options_.scripts.begin(), options_.scripts.end(),
                       [](const auto& script) { return script.file.empty(); });
  }

  void Try(const std::string& sql) {
    if (const absl::Status status = database_.Execute(sql, sql); !status.ok()) {
      std::cerr << status.message() << " (the run goes on all the same; -n leaves it out)" << std::endl;
    }
  }

  const PgbenchOptions& options_;
  Database& database_;
};

uint64_t SeedOf(const PgbenchOptions& options) {
  if (options.seed.has_value()) {
    std::cerr << "trunkload pgbench: setting random seed to " << *options.seed << std::endl;
    return *options.seed;
  }
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

void ReadStandardInput(PgbenchOptions& options) {
  for (PgbenchScript& script : options.scripts) {
    if (script.file != "-") continue;
    script.text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
}

struct Prepared {
  v1::Plan plan;
  std::string server_version;
  PgbenchPartitions partitions;
};

absl::StatusOr<Prepared> Prepare(const PgbenchOptions& options) {
  Cancellation cancellation;
  const StopSignals signals([&cancellation](int) { cancellation.Cancel(); });
  absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Connect(PgbenchTarget(options), cancellation);
  if (!database.ok()) return database.status();
  absl::StatusOr<v1::ServerInfo> server = (*database)->ReadServerInfo();
  if (!server.ok()) return server.status();
  Preparation preparation(options, **database);
  const absl::StatusOr<uint32_t> scale = preparation.Scale();
  if (!scale.ok()) return scale.status();
  absl::StatusOr<PgbenchPartitions> partitions = preparation.Partitions();
  if (!partitions.ok()) return partitions.status();
  absl::StatusOr<v1::Plan> plan = PgbenchPlan(options, *scale, SeedOf(options));
  if (!plan.ok()) return plan.status();
  preparation.Vacuum();
  if (cancellation.cancelled()) return absl::CancelledError("cancelled");
  return Prepared{*std::move(plan), server->postgresql_version(), *std::move(partitions)};
}

RunPlace PlaceOf(const PgbenchOptions& options) {
  RunPlace place{.local_agents = options.agents.value_or(1),
                 .allow_shell = options.allow_shell,
                 .listen = options.listen,
                 .controller = options.controller,
                 .transport = options.transport,
                 .options = {},
                 .on_transactions = nullptr};
  place.options.agents = options.agents.value_or(1);
  place.options.wait = options.wait;
  return place;
}

// Shows what pgbench -i shows.
class InitializeScreen final : public RunView {
 public:
  explicit InitializeScreen(const PgbenchOptions& options)
      : messages_(options.quiet, options.init.partitions) {}

  bool ShowProgress(const v1::Progress& progress) override {
    std::cerr << messages_.OnProgress(progress) << std::flush;
    return true;
  }
  void ShowNote(const std::string& text) override { std::cerr << "trunkload pgbench: " << text << std::endl; }
  void Finish() override {}

 private:
  InitializeMessages messages_;
};

int Initialize(const PgbenchOptions& options) {
  InitializeOptions init = options.init;
  init.scale = options.scale.value_or(1);
  init.no_vacuum = options.no_vacuum;
  absl::StatusOr<v1::Plan> plan = InitializePlan(init, PgbenchTarget(options));
  if (!plan.ok()) return Fail(plan.status());
  plan->mutable_fleet()->set_application_servers(options.agents.value_or(1));
  InitializeScreen screen(options);
  const absl::StatusOr<v1::RunResult> result = RunPlan(*std::move(plan), PlaceOf(options), screen);
  if (!result.ok()) return Fail(result.status());
  std::cerr << InitializeMessages::Summary(result->run());
  return kOk;
}

}  // namespace

int RunPgbenchCommand(std::span<const std::string> arguments) {
  absl::StatusOr<PgbenchRequest> request = ParsePgbenchOptions(arguments, std::getenv("PGBENCH_RANDOM_SEED"));
  if (!request.ok()) return Fail(request.status());
  std::cout << request->print << std::flush;
  std::cerr << request->print_on_stderr << std::flush;
  if (!request->print.empty() || !request->print_on_stderr.empty()) return kOk;

  PgbenchOptions& options = request->options;
  if (IsConninfo(options.database)) {
    const bool children = options.listen.empty() && options.controller.empty();
    if (const absl::Status status = KeepPasswordHere(options.database, children); !status.ok())
      return Fail(status);
  }
  // Where somebody types it, Ctrl-C is to end that.
  ReadStandardInput(options);
  if (absl::Status status = SettlePlace(options.listen, options.controller, options.transport); !status.ok())
    return Fail(status);
  // Before there is any other thread.
  StopSignals::Block();
  if (options.initialize) return Initialize(options);
  absl::StatusOr<Prepared> prepared = Prepare(options);
  if (!prepared.ok()) return Fail(prepared.status());
  std::cout << "trunkload pgbench (" << TRUNKLOAD_VERSION << ", server " << prepared->server_version << ")"
            << std::endl;
  PgbenchScreen screen(options);
  TransactionLogFiles log(options, getpid());
  RunPlace place = PlaceOf(options);
  if (options.log) {
    if (const absl::Status status = log.Open(); !status.ok()) return Fail(status);
    place.on_transactions = [&log](uint32_t agent, int64_t phase_start_us, const v1::TransactionLog& more) {
      // Told at the end.
      log.Add(agent, phase_start_us, more).IgnoreError();
    };
  }
  const absl::StatusOr<v1::RunResult> result = RunPlan(std::move(prepared->plan), std::move(place), screen);
  if (!result.ok()) return Fail(result.status());
  // That of a controller of another version may not be.
  if (!IsOfPgbench(*result, options)) {
    return Fail(absl::InternalError("the controller sent a result that is not of this run: update it"));
  }
  std::cerr << PgbenchErrors(*result, options);
  std::cout << PgbenchReport(*result, options, prepared->partitions) << std::flush;
  if (const absl::Status status = log.Close(); !status.ok()) {
    std::cerr << "trunkload pgbench: " << status.message() << "; what was measured is complete" << std::endl;
  }
  for (const std::string& reason : result->verdict().reasons()) {
    std::cerr << "trunkload pgbench: not valid: " << reason << std::endl;
  }
  if (result->run().cancelled() && !(options.exit_on_abort && WasAborted(*result))) return kInterrupted;
  if (!WasAborted(*result)) return kOk;
  std::cerr << "trunkload pgbench: the run was aborted: these figures are incomplete" << std::endl;
  return kClientsAborted;
}

}  // namespace trunkload
