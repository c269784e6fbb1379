#include "controller/sweep/sweep_result.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "controller/run_rates.h"
#include "controller/sweep/scalability.h"
#include "controller/sweep/sweep_cells.h"

namespace trunkload {
namespace {

using Settings = std::map<std::string, std::string>;

// What a field scales, as ScalabilityCurve has it; empty: it is none of those.
std::string ScaledBy(const std::string& field) {
  for (const char* name : {"connections", "pool.size", "application_servers"}) {
    if (field == name || absl::EndsWith(field, std::string(".") + name)) return "connections";
  }
  return absl::EndsWith(field, "closed.clients") ? "clients" : "";
}

double LoadOf(const v1::Plan& plan, const std::string& scaled) {
  if (scaled == "connections") {
    const v1::Fleet& fleet = plan.fleet();
    return fleet.has_connections() ? fleet.connections()
                                   : static_cast<double>(fleet.application_servers()) * fleet.pool().size();
  }
  double clients = 0;
  for (const v1::Phase& phase : plan.phases()) {
    if (phase.record()) clients = std::max(clients, static_cast<double>(phase.load().closed().clients()));
  }
  return clients;
}

// One field's value against its first, over all pairs of cells that differ only in it.
class Comparison {
 public:
  Comparison(std::string field, std::string value, std::string against) {
    effect_.set_field(std::move(field));
    effect_.set_value(std::move(value));
    effect_.set_against(std::move(against));
  }
  void Add(const RunRates& base, const RunRates& rates) {
    if (base.transactions_per_s <= 0 || rates.transactions_per_s <= 0) return;
    const double ratio = rates.transactions_per_s / base.transactions_per_s;
    logs_ += std::log(ratio);
    effect_.set_lowest(effect_.pairs() == 0 ? ratio : std::min(effect_.lowest(), ratio));
    effect_.set_highest(std::max(effect_.highest(), ratio));
    effect_.set_pairs(effect_.pairs() + 1);
    if (base.rows_per_s <= 0 || rates.rows_per_s <= 0) return;
    row_logs_ += std::log(rates.rows_per_s / base.rows_per_s);
    ++row_pairs_;
  }
  v1::Effect Result() {
    if (effect_.pairs() > 0) effect_.set_ratio(std::exp(logs_ / effect_.pairs()));
    if (row_pairs_ > 0) effect_.set_rows_ratio(std::exp(row_logs_ / row_pairs_));
    return effect_;
  }

 private:
  v1::Effect effect_;
  double logs_ = 0;
  double row_logs_ = 0;
  int row_pairs_ = 0;
};

void AddEffects(const std::map<Settings, RunRates>& rates, v1::SweepResult& result) {
  const std::map<std::string, v1::SweepValues> sorted(result.plan().sweep().begin(),
                                                      result.plan().sweep().end());
  for (const auto& [field, values] : sorted) {
    for (int i = 1; i < values.values_size(); ++i) {
      Comparison comparison(field, values.values(i), values.values(0));
      for (const auto& [settings, measured] : rates) {
        if (settings.at(field) != values.values(i)) continue;
        Settings base = settings;
        base[field] = values.values(0);
        if (const auto found = rates.find(base); found != rates.end())
          comparison.Add(found->second, measured);
      }
      if (v1::Effect effect = comparison.Result(); effect.pairs() > 0)
        *result.add_effects() = std::move(effect);
    }
  }
}

void AddCurves(v1::SweepResult& result) {
  for (const std::string scaled : {"connections", "clients"}) {
    std::map<Settings, std::vector<ScalePoint>> curves;
    for (const v1::CellResult& cell : result.cells()) {
      if (!cell.has_result()) continue;
      Settings others(cell.cell().settings().begin(), cell.cell().settings().end());
      const size_t all = others.size();
      std::erase_if(others, [&scaled](const auto& setting) { return ScaledBy(setting.first) == scaled; });
      if (others.size() == all) continue;
      curves[others].push_back({LoadOf(cell.result().run().plan(), scaled), cell.throughput_per_s()});
    }
    for (const auto& [others, points] : curves) {
      const std::optional<v1::ScalabilityFit> fit = FitScalability(points);
      if (!fit) continue;
      v1::ScalabilityCurve& curve = *result.add_curves();
      curve.set_load(scaled);
      curve.mutable_settings()->insert(others.begin(), others.end());
      *curve.mutable_fit() = *fit;
    }
  }
}

}  // namespace

v1::SweepResult MakeSweepResult(const v1::Plan& plan, const std::string& sweep,
                                const std::map<uint32_t, absl::StatusOr<v1::RunResult>>& cells) {
  v1::SweepResult result;
  result.set_sweep(sweep);
  *result.mutable_plan() = plan;
  const absl::StatusOr<std::vector<SweepSetting>> settings = SweepSettings(plan);
  if (!settings.ok()) return result;
  std::map<Settings, RunRates> rates;
  for (const SweepSetting& setting : *settings) {
    v1::CellResult& cell = *result.add_cells();
    cell.mutable_cell()->set_sweep(sweep);
    cell.mutable_cell()->set_number(setting.number);
    cell.mutable_cell()->set_cells(static_cast<uint32_t>(settings->size()));
    cell.mutable_cell()->mutable_settings()->insert(setting.values.begin(), setting.values.end());
    const auto found = cells.find(setting.number);
    if (found == cells.end()) continue;
    if (!found->second.ok()) {
      cell.set_failure(std::string(found->second.status().message()));
      continue;
    }
    *cell.mutable_result() = *found->second;
    const RunRates& of_cell = rates[setting.values] = RatesOf(*found->second);
    cell.set_throughput_per_s(of_cell.transactions_per_s);
    cell.set_rows_per_s(of_cell.rows_per_s);
  }
  AddEffects(rates, result);
  AddCurves(result);
  return result;
}

}  // namespace trunkload
