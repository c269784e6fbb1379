#include "controller/report/sweep_text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "controller/report/page.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

constexpr size_t kWidestValue = 24;

std::string Joined(const std::map<std::string, std::string>& settings) {
  return absl::StrJoin(settings, ", ", absl::PairFormatter("="));
}

std::map<std::string, std::string> Sorted(const google::protobuf::Map<std::string, std::string>& settings) {
  return {settings.begin(), settings.end()};
}

// What is judged of a run, over its recorded phases: rates of all, latencies of the worst.
std::vector<std::string> FiguresOf(const v1::RunResult& result) {
  double seconds = 0;
  double done = 0;
  double rows = 0;
  double offered = 0;
  double failed = 0;
  double p50 = 0;
  double p99 = 0;
  double wait = 0;
  uint32_t connections = 0;
  for (const v1::PhaseResult& phase : result.phases()) {
    if (!phase.recorded()) continue;
    seconds += phase.duration_s();
    done += static_cast<double>(phase.transactions());
    rows += static_cast<double>(phase.rows());
    offered += static_cast<double>(phase.offered());
    failed += phase.error_rate() * static_cast<double>(phase.offered());
    p50 = std::max(p50, phase.latency_us().response().p50());
    p99 = std::max(p99, phase.latency_us().response().p99());
    wait = std::max(wait, phase.latency_us().pool_wait().p99());
    for (const v1::NodeWork& node : phase.nodes())
      connections = std::max(connections, node.connections_max());
  }
  const auto rate = [seconds](double count) { return RateText(seconds > 0 ? count / seconds : 0); };
  return {rate(done),
          rate(rows),
          LatencyText(p50),
          LatencyText(p99),
          LatencyText(wait),
          offered > 0 ? ShareText(failed / offered) : "",
          connections > 0 ? CountText(connections) : ""};
}

void AddCells(const v1::SweepResult& sweep, Page& page) {
  std::map<std::string, size_t> widths;
  for (const v1::CellResult& cell : sweep.cells()) {
    for (const auto& [name, value] : Sorted(cell.cell().settings()))
      widths[name] = std::min(kWidestValue, std::max({widths[name], name.size(), value.size()}));
  }
  const auto line = [&page, &widths](const std::map<std::string, std::string>& values,
                                     const std::vector<std::string>& cells, const std::string& rest,
                                     Paint paint) {
    std::string text = " ";
    for (const auto& [name, width] : widths)
      absl::StrAppendFormat(&text, " %-*s", static_cast<int>(width), values.at(name).substr(0, width));
    for (const std::string& cell : cells) absl::StrAppendFormat(&text, "%*s", Page::kCellWidth, cell);
    page.Line(absl::StrCat(text, rest.empty() ? "" : "  ", rest), paint);
  };
  std::map<std::string, std::string> heads;
  for (const auto& [name, width] : widths) heads[name] = name;
  line(heads, {"done/s", "rows/s", "p50", "p99", "wait p99", "failed", "conns"}, "", Paint::kHeading);
  for (const v1::CellResult& cell : sweep.cells()) {
    const auto settings = Sorted(cell.cell().settings());
    if (!cell.has_result()) {
      line(settings, {}, cell.failure().empty() ? "not run yet" : "could not run", Paint::kNone);
      continue;
    }
    const v1::Verdict& verdict = cell.result().verdict();
    line(settings, FiguresOf(cell.result()), verdict.valid() ? "" : "NOT VALID",
         verdict.valid() ? Paint::kNone : Paint::kBad);
  }
}

// Why cells could not run, and the first reason of those that are not valid: each once.
void AddReasons(const v1::SweepResult& sweep, Page& page) {
  std::map<std::string, int> reasons;
  for (const v1::CellResult& cell : sweep.cells()) {
    if (!cell.failure().empty()) ++reasons[absl::StrCat("could not run: ", cell.failure())];
    if (!cell.result().verdict().reasons().empty())
      ++reasons[absl::StrCat("not valid: ", cell.result().verdict().reasons(0))];
  }
  for (const auto& [reason, count] : reasons)
    page.Folded(absl::StrCat("- ", count, count == 1 ? " cell " : " cells ", reason), "  ");
}

