#include "controller/report/sweep_text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/report/cell_pairs.h"
#include "controller/report/cell_table.h"
#include "controller/report/database_text.h"
#include "controller/report/page.h"
#include "controller/report/sqlstate_names.h"
#include "controller/report/sweep_scripts.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

constexpr int kMostTablesInFull = 6;
// A wait for a connection that is less of p99 than this is none.
constexpr double kNoWait = 0.01;

std::map<std::string, std::string> Sorted(const google::protobuf::Map<std::string, std::string>& settings) {
  return {settings.begin(), settings.end()};
}

std::string RateOr(double per_s) {
  return per_s > 0 ? RateText(per_s) : CellTable::kNothing;
}

std::string ShareOr(double share) {
  return share > 0 ? ShareText(share) : CellTable::kNothing;
}

std::string CountOr(uint64_t count) {
  return count > 0 ? CountText(count) : CellTable::kNothing;
}

// What is judged of a run, over its recorded phases: rates of all, latencies of the worst.
std::vector<std::string> FiguresOf(const v1::CellResult& cell) {
  double offered = 0;
  double failed = 0;
  double retries = 0;
  double deadlock_retries = 0;
  double p50 = 0;
  double p99 = 0;
  double wait = 0;
  uint64_t deadlocks = 0;
  uint32_t connections = 0;
  for (const v1::PhaseResult& phase : cell.result().phases()) {
    if (!phase.recorded()) continue;
    offered += static_cast<double>(phase.offered());
    failed += phase.error_rate() * static_cast<double>(phase.offered());
    retries += static_cast<double>(phase.retries());
    deadlock_retries += static_cast<double>(phase.deadlock_retries());
    p50 = std::max(p50, phase.latency_us().response().p50());
    p99 = std::max(p99, phase.latency_us().response().p99());
    wait = std::max(wait, phase.latency_us().pool_wait().p99());
    for (const v1::NodeWork& node : phase.nodes()) {
      deadlocks += node.deadlocks();
      connections = std::max(connections, node.connections_max());
    }
  }
  return {RateText(cell.throughput_per_s()),
          RateOr(cell.rows_per_s()),
          LatencyText(p50),
          LatencyText(p99),
          wait <= kNoWait * p99 ? CellTable::kNothing : LatencyText(wait),
          ShareOr(offered > 0 ? failed / offered : 0),
          ShareOr(offered > 0 ? retries / offered : 0),
          ShareOr(offered > 0 ? deadlock_retries / offered : 0),
          CountOr(deadlocks),
          CountOr(connections)};
}

void AddCells(const v1::SweepResult& sweep, Page& page) {
  CellTable table(sweep, {"done/s", "rows/s", "p50", "p99", "wait p99", "failed", "retries", "40P01",
                          "deadlocks", "conns"});
  for (const v1::CellResult& cell : sweep.cells()) {
    if (!cell.has_result()) {
      table.Add(cell.cell(), {}, cell.failure().empty() ? "not run yet" : "could not run");
      continue;
    }
    const bool valid = cell.result().verdict().valid();
    table.Add(cell.cell(), FiguresOf(cell), valid ? "" : "NOT VALID", valid ? Paint::kNone : Paint::kBad);
  }
  table.AddTo(page);
}

// Why cells could not run, the first reason of those that are not valid, each once; and what failed.
void AddReasons(const v1::SweepResult& sweep, Page& page) {
  std::map<std::string, int> reasons;
  std::map<std::string, uint64_t> errors;
  for (const v1::CellResult& cell : sweep.cells()) {
    for (const v1::PhaseResult& phase : cell.result().phases()) {
      if (!phase.recorded()) continue;
      for (const auto& [state, count] : phase.errors()) errors[state] += count;
    }
    if (!cell.failure().empty()) ++reasons[absl::StrCat("could not run: ", cell.failure())];
    if (!cell.result().verdict().reasons().empty())
      ++reasons[absl::StrCat("not valid: ", cell.result().verdict().reasons(0))];
  }
  for (const auto& [reason, count] : reasons)
    page.Folded(absl::StrCat("- ", count, count == 1 ? " cell " : " cells ", reason), "  ");
  if (!errors.empty()) page.Folded(absl::StrCat("- errors: ", ErrorsText(errors)), "  ");
}

