#include "controller/report/cell_pairs.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace trunkload {
namespace {

// Highest against lowest, from which on a mean of them hides more than it says; and the share of the
// differences, as a variance of logarithms, that another field has to account for.
constexpr double kMuchDifferent = 1.5;
constexpr double kAccountedFor = 0.25;

constexpr char kDistribution[] = "setup.distribution";

using Settings = std::map<std::string, std::string>;

Settings SettingsOf(const v1::CellResult& cell) {
  return {cell.cell().settings().begin(), cell.cell().settings().end()};
}

// None where it can't be taken.
std::optional<double> LogRatio(const CellPair& pair) {
  const double base = pair.base->throughput_per_s();
  const double other = pair.other->throughput_per_s();
  if (base <= 0 || other <= 0) return std::nullopt;
  return std::log(other / base);
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double SquaresAbout(double mean, const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum;
}

SplitPairs SplitBy(const v1::SweepResult& sweep, const std::string& field,
                   const std::vector<CellPair>& pairs) {
  SplitPairs split{field, {}};
  for (const std::string& value : sweep.plan().sweep().at(field).values()) {
    std::vector<CellPair> with;
    for (const CellPair& pair : pairs) {
      if (LogRatio(pair) && pair.other->cell().settings().at(field) == value) with.push_back(pair);
    }
    if (!with.empty()) split.by_value.emplace_back(value, std::move(with));
  }
  return split;
}

// What is left of the squares when each value has a mean of its own.
double SquaresWithin(const SplitPairs& split) {
  double sum = 0;
  for (const auto& [value, pairs] : split.by_value) {
    std::vector<double> logs;
    for (const CellPair& pair : pairs) logs.push_back(*LogRatio(pair));
    sum += SquaresAbout(Mean(logs), logs);
  }
  return sum;
}

}  // namespace

std::vector<CellPair> PairsOf(const v1::SweepResult& sweep, const std::string& field,
                              const std::string& value) {
  std::map<Settings, const v1::CellResult*> cells;
  for (const v1::CellResult& cell : sweep.cells()) {
    if (cell.has_result()) cells.emplace(SettingsOf(cell), &cell);
  }
  std::vector<CellPair> pairs;
  for (const v1::CellResult& cell : sweep.cells()) {
    if (!cell.has_result() || cell.cell().settings().at(field) != value) continue;
    Settings base = SettingsOf(cell);
    base[field] = sweep.plan().sweep().at(field).values(0);
    if (const auto found = cells.find(base); found != cells.end()) pairs.push_back({found->second, &cell});
  }
  return pairs;
}

double MedianRatio(const std::vector<CellPair>& pairs,
                   absl::FunctionRef<double(const v1::CellResult& cell)> figure) {
  std::vector<double> logs;
  for (const CellPair& pair : pairs) {
    const double base = figure(*pair.base);
    const double other = figure(*pair.other);
    if (base > 0 && other > 0) logs.push_back(std::log(other / base));
  }
  if (logs.empty()) return 0;
  std::sort(logs.begin(), logs.end());
  return std::exp((logs[(logs.size() - 1) / 2] + logs[logs.size() / 2]) / 2);
}

std::optional<SplitPairs> Split(const v1::SweepResult& sweep, const std::string& field,
                                const std::vector<CellPair>& pairs) {
  std::vector<double> logs;
  for (const CellPair& pair : pairs) {
    if (const std::optional<double> log = LogRatio(pair)) logs.push_back(*log);
  }
  if (logs.size() < 2) return std::nullopt;
  const auto [lowest, highest] = std::minmax_element(logs.begin(), logs.end());
  if (*highest - *lowest < std::log(kMuchDifferent)) return std::nullopt;
  // What holds for plain tables seldom holds for distributed ones.
  if (field != kDistribution && sweep.plan().sweep().contains(kDistribution)) {
    if (SplitPairs split = SplitBy(sweep, kDistribution, pairs); split.by_value.size() > 1) return split;
  }
  const double all = SquaresAbout(Mean(logs), logs);
  double left = (1 - kAccountedFor) * all;
  std::optional<SplitPairs> best;
  const std::map<std::string, v1::SweepValues> sorted(sweep.plan().sweep().begin(),
                                                      sweep.plan().sweep().end());
  for (const auto& [other, values] : sorted) {
    if (other == field) continue;
    SplitPairs split = SplitBy(sweep, other, pairs);
    const double within = SquaresWithin(split);
    // Where each pair has a value of its own, anything is accounted for.
    const bool tells =
        split.by_value.size() >= 2 && (split.by_value.size() < logs.size() || logs.size() == 2);
    if (!tells || within > left) continue;
    left = within;
    best = std::move(split);
  }
  return best;
}

}  // namespace trunkload
