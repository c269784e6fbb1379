#include "controller/phase_result.h"

#include <algorithm>

#include "controller/script_commands.h"

namespace trunkload {
namespace {

double Micros(double nanos) {
  return nanos / 1000;
}

double PerSecond(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

v1::Latencies SummariseAll(const Merger::Script& script) {
  v1::Latencies latencies;
  *latencies.mutable_response() = Summarise(script.response);
  *latencies.mutable_service() = Summarise(script.service);
  *latencies.mutable_pool_wait() = Summarise(script.pool_wait);
  *latencies.mutable_send_lag() = Summarise(script.send_lag);
  *latencies.mutable_failed() = Summarise(script.failed);
  return latencies;
}

// For PhaseResult and ScriptResult, which share these fields.
template <typename Result>
void SetCounts(const Merger::Script& from, Result& result) {
  result.set_offered(from.offered);
  result.set_transactions(from.transactions);
  result.set_rows(from.rows);
  result.set_dropped(from.dropped);
  result.set_skipped(from.skipped);
  result.set_late(from.late);
  result.set_retried(from.retried);
  result.set_retries(from.retries);
  result.set_deadlock_retries(from.deadlock_retries);
  for (const auto& [code, count] : from.errors) (*result.mutable_errors())[code] = count;
  for (const auto& [code, message] : from.error_messages) (*result.mutable_error_messages())[code] = message;
  *result.mutable_latency_us() = SummariseAll(from);
}

void AddCommands(const v1::Script& script, const Merger::Script& from, v1::ScriptResult& result) {
  if (from.commands.empty()) return;
  const std::vector<std::string> texts = MeasuredCommands(script);
  for (size_t i = 0; i < from.commands.size(); ++i) {
    v1::CommandResult& command = *result.add_commands();
    command.set_text(texts[i]);
    *command.mutable_latency_us() = Summarise(from.commands[i].latency);
    command.set_failures(from.commands[i].failures);
    command.set_retries(from.commands[i].retries);
  }
}

}  // namespace

Merger::Script Total(const Merger& merger) {
  Merger::Script total;
  for (const Merger::Script& script : merger.scripts()) {
    total.offered += script.offered;
    total.transactions += script.transactions;
    total.rows += script.rows;
    total.dropped += script.dropped;
    total.skipped += script.skipped;
    total.late += script.late;
    total.retried += script.retried;
    total.retries += script.retries;
    total.deadlock_retries += script.deadlock_retries;
    for (const auto& [code, count] : script.errors) total.errors[code] += count;
    total.error_messages.insert(script.error_messages.begin(), script.error_messages.end());
    total.response.Merge(script.response);
    total.service.Merge(script.service);
    total.pool_wait.Merge(script.pool_wait);
    total.send_lag.Merge(script.send_lag);
    total.failed.Merge(script.failed);
    total.keys.Merge(script.keys);
  }
  return total;
}

v1::LatencySummary Summarise(const Histogram& histogram) {
  const auto percentile = [&histogram](double percent) {
    return Micros(static_cast<double>(histogram.PercentileNanos(percent)));
  };
  v1::LatencySummary summary;
  summary.set_count(histogram.count());
  summary.set_mean(Micros(histogram.mean_ns()));
  summary.set_p50(percentile(50));
  summary.set_p90(percentile(90));
  summary.set_p95(percentile(95));
  summary.set_p99(percentile(99));
  summary.set_p99_9(percentile(99.9));
  summary.set_max(Micros(static_cast<double>(histogram.max_ns())));
  summary.set_stddev(Micros(histogram.stddev_ns()));
  summary.set_over_range(histogram.over_range());
  return summary;
}

v1::PhaseResult MakePhaseResult(const v1::Plan& plan, uint32_t phase, double seconds, const Merger& merger,
                                const Merger::Script& total) {
  v1::PhaseResult result;
  result.set_name(plan.phases(static_cast<int>(phase)).name());
  result.set_recorded(plan.phases(static_cast<int>(phase)).record());
  const double duration = std::max(seconds, static_cast<double>(merger.last_completion_ns()) / 1e9);
  result.set_duration_s(duration);
  SetCounts(total, result);
  result.set_offered_per_s(PerSecond(total.offered, seconds));
  result.set_throughput_per_s(PerSecond(total.transactions, duration));
  result.set_rows_per_s(PerSecond(total.rows, duration));
  uint64_t failed = total.dropped;
  for (const auto& [code, count] : total.errors) failed += count;
  if (total.offered > 0) {
    result.set_error_rate(static_cast<double>(failed) / static_cast<double>(total.offered));
  }

  for (size_t i = 0; i < merger.scripts().size(); ++i) {
    const v1::Script& script = plan.scripts(static_cast<int>(i));
    v1::ScriptResult& to = *result.add_scripts();
    to.set_name(script.name());
    to.set_weight(script.weight());
    SetCounts(merger.scripts()[i], to);
    AddCommands(script, merger.scripts()[i], to);
  }
  for (const v1::SeriesPoint& point : merger.series().points()) *result.add_series() = point;
  result.set_aborted_clients(merger.aborted_clients());
  result.set_connections_lost(merger.connections_lost());
  for (const auto& [code, count] : merger.connect_errors()) (*result.mutable_connect_errors())[code] = count;
  return result;
}

}  // namespace trunkload
