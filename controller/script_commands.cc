#include "controller/script_commands.h"

#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "common/script/script_parser.h"

namespace trunkload {
namespace {

std::string FirstLine(const Script& script, const Command& command) {
  // A statement ends where it ends, though another may follow in its line.
  const auto* sql = std::get_if<SqlCommand>(&command.action);
  const std::string_view text =
      sql == nullptr ? script.source.text().substr(command.offset) : std::string_view(sql->statement.text);
  std::string line(text.substr(0, text.find('\n')));
  absl::StripAsciiWhitespace(&line);
  return line;
}

}  // namespace

std::vector<std::string> MeasuredCommands(const v1::Script& script) {
  std::vector<std::string> lines;
  if (!script.per_command() || script.text().empty()) return lines;
  VariableNames names;
  const absl::StatusOr<Script> parsed = ParseScript(ScriptSource(script.name(), script.text()), names);
  // A plan's scripts were parsed when it was checked.
  if (!parsed.ok()) return lines;
  for (const Command& command : parsed->commands) lines.push_back(FirstLine(*parsed, command));
  return lines;
}

}  // namespace trunkload
