#include "controller/report/sweep_scripts.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/utf8.h"
#include "controller/report/cell_pairs.h"
#include "controller/report/cell_table.h"
#include "controller/report/script_figures.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

// Of a script, those that have a column each: as many as a page has room for.
constexpr size_t kMostCommands = 5;
// Retries of one transaction that are shown as none: they would be 0.0 %.
constexpr double kHardlyAny = 0.0005;
constexpr int kRetriesWidth = 20;

bool TellsScriptsApart(const v1::SweepResult& sweep) {
  return std::any_of(sweep.cells().begin(), sweep.cells().end(), [](const v1::CellResult& cell) {
    const std::vector<ScriptFigures> scripts = ScriptFiguresOf(cell.result());
    return scripts.size() > 1 || (!scripts.empty() && !scripts[0].commands.empty());
  });
}

std::optional<ScriptFigures> FiguresOf(const v1::CellResult& cell, const std::string& script) {
  for (ScriptFigures& figures : ScriptFiguresOf(cell.result())) {
    if (figures.name == script) return std::move(figures);
  }
  return std::nullopt;
}

// In the order in which they come up.
std::vector<std::string> ScriptsOf(const v1::SweepResult& sweep) {
  std::vector<std::string> names;
  for (const v1::CellResult& cell : sweep.cells()) {
    for (const ScriptFigures& figures : ScriptFiguresOf(cell.result())) {
      if (std::find(names.begin(), names.end(), figures.name) == names.end()) names.push_back(figures.name);
    }
  }
  return names;
}

std::string ShareOr(double share) {
  return share > 0 ? ShareText(share) : CellTable::kNothing;
}

std::string LatencyOr(double us) {
  return us > 0 ? LatencyText(us) : CellTable::kNothing;
}

// Those that have a column.
std::vector<ScriptFigures::Command> ShownCommands(const ScriptFigures& script) {
  std::vector<ScriptFigures::Command> shown = script.commands;
  if (shown.size() > kMostCommands) shown.erase(shown.begin() + kMostCommands - 1, shown.end() - 1);
  return shown;
}

std::string ScriptHeading(const std::string& name, size_t commands) {
  if (commands == 0) return absl::StrCat("Script ", name);
  if (commands <= kMostCommands)
    return absl::StrCat("Script ", name, ": with the mean time in each statement after BEGIN");
  return absl::StrCat("Script ", name, ": with the mean time in ", kMostCommands, " of its ", commands,
                      " statements after BEGIN");
}

void AddScript(const v1::SweepResult& sweep, const std::string& name, Page& page) {
  std::vector<std::string> heads = {"done/s", "mean", "p99", "failed", "retries", "40P01"};
  std::vector<std::pair<const v1::CellResult*, ScriptFigures>> cells;
  for (const v1::CellResult& cell : sweep.cells()) {
    if (std::optional<ScriptFigures> figures = FiguresOf(cell, name))
      cells.emplace_back(&cell, *std::move(figures));
  }
  // It may have other texts in other cells; mostly it has one.
  const auto longest = std::max_element(cells.begin(), cells.end(), [](const auto& a, const auto& b) {
    return a.second.commands.size() < b.second.commands.size();
  });
  for (const ScriptFigures::Command& command : ShownCommands(longest->second))
    heads.push_back(CommandName(command.text));
  CellTable table(sweep, heads);
  for (const auto& [cell, figures] : cells) {
    std::vector<std::string> line = {
        RateText(figures.done_per_s),    LatencyOr(figures.mean_us),
        LatencyOr(figures.p99_us),       ShareOr(figures.failed_each()),
        ShareOr(figures.retries_each()), ShareOr(figures.deadlock_retries_each())};
    for (const ScriptFigures::Command& command : ShownCommands(figures))
      line.push_back(LatencyOr(command.mean_us));
    const bool valid = cell->result().verdict().valid();
    table.Add(cell->cell(), std::move(line), "", valid ? Paint::kNone : Paint::kBad);
  }
  page.Line();
  page.Line(ScriptHeading(name, longest->second.commands.size()), Paint::kHeading);
  table.AddTo(page);
}

