#include "common/script/script_cursor.h"

#include "absl/strings/str_cat.h"

namespace trunkload {

absl::StatusOr<const Command*> ScriptCursor::Next(const Evaluation& evaluation,
                                                  absl::FunctionRef<void(const Command&)> done) {
  const std::vector<Command>& commands = script_->commands;
  while (next_ < commands.size()) {
    const Command& command = commands[next_++];
    absl::StatusOr<Value> value;
    if (const auto* set = std::get_if<SetCommand>(&command.action)) {
      value = set->expression.Evaluate(evaluation);
      if (value.ok()) evaluation.variables.Set(set->variable, *value);
    } else if (const auto* branch = std::get_if<IfCommand>(&command.action)) {
      value = branch->expression.Evaluate(evaluation);
      if (value.ok() && !value->IsTrue()) next_ = branch->otherwise;
    } else if (const auto* jump = std::get_if<JumpCommand>(&command.action)) {
      next_ = jump->to;
      done(command);
      continue;
    } else {
      return &command;
    }
    if (!value.ok()) {
      return absl::Status(value.status().code(), absl::StrCat(script_->source.PlaceOf(command.offset), ": ",
                                                              value.status().message()));
    }
    done(command);
  }
  return nullptr;
}

}  // namespace trunkload
