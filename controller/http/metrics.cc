#include "controller/http/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace trunkload {
namespace {

// All that RunOutcome says of runs that have ended.
constexpr const char* kOutcomes[] = {"valid",        "not valid", "objective missed",
                                     "check failed", "cancelled", "could not run"};

prometheus::ClientMetric::Label LabelOf(const std::string& name, const std::string& value) {
  prometheus::ClientMetric::Label label;
  label.name = name;
  label.value = value;
  return label;
}

class Families {
 public:
  void Gauge(const std::string& name, const std::string& help) {
    Begin(name, help, prometheus::MetricType::Gauge);
  }
  void Counter(const std::string& name, const std::string& help) {
    Begin(name, help, prometheus::MetricType::Counter);
  }
  // Of the family begun last.
  void Add(double value, std::vector<prometheus::ClientMetric::Label> labels = {}) {
    prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    (families_.back().type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        value;
  }
  const std::vector<prometheus::MetricFamily>& all() const { return families_; }

 private:
  void Begin(const std::string& name, const std::string& help, prometheus::MetricType type) {
    prometheus::MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
  }

  std::vector<prometheus::MetricFamily> families_;
};

// "waiting_for_agents".
std::string StageName(int number) {
  const std::string& name = v1::Progress::Stage_descriptor()->value(number)->name();
  return absl::AsciiStrToLower(absl::StripPrefix(name, "STAGE_"));
}

void AddRun(const ControllerStatus& status, Families& families) {
  const bool under_way = !status.run.run_id().empty();
  families.Gauge("trunkload_agents", "Agents that are connected.");
  families.Add(static_cast<double>(status.agents));
  families.Gauge("trunkload_run_under_way", "1 while a run is under way, else 0.");
  families.Add(under_way ? 1 : 0);
  families.Gauge("trunkload_run_stage", "1 for the stage of the run under way, 0 for all others.");
  // The first is "unspecified".
  for (int i = 1; i < v1::Progress::Stage_descriptor()->value_count(); ++i) {
    const bool here =
        under_way && v1::Progress::Stage_descriptor()->value(i)->number() == status.progress.stage();
    families.Add(here ? 1 : 0, {LabelOf("stage", StageName(i))});
  }
  families.Gauge("trunkload_run_agents_wanted", "Agents that the run under way is to have; 0 without one.");
  families.Add(status.progress.agents_wanted());
  families.Counter("trunkload_runs_total", "Runs that have ended since the controller was started.");
  for (const char* outcome : kOutcomes) {
    const auto ended = status.runs_ended.find(outcome);
    families.Add(ended == status.runs_ended.end() ? 0 : static_cast<double>(ended->second),
                 {LabelOf("outcome", absl::StrReplaceAll(outcome, {{" ", "_"}}))});
  }
}

void AddLoad(const ControllerStatus& status, Families& families) {
  const auto count = [&families](const std::string& name, const std::string& help, uint64_t value) {
    families.Counter(name, help + ", over all runs since the controller was started, warm-ups included.");
    families.Add(static_cast<double>(value));
  };
  count("trunkload_transactions_offered_total", "Transactions that came due or were started",
        status.counts.offered);
  count("trunkload_transactions_total", "Transactions that succeeded", status.counts.transactions);
  count("trunkload_transaction_errors_total", "Transactions that failed", status.counts.errors);
  count("trunkload_transactions_dropped_total", "Transactions that came due while the line was full",
        status.counts.dropped);
  count("trunkload_rows_total", "Rows that the database said it wrote", status.counts.rows);
  const v1::SeriesPoint newest = status.newest.value_or(v1::SeriesPoint());
  families.Gauge("trunkload_throughput_transactions_per_second",
                 "Transactions that succeeded in the newest complete second of the phase under way; else 0.");
  families.Add(static_cast<double>(newest.transactions()));
  families.Gauge("trunkload_response_time_seconds",
                 "From due to answered, of the newest complete second of the phase under way, over the whole "
                 "fleet; quantile 1 is the longest. 0 where nothing was done.");
  const std::pair<const char*, double> quantiles[] = {
      {"0.5", newest.response_p50_us()}, {"0.99", newest.response_p99_us()}, {"1", newest.response_max_us()}};
  for (const auto& [quantile, us] : quantiles) families.Add(us / 1e6, {LabelOf("quantile", quantile)});
}

}  // namespace

std::string MetricsText(const ControllerStatus& status) {
  Families families;
  families.Gauge("trunkload_build_info", "Always 1; the version is a label.");
  families.Add(1, {LabelOf("version", TRUNKLOAD_VERSION)});
  AddRun(status, families);
  AddLoad(status, families);
  return prometheus::TextSerializer().Serialize(families.all());
}

}  // namespace trunkload
