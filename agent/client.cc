#include "agent/client.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/error_counts.h"

namespace trunkload {
namespace {

// The longest command of the shell, as in pgbench.
constexpr size_t kMostShellBytes = 256;

// What \sleep makes of a variable: the whole number that its text begins with.
std::optional<int64_t> LeadingNumber(std::string_view text) {
  int64_t number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

// Whether the server has it: an error says that it does not, but where a connection or a server ended, which
// on Citus may be one behind the server that answers.
Ledger::Outcome OutcomeOf(std::string_view error) {
  if (error.empty()) [[likely]]
    return Ledger::Outcome::kAcknowledged;
  const std::string_view kind = error.substr(0, 2);
  const bool lost = error == kUnfinished || kind == "08" || kind == "57" || kind == "58" || kind == "XX";
  return lost ? Ledger::Outcome::kLost : Ledger::Outcome::kRefused;
}

bool IsSerializationFailureOrDeadlock(std::string_view code) {
  return code == kSerializationFailure || code == kDeadlockDetected;
}

}  // namespace

Client::Client(const Parts& parts, const Identity& identity,
               const google::protobuf::Map<std::string, std::string>& variables)
    : parts_(parts),
      variables_(parts.names),
      random_(parts.seeds[identity.number]),
      writer_(identity.number + (uint64_t{identity.generation} << 32)),
      random_at_begin_(random_) {
  Define("scale", 1);
  Define("client_id", identity.number);
  Define("agent_id", identity.agent);
  Define("agents", identity.agents);
  Define("random_seed", static_cast<int64_t>(identity.plan_seed));
  // The same for all, so that a hash is the same wherever it is taken.
  Define("default_seed", static_cast<int64_t>(MixSeed(identity.plan_seed, 0)));
  for (const auto& [name, text] : variables) {
    if (const std::optional<uint32_t> number = parts.names.Find(name)) variables_.SetText(*number, text);
  }
}

void Client::Define(std::string_view name, int64_t value) {
  if (const std::optional<uint32_t> number = parts_.names.Find(name)) {
    variables_.Set(*number, Value::Integer(value));
  }
}

Client::Step Client::Begin(TextScript& script, PqConnection& connection, EventTag shell_tag) {
  script_ = &script;
  shell_tag_ = shell_tag;
  retries_ = deadlock_retries_ = 0;
  if (script.max_tries() != 1) random_at_begin_ = random_;
  script.SetVariables(variables_);
  if (script.recorded()) BeginOperation();
  return Start(connection);
}

void Client::BeginOperation() {
  if (operations_.size() <= script_->number()) operations_.resize(script_->number() + 1);
  const TextScript::Recorded& names = script_->recorded_variables();
  variables_.Set(names.writer, Value::Integer(static_cast<int64_t>(writer_)));
  variables_.Set(names.operation, Value::Integer(static_cast<int64_t>(++operations_[script_->number()])));
  variables_.Unset(names.expected);
  variables_.Unset(names.seen);
  variables_.Unset(names.key);
}

Client::Step Client::Retry(PqConnection& connection) {
  ++retries_;
  if (error_ == kDeadlockDetected) ++deadlock_retries_;
  random_ = random_at_begin_;
  return Start(connection);
}

Client::Step Client::Start(PqConnection& connection) {
  error_.clear();
  cursor_.emplace(script_->script());
  // Of a transaction that was given up there may be one left, even of another script.
  command_ = nullptr;
  rows_ = 0;
  if (script_->per_command()) command_started_ = parts_.clock.MonotonicNanos();
  return Advance(connection);
}

bool Client::may_retry() const {
  return IsSerializationFailureOrDeadlock(error_) &&
         (script_->max_tries() == 0 || retries_ + 1 < script_->max_tries());
}

bool Client::must_end() const {
  const bool of_script = error_ == kScriptError || error_ == kNotOneRow || error_ == kShellFailed ||
                         error_ == kPipelineOpen || error_ == kInTransaction;
  return of_script || (!script_->continue_on_error() && !IsSerializationFailureOrDeadlock(error_));
}

void Client::RecordKey() {
  if (const std::optional<int64_t> key = WholeNumber(*script_->key()))
    parts_.recorder.RecordKey(script_->number(), *key);
}

std::optional<int64_t> Client::WholeNumber(uint32_t variable) {
  if (!variables_.defined(variable)) return std::nullopt;
  const absl::StatusOr<Value> value = variables_.Get(variable);
  if (!value.ok() || value->type() != Value::Type::kInteger) return std::nullopt;
  return value->integer();
}

void Client::RecordOperation(std::string_view error, int64_t now) {
  if (!script_->recorded()) return;
  const uint64_t operation = operations_[script_->number()];
  parts_.recorder.RecordOperation(script_->number(), writer_, operation, OutcomeOf(error));
  const TextScript::Recorded& names = script_->recorded_variables();
  const std::optional<int64_t> expected = WholeNumber(names.expected);
  const std::optional<int64_t> seen = WholeNumber(names.seen);
  // Most scripts look for nothing, and others may have had nothing to look for yet.
  if (!error.empty() || !expected || !seen) return;
  v1::Finding finding;
  finding.set_writer(writer_);
  finding.set_operation(operation);
  finding.set_key(WholeNumber(names.key).value_or(0));
  finding.set_expected(*expected);
  finding.set_seen(*seen);
  parts_.recorder.RecordLook(script_->number(), finding, now);
}

void Client::CommandDone(const Command& command) {
  if (!script_->per_command()) [[likely]]
    return;
  const int64_t now = parts_.clock.MonotonicNanos();
  parts_.recorder.RecordCommand(script_->number(), script_->IndexOf(command), now - command_started_);
  command_started_ = now;
}

void Client::RecordFailedCommand(bool tried_again) {
  if (!script_->per_command() || command_ == nullptr) return;
  parts_.recorder.RecordCommandFailure(script_->number(), script_->IndexOf(*command_), tried_again);
}

Client::Step Client::Advance(PqConnection& connection) {
  // A sleep that is over.
  if (command_ != nullptr && std::holds_alternative<SleepCommand>(command_->action)) CommandDone(*command_);
  while (true) {
    const auto debug = [](const Value&) {};
    const absl::StatusOr<const Command*> next =
        cursor_->Next({variables_, random_, debug}, [this](const Command& command) { CommandDone(command); });
    command_ = next.ok() ? *next : nullptr;
    if (!next.ok()) {
      const absl::string_view message = next.status().message();
      return Fail(kScriptError, {message.data(), message.size()}, connection);
    }
    if (command_ == nullptr) {
      if (connection.in_pipeline()) {
        return Fail(kPipelineOpen, "the script ended inside a pipeline", connection);
      }
      if (connection.in_transaction()) {
        return Fail(kInTransaction, "the script ended inside a transaction block", connection);
      }
      return Step::kDone;
    }
    if (std::holds_alternative<SqlCommand>(command_->action)) {
      if (!connection.in_pipeline()) {
        if (script_->NeedsPreparing(connection, *command_)) return Prepare(*command_, connection);
        return Execute(*command_, connection);
      }
      if (std::get<SqlCommand>(command_->action).rows != SqlCommand::Rows::kIgnored) {
        return FailHere(kPipelineOpen, "a pipeline can't take rows into variables", connection);
      }
      if (!script_->Send(connection, *command_, variables_)) return Step::kBroken;
      CommandDone(*command_);
      continue;
    }
    if (const auto* sleep = std::get_if<SleepCommand>(&command_->action)) return Sleep(*sleep, connection);
    if (const auto* shell = std::get_if<ShellCommand>(&command_->action)) {
      return StartShell(*shell, connection);
    }
    const PipelineCommand pipeline = std::get<PipelineCommand>(command_->action);
    if (pipeline == PipelineCommand::kSync && connection.in_pipeline()) {
      if (!connection.SyncPipeline()) return Step::kBroken;
      CommandDone(*command_);
      continue;
    }
    const Step step = Pipeline(pipeline, connection);
    // A pipeline that has just started.
    if (step != Step::kDone) return step;
    CommandDone(*command_);
  }
}

// kDone: the next command can follow.
Client::Step Client::Pipeline(PipelineCommand pipeline, PqConnection& connection) {
  if (pipeline != PipelineCommand::kStart) {
    if (!connection.in_pipeline()) return FailHere(kPipelineOpen, "there is no pipeline", connection);
    doing_ = Doing::kPipeline;
    return connection.EndPipeline() ? Step::kAnswer : Step::kBroken;
  }
  if (connection.in_pipeline()) return FailHere(kPipelineOpen, "there is a pipeline already", connection);
  if (script_->simple()) {
    return FailHere(kPipelineOpen, "the simple protocol has no pipelines", connection);
  }
  if (const Command* unprepared = script_->NeedsPreparingInPipeline(connection, *command_)) {
    return Prepare(*unprepared, connection);
  }
  return connection.StartPipeline() ? Step::kDone : Step::kBroken;
}

Client::Step Client::Prepare(const Command& command, PqConnection& connection) {
  doing_ = Doing::kPreparing;
  preparing_ = &command;
  return script_->Prepare(connection, command) ? Step::kAnswer : Step::kBroken;
}

Client::Step Client::Execute(const Command& command, PqConnection& connection) {
  doing_ = Doing::kStatement;
  return script_->Send(connection, command, variables_) ? Step::kAnswer : Step::kBroken;
}

Client::Step Client::Sleep(const SleepCommand& sleep, PqConnection& connection) {
  int64_t count = sleep.count;
  if (sleep.variable.has_value()) {
    char buffer[kValueTextBytes];
    const bool defined = variables_.defined(*sleep.variable);
    const std::optional<int64_t> number =
        defined ? LeadingNumber(variables_.Text(*sleep.variable, buffer)) : std::nullopt;
    if (!number.has_value()) {
      return FailHere(
          kScriptError,
          absl::StrCat("variable \"", parts_.names.name(*sleep.variable), "\" is no time to sleep"),
          connection);
    }
    count = *number;
  }
  // A century is as good as for ever, and far from overflowing.
  constexpr int64_t kLongest = int64_t{100} * 366 * 24 * 3600 * 1'000'000;
  const int64_t unit_us = sleep.unit.count();
  sleep_ns_ = std::clamp<int64_t>(count, 0, kLongest / unit_us) * unit_us * 1000;
  return Step::kSleep;
}

Client::Step Client::StartShell(const ShellCommand& shell, PqConnection& connection) {
  std::string text;
  for (const auto& word : shell.words) {
    if (!text.empty()) text += ' ';
    if (const auto* literal = std::get_if<std::string>(&word)) {
      text += *literal;
      continue;
    }
    const uint32_t variable = std::get<uint32_t>(word);
    if (!variables_.defined(variable)) {
      return FailHere(kScriptError, absl::StrCat("undefined variable \"", parts_.names.name(variable), "\""),
                      connection);
    }
    char buffer[kValueTextBytes];
    text += variables_.Text(variable, buffer);
  }
  if (text.size() >= kMostShellBytes) {
    return FailHere(kShellFailed,
                    absl::StrCat("a command of the shell has at most ", kMostShellBytes - 1, " characters"),
                    connection);
  }
  shell_ = std::make_unique<ShellProcess>(parts_.epoll_fd, shell_tag_);
  if (!shell_->Start(text, shell.result.has_value())) {
    shell_.reset();
    return FailHere(kShellFailed, "the command of the shell could not be started", connection);
  }
  return Step::kShell;
}

Client::Step Client::OnShell(PqConnection& connection) {
  if (shell_ == nullptr || !shell_->Ended()) return Step::kShell;
  const std::unique_ptr<ShellProcess> ended = std::move(shell_);
  const auto& shell = std::get<ShellCommand>(command_->action);
  if (!shell.result.has_value()) {
    if (!ended->succeeded()) return FailHere(kShellFailed, "the command of the shell failed", connection);
  } else {
    int64_t number;
    const std::string_view output = ended->output();
    if (!absl::SimpleAtoi(absl::string_view(output.data(), output.size()), &number)) {
      return FailHere(kShellFailed,
                      absl::StrCat("\\setshell expects a whole number, but its command printed \"",
                                   absl::string_view(output.data(), output.size()), "\""),
                      connection);
    }
    variables_.Set(*shell.result, Value::Integer(number));
  }
  CommandDone(*command_);
  return Advance(connection);
}

Client::Step Client::OnAnswer(PqConnection& connection) {
  switch (doing_) {
    case Doing::kRollback:
      // The transaction has failed already, whatever comes of this.
      return Step::kFailed;
    case Doing::kLeavingPipeline:
      return LeaveTransaction(connection);
    default:
      break;
  }
  if (!connection.error().empty()) return Fail(connection.error(), connection.reason(), connection);
  switch (doing_) {
    case Doing::kPreparing: {
      script_->SetPrepared(connection, *preparing_);
      const auto* pipeline = std::get_if<PipelineCommand>(&command_->action);
      if (pipeline == nullptr) return Execute(*command_, connection);
      const Step step = Pipeline(*pipeline, connection);
      if (step != Step::kDone) return step;
      break;
    }
    case Doing::kStatement: {
      const auto& sql = std::get<SqlCommand>(command_->action);
      if (!TakeRows(sql, connection)) {
        return FailHere(kNotOneRow, "expected one row, for \\gset", connection);
      }
      rows_ += connection.rows();
      break;
    }
    default:
      rows_ += connection.rows();
  }
  CommandDone(*command_);
  return Advance(connection);
}

Client::Step Client::FailHere(std::string_view code, std::string_view message, PqConnection& connection) {
  return Fail(code,
              absl::StrCat(script_->script().source.PlaceOf(command_->offset), ": ",
                           absl::string_view(message.data(), message.size())),
              connection);
}

Client::Step Client::Fail(std::string_view code, std::string_view message, PqConnection& connection) {
  error_.assign(code);
  message_.assign(message);
  if (connection.in_pipeline()) {
    doing_ = Doing::kLeavingPipeline;
    return connection.EndPipeline() ? Step::kAnswer : Step::kBroken;
  }
  return LeaveTransaction(connection);
}

Client::Step Client::LeaveTransaction(PqConnection& connection) {
  if (!connection.in_transaction()) return Step::kFailed;
  static const std::string* const kRollback = new std::string("ROLLBACK");
  doing_ = Doing::kRollback;
  return connection.SendQuery(*kRollback) ? Step::kAnswer : Step::kBroken;
}

bool Client::TakeRows(const SqlCommand& command, const PqConnection& connection) {
  if (command.rows == SqlCommand::Rows::kIgnored) [[likely]]
    return true;
  const size_t results = connection.kept_results();
  if (command.rows == SqlCommand::Rows::kGset) {
    if (results == 0 || connection.kept_rows(results - 1) != 1) return false;
    TakeRow(command, connection, results - 1);
    return true;
  }
  for (size_t result = 0; result < results; ++result) {
    if (connection.kept_rows(result) > 0) TakeRow(command, connection, result);
  }
  return true;
}

void Client::TakeRow(const SqlCommand& command, const PqConnection& connection, size_t result) {
  connection.ForEachColumn(result, [&](std::string_view name, std::optional<std::string_view> value) {
    // Those that no script names are nobody's.
    const std::optional<uint32_t> number = parts_.names.Find(command.prefix + std::string(name));
    if (number.has_value()) variables_.SetText(*number, value.value_or(""));
  });
}

}  // namespace trunkload