// How each cell's distributed tables spread: in full where there are few, else in a sentence for all cells in
// which a table is even, and one for those in which it is not.
void AddTables(const v1::SweepResult& sweep, Page& page) {
  int tables = 0;
  bool without_citus = false;
  // By table, and whether it is even: each verdict with its cells.
  std::map<std::pair<std::string, bool>, std::map<std::string, std::vector<std::string>>> verdicts;
  for (const v1::CellResult& cell : sweep.cells()) {
    const v1::Observation& observation = cell.result().observation();
    tables += observation.tables_size();
    without_citus |= IsWithoutCitus(observation);
    for (const v1::TableSpread& table : observation.tables())
      verdicts[{table.table(), table.even()}][table.verdict()].push_back(SettingsText(cell.cell()));
  }
  if (tables == 0 && !without_citus) return;
  page.Line();
  page.Line("Distribution", Paint::kHeading);
  if (without_citus) page.Folded(kWithoutCitus, "  ");
  if (tables > kMostTablesInFull) {
    for (const auto& [table, sentences] : verdicts) {
      const auto& [sentence, first_cells] = *sentences.begin();
      size_t cells = 0;
      for (const auto& [verdict, of_verdict] : sentences) cells += of_verdict.size();
      const std::string where = cells == 1 ? first_cells[0] : absl::StrCat(cells, " cells");
      const std::string such = sentences.size() > 1 ? absl::StrCat(", as in ", first_cells[0]) : "";
      page.Folded(absl::StrCat(where, such, ": ", table.first, " is ", sentence), "  ");
    }
    return;
  }
  for (const v1::CellResult& cell : sweep.cells()) {
    for (const v1::TableSpread& table : cell.result().observation().tables()) {
      page.Line(absl::StrCat(" ", SettingsText(cell.cell())));
      AddSpread(cell.result().observation(), table, page);
    }
  }
}

void AddEffects(const v1::SweepResult& sweep, Page& page) {
  if (sweep.effects().empty()) return;
  page.Line();
  page.Line("Throughput, all else being the same", Paint::kHeading);
  for (const v1::Effect& effect : sweep.effects()) {
    std::string text = absl::StrCat(effect.field(), "=", effect.value(), ": ", RatioText(effect.ratio()),
                                    " of ", effect.field(), "=", effect.against());
    if (effect.pairs() > 1) {
      absl::StrAppend(&text, " (", RatioText(effect.lowest()), " to ", RatioText(effect.highest()), " over ",
                      effect.pairs(), " pairs)");
    }
    if (effect.rows_ratio() > 0 && std::abs(effect.rows_ratio() / effect.ratio() - 1) > 0.01)
      absl::StrAppend(&text, "; rows ", RatioText(effect.rows_ratio()));
    page.Folded(text, "  ");
    const std::optional<SplitPairs> split =
        Split(sweep, effect.field(), PairsOf(sweep, effect.field(), effect.value()));
    if (!split) continue;
    std::vector<std::string> parts;
    for (const auto& [value, pairs] : split->by_value) {
      const double ratio =
          MedianRatio(pairs, [](const v1::CellResult& cell) { return cell.throughput_per_s(); });
      parts.push_back(absl::StrCat(RatioText(ratio), " with ", split->field, "=", value));
    }
    page.Folded(absl::StrCat("medians ", absl::StrJoin(parts, ", ")), "    ");
  }
}