// How each cell's distributed tables spread.
void AddTables(const v1::SweepResult& sweep, Page& page) {
  bool any = false;
  for (const v1::CellResult& cell : sweep.cells()) {
    for (const v1::TableSpread& table : cell.result().observation().tables()) {
      if (!std::exchange(any, true)) {
        page.Line();
        page.Line("Distribution", Paint::kHeading);
      }
      page.Folded(absl::StrCat(SettingsText(cell.cell()), ": ", table.table(), " is ", table.verdict()),
                  "  ");
    }
  }
}

// Two digits that matter.
std::string RatioText(double ratio) {
  return ratio < 0.1 ? absl::StrFormat("%.2g", ratio) : absl::StrFormat("%.2f", ratio);
}

void AddEffects(const v1::SweepResult& sweep, Page& page) {
  if (sweep.effects().empty()) return;
  page.Line();
  page.Line("Throughput, all else being the same", Paint::kHeading);
  for (const v1::Effect& effect : sweep.effects()) {
    std::string text = absl::StrCat("  ", effect.field(), "=", effect.value(), ": ",
                                    RatioText(effect.ratio()), " of ", effect.field(), "=", effect.against());
    if (effect.pairs() > 1) {
      absl::StrAppend(&text, " (", RatioText(effect.lowest()), " to ", RatioText(effect.highest()), " over ",
                      effect.pairs(), " pairs)");
    }
    if (effect.rows_ratio() > 0 && std::abs(effect.rows_ratio() / effect.ratio() - 1) > 0.01)
      absl::StrAppend(&text, "; rows ", RatioText(effect.rows_ratio()));
    page.Line(text);
  }
}

std::string BoundsText(const v1::Bounds& bounds) {
  const std::string high = std::isfinite(bounds.high()) ? absl::StrFormat("%.0f", bounds.high()) : "no end";
  return absl::StrFormat("95 %% between %.0f and %s", bounds.low(), high);
}

void AddCurve(const v1::ScalabilityCurve& curve, Page& page) {
  const v1::ScalabilityFit& fit = curve.fit();
  std::string text = curve.settings().empty() ? "" : absl::StrCat(Joined(Sorted(curve.settings())), ": ");
  if (fit.has_peak_load()) {
    absl::StrAppendFormat(&text, "throughput bends down at %.0f %s%s, with %s/s", fit.peak_load(),
                          curve.load(),
                          fit.has_peak_bounds() ? absl::StrCat(" (", BoundsText(fit.peak_bounds()), ")") : "",
                          RateText(fit.peak_throughput()));
    if (fit.peak_load() > fit.highest_load())
      absl::StrAppendFormat(&text, "; that is beyond the %.0f that were tried, and extrapolated",
                            fit.highest_load());
  } else if (fit.sigma() > 0) {
    absl::StrAppendFormat(
        &text,
        "throughput flattens, toward %s/s, and does not fall up to %.0f %s; half of that is reached at %.0f",
        RateText(fit.lambda() / fit.sigma()), fit.highest_load(), curve.load(),
        std::max(1.0, (1 - fit.sigma()) / fit.sigma()));
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
  return Joined(Sorted(cell.settings()));
}

std::string SweepText(const v1::SweepResult& sweep, bool color) {
  Page page(color);
  const auto ran = std::count_if(sweep.cells().begin(), sweep.cells().end(),
                                 [](const v1::CellResult& cell) { return cell.has_result(); });
  page.Line(absl::StrCat(sweep.plan().name(), ", sweep ", sweep.sweep(), ": ", ran, " of ",
                         sweep.cells_size(), " cells"),
            Paint::kHeading);
  AddReasons(sweep, page);
  page.Line();
  AddCells(sweep, page);
  AddTables(sweep, page);
  AddEffects(sweep, page);
  if (!sweep.curves().empty()) {
    page.Line();
    page.Line("Scalability (universal scalability law)", Paint::kHeading);
    for (const v1::ScalabilityCurve& curve : sweep.curves()) AddCurve(curve, page);
  }
  return page.Take();
}

}  // namespace trunkload
