#include "controller/checks/settlement.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/duration.h"
#include "controller/checks/aftermath.h"
#include "controller/checks/check_context.h"
#include "controller/checks/check_tables.h"
#include "controller/checks/checks.h"
#include "controller/checks/unsettled.h"
#include "controller/database.h"
#include "controller/plan/check_scripts.h"

namespace trunkload {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(30);

// Why nothing can be settled; empty: it can.
std::string Unrest(const Aftermath& aftermath) {
  if (!aftermath.out_of_reach.empty()) return aftermath.out_of_reach;
  if (aftermath.sessions > 0)
    return absl::StrCat(aftermath.sessions, " sessions of the load still run a statement");
  // What they wrote is not to be seen yet.
  if (!aftermath.prepared.empty() && !aftermath.recovered) {
    return absl::StrCat(
        aftermath.prepared.size(),
        " two-phase commits are not recovered yet, and recover_prepared_transactions() failed, or "
        "the role may not call it");
  }
  return "";
}

absl::Status Connect(const v1::Plan& plan, const Cancellation& cancellation,
                     std::unique_ptr<Database>& database) {
  absl::StatusOr<std::unique_ptr<Database>> connected = Database::Connect(plan.target(), cancellation);
  if (!connected.ok()) return connected.status();
  database = *std::move(connected);
  return absl::OkStatus();
}

// UNAVAILABLE where they are not what this run has made.
absl::Status CheckTablesAreOfRun(Database& database, v1::Check check, const std::string& run_id) {
  for (const std::string& table : TablesOf(check)) {
    const absl::StatusOr<std::string> comment = database.ReadValue(
        absl::StrCat("look for the table ", table),
        absl::StrCat("SELECT pg_catalog.obj_description(pg_catalog.to_regclass('", table, "'), 'pg_class')"),
        kAnswerTimeout);
    if (!comment.ok()) return comment.status();
    if (!absl::EndsWith(*comment, RunMark(run_id))) {
      return absl::UnavailableError(absl::StrCat(
          "the table ", table, comment->empty() ? " is not there any more" : " is of another run"));
    }
  }
  return absl::OkStatus();
}

absl::Status Settle(v1::Check check, const Aftermath& aftermath, CheckContext& context,
                    v1::CheckResult& result) {
  switch (check) {
    case v1::CHECK_BANK:
      return SettleBank(context, result);
    case v1::CHECK_LEDGER:
      return SettleLedger(context, result);
    case v1::CHECK_COUNTER:
      return SettleCounter(context, result);
    case v1::CHECK_APPEND_LIST:
      return SettleAppendList(context, result);
    case v1::CHECK_READ_YOUR_WRITES:
      return SettleReadYourWrites(context, result);
    case v1::CHECK_REFERENCE_TABLES:
      return SettleReferenceTables(context, result);
    case v1::CHECK_PREPARED_TRANSACTIONS:
      SettlePreparedTransactions(aftermath, result);
      return absl::OkStatus();
    default:
      return absl::UnimplementedError("this version does not know the check");
  }
}

// Of the agents, on its operations.
double RecordingSeconds(v1::Check check, const CheckContext& context) {
  uint64_t nanos = 0;
  for (const v1::Builtin builtin : ScriptsOf(check)) {
    if (const OperationRecord::Script* const script = context.Of(builtin)) nanos += script->ledger.cost_ns();
  }
  return static_cast<double>(nanos) / 1e9;
}

// What was found decides, where the check has not said so itself.
void Conclude(v1::CheckResult& result) {
  // Refused ones, if any.
  const bool nothing = !ScriptsOf(result.check()).empty() && result.acknowledged() == 0 &&
                       result.lost_answers() == 0 && result.looks() == 0;
  if (result.violations() > 0) {
    result.set_outcome(v1::CheckResult::OUTCOME_FAILED);
    result.set_verdict(absl::StrCat(
        result.violations(), result.violations() == 1 ? " contradiction: " : " contradictions, the first: ",
        result.witnesses_size() > 0 ? result.witnesses(0).text() : "no witness"));
  } else if (result.outcome() == v1::CheckResult::OUTCOME_UNSPECIFIED && nothing) {
    result.set_outcome(v1::CheckResult::OUTCOME_INDETERMINATE);
    result.set_verdict("none of its operations was carried out, so that there was nothing to check");
  } else if (result.outcome() == v1::CheckResult::OUTCOME_UNSPECIFIED) {
    result.set_outcome(v1::CheckResult::OUTCOME_PASSED);
  }
  if (result.untold() > 0) {
    result.set_verdict(absl::StrCat(result.verdict(), "; besides, ", result.untold(),
                                    " are there that nobody told of, because an agent was lost"));
  }
}

}  // namespace

absl::StatusOr<std::vector<v1::CheckResult>> SettleChecks(const SettlementJob& job,
                                                          const Cancellation& cancellation) {
  const SystemClock clock;
  const absl::Duration timeout = FromProto(job.plan.check_options().settle_timeout());
  const absl::StatusOr<Aftermath> aftermath = AwaitRest(job.plan.target(), timeout, cancellation);
  if (!aftermath.ok()) return aftermath.status();
  if (const std::string unrest = Unrest(*aftermath); !unrest.empty()) return Unsettled(job.plan, unrest);
  const bool distributed = aftermath->citus && job.plan.setup().distribution() != v1::DISTRIBUTION_NONE;
  std::unique_ptr<Database> database;
  std::vector<v1::CheckResult> results;
  for (const int number : job.plan.checks()) {
    const auto check = static_cast<v1::Check>(number);
    const int64_t began_ns = clock.MonotonicNanos();
    v1::CheckResult result;
    result.set_check(check);
    absl::Status status = database == nullptr ? Connect(job.plan, cancellation, database) : absl::OkStatus();
    if (status.ok()) status = CheckTablesAreOfRun(*database, check, job.run_id);
    if (status.ok()) {
      CheckContext context(*database, job.plan, job.operations, distributed);
      result.set_recording_cpu_s(RecordingSeconds(check, context));
      status = Settle(check, *aftermath, context, result);
    }
    if (absl::IsCancelled(status)) return status;
    if (status.ok()) {
      Conclude(result);
    } else {
      result = Unsettled(check, std::string(status.message()));
      // It may be in the middle of what has failed.
      database.reset();
    }
    result.set_seconds(static_cast<double>(clock.MonotonicNanos() - began_ns) / 1e9);
    results.push_back(std::move(result));
  }
  return results;
}

Settlement::Settlement(SettlementJob job, Done done)
    : thread_([this, job = std::move(job), done = std::move(done)]() mutable {
        done(SettleChecks(job, cancellation_));
      }) {}

Settlement::~Settlement() {
  cancellation_.Cancel();
  thread_.join();
}

}  // namespace trunkload