std::string BoundsText(const v1::Bounds& bounds) {
  const std::string high = std::isfinite(bounds.high()) ? absl::StrFormat("%.0f", bounds.high()) : "no end";
  return absl::StrFormat("95 %% between %.0f and %s", bounds.low(), high);
}

void AddCurve(const v1::ScalabilityCurve& curve, Page& page) {
  const v1::ScalabilityFit& fit = curve.fit();
  std::string text =
      curve.settings().empty() ? "" : absl::StrCat(SettingsText(Sorted(curve.settings())), ": ");
  const std::string bounds =
      fit.has_peak_bounds() ? absl::StrCat(" (", BoundsText(fit.peak_bounds()), ")") : "";
  if (fit.has_peak_load() && fit.peak_load() < fit.lowest_load()) {
    absl::StrAppendFormat(
        &text,
        "throughput falls from the fewest %s that were tried, %.0f, with %s/s; its peak is there or below%s",
        curve.load(), fit.lowest_load(), RateText(fit.lowest_throughput()), bounds);
  } else if (fit.has_peak_load()) {
    absl::StrAppendFormat(&text, "throughput bends down at %.0f %s%s, with %s/s", fit.peak_load(),
                          curve.load(), bounds, RateText(fit.peak_throughput()));
    if (fit.peak_load() > fit.highest_load())
      absl::StrAppendFormat(&text, "; that is beyond the %.0f that were tried, and extrapolated",
                            fit.highest_load());
  } else if (fit.sigma() > 0) {
    absl::StrAppendFormat(&text, "throughput flattens, toward %s/s, and does not fall up to %.0f %s",
                          RateText(fit.lambda() / fit.sigma()), fit.highest_load(), curve.load());
    const double half = (1 - fit.sigma()) / fit.sigma();
    if (half >= fit.lowest_load()) absl::StrAppendFormat(&text, "; half of that is reached at %.0f", half);
  } else {
    absl::StrAppendFormat(&text, "throughput grows straight up to %.0f %s", fit.highest_load(), curve.load());
  }
  page.Folded(text, "  ");
  page.Line(absl::StrFormat("    one alone %s/s, contention %.4f, crosstalk %.2g; off by %s on average",
                            RateText(fit.lambda()), fit.sigma(), fit.kappa(),
                            ShareText(fit.relative_error())));
}

}  // namespace

std::string SettingsText(const v1::SweepCell& cell) {
  return SettingsText(Sorted(cell.settings()));
}

std::string SweepText(const v1::SweepResult& sweep, bool color) {
  Page page(color);
  const auto ran = std::count_if(sweep.cells().begin(), sweep.cells().end(),
                                 [](const v1::CellResult& cell) { return cell.has_result(); });
  page.Line(absl::StrCat(sweep.plan().name(), ", sweep ", sweep.sweep(), ": ", ran, " of ",
                         sweep.cells_size(), " cells"),
            Paint::kHeading);
  const auto first = std::find_if(sweep.cells().begin(), sweep.cells().end(),
                                  [](const v1::CellResult& cell) { return cell.has_result(); });
  if (first != sweep.cells().end()) {
    v1::ServerInfo server = first->result().run().server();
    // That differs between cells.
    server.clear_distributed();
    if (const std::string text = ServerText(server); !text.empty()) page.Line(text);
  }
  AddReasons(sweep, page);
  page.Line();
  AddCells(sweep, page);
  AddTables(sweep, page);
  AddEffects(sweep, page);
  AddScriptEffects(sweep, page);
  if (!sweep.curves().empty()) {
    page.Line();
    page.Line("Scalability (universal scalability law)", Paint::kHeading);
    for (const v1::ScalabilityCurve& curve : sweep.curves()) AddCurve(curve, page);
  }
  AddScripts(sweep, page);
  if (ran > 0) {
    page.Line();
    page.Line("Each cell is a run: `trunkload runs` lists them, `trunkload report RUN` shows one.");
  }
  return page.Take();
}

}  // namespace trunkload
