#include "controller/interval_check.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/frequent_keys.h"
#include "common/histogram.h"
#include "common/ledger.h"

namespace trunkload {
namespace {

// Doubles and so JSON hold every number up to here, and sums of a fleet's stay far below 2^64.
constexpr uint64_t kHighestCount = uint64_t{1} << 53;
constexpr uint64_t kHighestNanos = uint64_t{1} << 60;
constexpr int kMostErrorCodes = 200;
constexpr uint32_t kMostProcessors = 1 << 20;

// Codes that are no SQLSTATE. "other": where an agent saw too many kinds to tell them apart.
constexpr absl::string_view kNames[] = {"pool_timeout", "unfinished",    "not_one_row",  "in_transaction",
                                        "script_error", "pipeline_open", "shell_failed", "too_many_files",
                                        "no_free_port", "other"};

bool IsErrorCode(const std::string& code) {
  for (const absl::string_view name : kNames) {
    if (code == name) return true;
  }
  return code.size() == 5 && std::all_of(code.begin(), code.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  absl::ascii_isupper(static_cast<unsigned char>(c));
         });
}

template <typename Errors>
absl::Status CheckErrors(const Errors& errors) {
  if (static_cast<int>(errors.size()) > kMostErrorCodes) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMostErrorCodes, " kinds of errors"));
  }
  for (const auto& [code, count] : errors) {
    if (!IsErrorCode(code)) return absl::InvalidArgumentError("an error that is no SQLSTATE");
    if (count > kHighestCount) return absl::InvalidArgumentError("a count that cannot be");
  }
  return absl::OkStatus();
}

absl::Status CheckMessages(const google::protobuf::Map<std::string, std::string>& messages) {
  if (static_cast<int>(messages.size()) > kMostErrorCodes) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMostErrorCodes, " kinds of errors"));
  }
  for (const auto& [code, message] : messages) {
    if (!IsErrorCode(code)) return absl::InvalidArgumentError("an error that is no SQLSTATE");
    if (message.size() > kLongestErrorMessage) {
      return absl::InvalidArgumentError(
          absl::StrCat("an error's message of more than ", kLongestErrorMessage, " bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCommands(const v1::ScriptInterval& script, size_t commands) {
  if (script.commands_size() != 0 && static_cast<size_t>(script.commands_size()) != commands) {
    return absl::InvalidArgumentError(
        absl::StrCat(script.commands_size(), " commands of a script instead of ", commands));
  }
  for (const v1::CommandInterval& command : script.commands()) {
    if (command.failures() > kHighestCount || command.retries() > command.failures())
      return absl::InvalidArgumentError("a count that cannot be");
    if (absl::Status status = Histogram::Check(command.latency()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckScript(const v1::ScriptInterval& script, size_t commands, bool recorded) {
  for (uint64_t count : {script.offered(), script.transactions(), script.rows(), script.dropped(),
                         script.skipped(), script.late(), script.retried(), script.retries()}) {
    if (count > kHighestCount) return absl::InvalidArgumentError("a count that cannot be");
  }
  if (script.deadlock_retries() > script.retries())
    return absl::InvalidArgumentError("more retries after deadlocks than retries");
  for (const v1::Histogram* histogram :
       {&script.response(), &script.service(), &script.pool_wait(), &script.send_lag(), &script.failed()}) {
    if (absl::Status status = Histogram::Check(*histogram); !status.ok()) return status;
  }
  if (absl::Status status = CheckCommands(script, commands); !status.ok()) return status;
  if (absl::Status status = FrequentKeys::Check(script.keys()); !status.ok()) return status;
  if (!recorded && (script.has_ledger() || script.has_findings()))
    return absl::InvalidArgumentError("a ledger of a script that is not recorded");
  if (absl::Status status = Ledger::Check(script.ledger()); !status.ok()) return status;
  if (absl::Status status = CheckFindings(script.findings()); !status.ok()) return status;
  if (absl::Status status = CheckMessages(script.error_messages()); !status.ok()) return status;
  return CheckErrors(script.errors());
}

// One transaction is an entry in each of its lists.
absl::Status CheckLog(const v1::TransactionLog& log, size_t scripts) {
  const int size = log.client_size();
  for (const int other : {log.number_size(), log.script_size(), log.outcome_size(), log.ended_us_size(),
                          log.response_us_size(), log.send_lag_us_size(), log.retries_size()}) {
    if (other != size) return absl::InvalidArgumentError("a log whose lists differ in length");
  }
  for (int i = 0; i < size; ++i) {
    const bool known = log.script(i) < scripts && v1::TransactionLog::Outcome_IsValid(log.outcome(i)) &&
                       log.outcome(i) != v1::TransactionLog::OUTCOME_UNSPECIFIED;
    if (!known) return absl::InvalidArgumentError("a log of a script or an outcome that there is not");
    for (const int64_t us : {log.ended_us(i), log.response_us(i), log.send_lag_us(i)}) {
      if (us < 0 || us > static_cast<int64_t>(kHighestNanos / 1000))
        return absl::InvalidArgumentError("a log with times that cannot be");
    }
  }
  return absl::OkStatus();
}

bool IsShare(double value) {
  return value >= 0 && value <= 1;
}

absl::Status CheckMachine(const v1::MachineUse& machine) {
  const bool possible = IsShare(machine.machine_cpu()) && IsShare(machine.stolen_cpu()) &&
                        IsShare(machine.waited()) && machine.process_cpus() >= 0 &&
                        machine.process_cpus() <= kMostProcessors &&
                        machine.processors() <= kMostProcessors && machine.throttled_ns() <= kHighestNanos;
  return possible ? absl::OkStatus() : absl::InvalidArgumentError("a use of its machine that cannot be");
}

}  // namespace

absl::Status CheckInterval(const v1::Interval& interval, std::span<const size_t> commands,
                           const std::vector<bool>& recorded) {
  if (static_cast<size_t>(interval.scripts_size()) != commands.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(interval.scripts_size(), " scripts instead of ", commands.size()));
  }
  if (interval.first_second() > interval.last_second()) {
    return absl::InvalidArgumentError("its first second is after its last");
  }
  if (!std::isfinite(interval.busiest_reactor()) || interval.busiest_reactor() < 0) {
    return absl::InvalidArgumentError("a share of a core that cannot be");
  }
  if (interval.connections_lost() > kHighestCount || interval.aborted_clients() > kHighestCount ||
      interval.log_dropped() > kHighestCount || interval.reactor_cpu_ns() > kHighestNanos ||
      interval.last_completion_ns() > kHighestNanos) {
    return absl::InvalidArgumentError("a number that cannot be");
  }
  if (absl::Status status = CheckMachine(interval.machine()); !status.ok()) return status;
  for (size_t i = 0; i < commands.size(); ++i) {
    const absl::Status status = CheckScript(interval.scripts(static_cast<int>(i)), commands[i], recorded[i]);
    if (!status.ok()) return status;
  }
  if (absl::Status status = CheckErrors(interval.connect_errors()); !status.ok()) return status;
  if (absl::Status status = CheckLog(interval.log(), commands.size()); !status.ok()) return status;
  return Histogram::Check(interval.schedule_lag());
}

}  // namespace trunkload
