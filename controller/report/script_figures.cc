#include "controller/report/script_figures.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace trunkload {
namespace {

constexpr char kCommit[] = "COMMIT";

void AddCommands(const v1::ScriptResult& script, std::vector<ScriptFigures::Command>& commands) {
  size_t i = 0;
  for (const v1::CommandResult& command : script.commands()) {
    const std::string name = CommandName(command.text());
    if (name.empty() || name == "BEGIN" || name == "START") continue;
    if (i == commands.size()) commands.push_back({command.text()});
    ScriptFigures::Command& sum = commands[i++];
    const uint64_t count = command.latency_us().count();
    if (count == 0) continue;
    sum.mean_us += (command.latency_us().mean() - sum.mean_us) * static_cast<double>(count) /
                   static_cast<double>(sum.count + count);
    sum.count += count;
  }
}

}  // namespace

std::string CommandName(const std::string& text) {
  const absl::string_view stripped = absl::StripLeadingAsciiWhitespace(text);
  const auto* end = std::find_if_not(stripped.begin(), stripped.end(), absl::ascii_isalpha);
  std::string name = absl::AsciiStrToUpper(stripped.substr(0, static_cast<size_t>(end - stripped.begin())));
  return name == "END" ? kCommit : name;
}

double ScriptFigures::commit_us() const {
  const auto found = std::find_if(commands.rbegin(), commands.rend(), [](const Command& command) {
    return CommandName(command.text) == kCommit;
  });
  return found == commands.rend() ? 0 : found->mean_us;
}

std::vector<ScriptFigures> ScriptFiguresOf(const v1::RunResult& result) {
  std::vector<ScriptFigures> scripts;
  double seconds = 0;
  for (const v1::PhaseResult& phase : result.phases()) {
    if (!phase.recorded()) continue;
    seconds += phase.duration_s();
    scripts.resize(std::max(scripts.size(), static_cast<size_t>(phase.scripts_size())));
    for (int i = 0; i < phase.scripts_size(); ++i) {
      const v1::ScriptResult& script = phase.scripts(i);
      ScriptFigures& sum = scripts[static_cast<size_t>(i)];
      const v1::LatencySummary& response = script.latency_us().response();
      sum.name = script.name();
      sum.mean_us += response.mean() * static_cast<double>(response.count());
      sum.p99_us = std::max(sum.p99_us, response.p99());
      sum.offered += script.offered();
      sum.transactions += script.transactions();
      sum.retries += script.retries();
      sum.deadlock_retries += script.deadlock_retries();
      for (const auto& [state, count] : script.errors()) sum.failed += count;
      AddCommands(script, sum.commands);
    }
  }
  std::erase_if(scripts, [](const ScriptFigures& script) { return script.offered == 0; });
  for (ScriptFigures& script : scripts) {
    if (script.transactions > 0) script.mean_us /= static_cast<double>(script.transactions);
    if (seconds > 0) script.done_per_s = static_cast<double>(script.transactions) / seconds;
  }
  return scripts;
}

}  // namespace trunkload
