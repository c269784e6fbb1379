#include "agent/scripts.h"

#include <utility>

#include "common/script/script_parser.h"

namespace trunkload {

Scripts::Scripts(const v1::Assignment& assignment) {
  for (const v1::Script& script : assignment.scripts()) {
    const auto number = static_cast<uint32_t>(scripts_.size());
    Entry& entry = scripts_.emplace_back();
    size_t& measured = measured_commands_.emplace_back(0);
    if (assignment.has_load()) continue;
    if (script.text().empty()) {
      entry.insert.emplace(script, number);
      if (entry.insert->prepared() || script.builtin() == v1::BUILTIN_INSERT_COPY)
        statements_.push_back(entry.insert->statement());
      continue;
    }
    Script parsed = ParseScript(ScriptSource(script.name(), script.text()), names_).value();
    const size_t commands = parsed.commands.size();
    if (script.per_command()) measured = commands;
    entry.text = std::make_unique<TextScript>(std::move(parsed), script, names_, number, marks_);
    if (script.query_mode() == v1::QUERY_MODE_PREPARED) marks_ += commands;
    any_text_ = true;
  }
}

}  // namespace trunkload