double MeanRetries(const std::vector<CellPair>& pairs, const std::string& script, bool of_base) {
  double sum = 0;
  for (const CellPair& pair : pairs) {
    const std::optional<ScriptFigures> figures = FiguresOf(of_base ? *pair.base : *pair.other, script);
    if (figures) sum += figures->retries_each();
  }
  return pairs.empty() ? 0 : sum / static_cast<double>(pairs.size());
}

// The effect of one value over some pairs, a line for each script.
void AddEffect(const std::string& what, const std::vector<CellPair>& pairs,
               const std::vector<std::string>& scripts, Page& page) {
  page.Line(absl::StrCat("  ", what, pairs.size() > 1 ? absl::StrCat(" (", pairs.size(), " pairs)") : ""));
  for (const std::string& script : scripts) {
    const auto ratio = [&pairs, &script](double ScriptFigures::*figure) {
      const double median = MedianRatio(pairs, [&script, figure](const v1::CellResult& cell) {
        const std::optional<ScriptFigures> figures = FiguresOf(cell, script);
        return figures ? (*figures).*figure : 0;
      });
      return median > 0 ? RatioText(median) : CellTable::kNothing;
    };
    const double commit = MedianRatio(pairs, [&script](const v1::CellResult& cell) {
      const std::optional<ScriptFigures> figures = FiguresOf(cell, script);
      return figures ? figures->commit_us() : 0;
    });
    const double retries_before = MeanRetries(pairs, script, true);
    const double retries = MeanRetries(pairs, script, false);
    page.Row(absl::StrCat("  ", OneLine(script, Page::kLabelWidth - 3)),
             {ratio(&ScriptFigures::done_per_s), ratio(&ScriptFigures::mean_us),
              ratio(&ScriptFigures::p99_us), commit > 0 ? RatioText(commit) : CellTable::kNothing,
              absl::StrFormat("%*s", kRetriesWidth,
                              std::max(retries_before, retries) < kHardlyAny
                                  ? CellTable::kNothing
                                  : absl::StrCat(ShareText(retries_before), " to ", ShareText(retries)))});
  }
}

}  // namespace

std::string RatioText(double ratio) {
  return ratio < 0.1 ? absl::StrFormat("%.2g", ratio) : absl::StrFormat("%.2f", ratio);
}

void AddScripts(const v1::SweepResult& sweep, Page& page) {
  if (!TellsScriptsApart(sweep)) return;
  for (const std::string& script : ScriptsOf(sweep)) AddScript(sweep, script, page);
}

void AddScriptEffects(const v1::SweepResult& sweep, Page& page) {
  if (sweep.effects().empty() || !TellsScriptsApart(sweep)) return;
  const std::vector<std::string> scripts = ScriptsOf(sweep);
  page.Line();
  page.Line("Each script, all else being the same: medians of ratios, and retries of a transaction",
            Paint::kHeading);
  page.Row("", {"done/s", "mean", "p99", "COMMIT", absl::StrFormat("%*s", kRetriesWidth, "retries")},
           Paint::kHeading);
  for (const v1::Effect& effect : sweep.effects()) {
    const std::vector<CellPair> pairs = PairsOf(sweep, effect.field(), effect.value());
    const std::string what = absl::StrCat(effect.field(), "=", effect.value(), " against ", effect.against());
    const std::optional<SplitPairs> split = Split(sweep, effect.field(), pairs);
    if (!split) {
      AddEffect(what, pairs, scripts, page);
      continue;
    }
    for (const auto& [value, with] : split->by_value)
      AddEffect(absl::StrCat(what, ", with ", split->field, "=", value), with, scripts, page);
  }
}

}  // namespace trunkload
