#include "agent/text_script.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace trunkload {

TextScript::TextScript(Script parsed, const v1::Script& script, VariableNames& names, uint32_t number,
                       size_t first_mark)
    : script_(std::move(parsed)),
      number_(number),
      mode_(script.query_mode()),
      max_tries_(script.max_tries()),
      continue_on_error_(script.continue_on_error()),
      per_command_(script.per_command()),
      first_mark_(first_mark),
      key_(script.distribution_key().empty() ? std::nullopt : names.Find(script.distribution_key())) {
  if (script.recorded()) {
    recorded_ = {.writer = names.Number("trunkload_writer"),
                 .operation = names.Number("trunkload_operation"),
                 .expected = names.Number("trunkload_expected"),
                 .seen = names.Number("trunkload_seen"),
                 .key = names.Number("trunkload_key")};
  }
  for (const auto& [name, text] : script.variables()) {
    if (const std::optional<uint32_t> variable = names.Find(name)) variables_.emplace_back(*variable, text);
  }
  size_t most_uses = 0;
  for (size_t i = 0; i < script_.commands.size(); ++i) {
    Statement& statement = statements_.emplace_back();
    const auto* sql = std::get_if<SqlCommand>(&script_.commands[i].action);
    if (sql == nullptr) continue;
    statement = {absl::StrCat("trunkload_", number, "_", i), sql->statement.numbered};
    most_uses = std::max(most_uses, sql->statement.uses.size());
  }
  buffers_.resize(most_uses);
  values_.resize(most_uses);
  // Of text, libpq looks for the end itself.
  lengths_.resize(most_uses);
  formats_.resize(most_uses);
}

bool TextScript::IsPrepared(PqConnection& connection, const Command& command) const {
  const size_t mark = first_mark_ + IndexOf(command);
  return mark < connection.marks().size() && connection.marks()[mark];
}

bool TextScript::NeedsPreparing(PqConnection& connection, const Command& command) const {
  return mode_ == v1::QUERY_MODE_PREPARED && std::holds_alternative<SqlCommand>(command.action) &&
         !connection.marks().empty() && !IsPrepared(connection, command);
}

const Command* TextScript::NeedsPreparingInPipeline(PqConnection& connection, const Command& start) const {
  for (size_t i = IndexOf(start); i < script_.commands.size(); ++i) {
    const Command& command = script_.commands[i];
    const auto* pipeline = std::get_if<PipelineCommand>(&command.action);
    if (pipeline != nullptr && *pipeline == PipelineCommand::kEnd) break;
    if (NeedsPreparing(connection, command)) return &command;
  }
  return nullptr;
}

bool TextScript::Prepare(PqConnection& connection, const Command& command) const {
  return connection.SendPrepare(statements_[IndexOf(command)]);
}

void TextScript::SetPrepared(PqConnection& connection, const Command& command) const {
  connection.marks()[first_mark_ + IndexOf(command)] = true;
}

bool TextScript::Send(PqConnection& connection, const Command& command, const Variables& variables) {
  const auto& sql = std::get<SqlCommand>(command.action);
  if (sql.rows != SqlCommand::Rows::kIgnored) connection.KeepRows();
  if (mode_ == v1::QUERY_MODE_SIMPLE) {
    text_.clear();
    sql.statement.Substitute(variables, text_);
    return connection.SendQuery(text_);
  }
  const size_t count = sql.statement.uses.size();
  for (size_t i = 0; i < count; ++i) {
    const uint32_t variable = sql.statement.uses[i].variable;
    values_[i] = nullptr;
    if (!variables.defined(variable)) continue;
    const std::string_view value = variables.Text(variable, buffers_[i].data());
    // A variable's own text ends with a 0 already.
    if (value.data() == buffers_[i].data()) buffers_[i][value.size()] = '\0';
    values_[i] = value.data();
  }
  const Parameters parameters{.values = {values_.data(), count},
                              .lengths = {lengths_.data(), count},
                              .formats = {formats_.data(), count}};
  const Statement& statement = statements_[IndexOf(command)];
  return mode_ == v1::QUERY_MODE_PREPARED && IsPrepared(connection, command)
             ? connection.SendPrepared(statement, parameters)
             : connection.SendOnce(statement, parameters);
}

}  // namespace trunkload
