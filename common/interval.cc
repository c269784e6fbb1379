#include "common/interval.h"

#include <algorithm>

#include "common/histogram.h"
#include "common/ledger.h"

namespace trunkload {
namespace {

// Made once: a histogram is large, and merging is done a few hundred times in a row.
class HistogramMerger {
 public:
  void Merge(const v1::Histogram& more, v1::Histogram& sum) {
    if (more.ByteSizeLong() == 0) return;
    scratch_.Clear();
    scratch_.MergeChecked(sum);
    scratch_.MergeChecked(more);
    sum = scratch_.ToProto();
  }

 private:
  Histogram scratch_;
};

template <typename Counts>
void AddCounts(const Counts& more, Counts& sum) {
  for (const auto& [code, count] : more) sum[code] += count;
}

void MergeScript(const v1::ScriptInterval& more, HistogramMerger& histograms, v1::ScriptInterval& sum) {
  sum.set_offered(sum.offered() + more.offered());
  sum.set_transactions(sum.transactions() + more.transactions());
  sum.set_rows(sum.rows() + more.rows());
  sum.set_dropped(sum.dropped() + more.dropped());
  sum.set_skipped(sum.skipped() + more.skipped());
  sum.set_late(sum.late() + more.late());
  sum.set_retried(sum.retried() + more.retried());
  sum.set_retries(sum.retries() + more.retries());
  sum.set_deadlock_retries(sum.deadlock_retries() + more.deadlock_retries());
  AddCounts(more.errors(), *sum.mutable_errors());
  sum.mutable_error_messages()->insert(more.error_messages().begin(), more.error_messages().end());
  histograms.Merge(more.response(), *sum.mutable_response());
  histograms.Merge(more.service(), *sum.mutable_service());
  histograms.Merge(more.pool_wait(), *sum.mutable_pool_wait());
  histograms.Merge(more.send_lag(), *sum.mutable_send_lag());
  histograms.Merge(more.failed(), *sum.mutable_failed());
  if (more.has_ledger()) {
    Ledger ledger;
    ledger.Merge(sum.ledger());
    ledger.Merge(more.ledger());
    *sum.mutable_ledger() = ledger.ToProto();
  }
  if (more.has_findings()) MergeFindings(more.findings(), *sum.mutable_findings());
  while (sum.commands_size() < more.commands_size()) sum.add_commands();
  for (int i = 0; i < more.commands_size(); ++i) {
    v1::CommandInterval& command = *sum.mutable_commands(i);
    histograms.Merge(more.commands(i).latency(), *command.mutable_latency());
    command.set_failures(command.failures() + more.commands(i).failures());
    command.set_retries(command.retries() + more.commands(i).retries());
  }
}

void MergeMachine(const v1::MachineUse& more, v1::MachineUse& sum) {
  sum.set_process_cpus(std::max(sum.process_cpus(), more.process_cpus()));
  sum.set_machine_cpu(std::max(sum.machine_cpu(), more.machine_cpu()));
  sum.set_throttled_ns(sum.throttled_ns() + more.throttled_ns());
  sum.set_stolen_cpu(std::max(sum.stolen_cpu(), more.stolen_cpu()));
  sum.set_waited(std::max(sum.waited(), more.waited()));
  sum.set_processors(std::max(sum.processors(), more.processors()));
}

}  // namespace

void MergeInterval(const v1::Interval& more, v1::Interval& sum) {
  HistogramMerger histograms;
  sum.set_last_second(std::max(sum.last_second(), more.last_second()));
  while (sum.scripts_size() < more.scripts_size()) sum.add_scripts();
  for (int i = 0; i < more.scripts_size(); ++i) {
    MergeScript(more.scripts(i), histograms, *sum.mutable_scripts(i));
  }
  histograms.Merge(more.schedule_lag(), *sum.mutable_schedule_lag());
  sum.set_reactor_cpu_ns(sum.reactor_cpu_ns() + more.reactor_cpu_ns());
  sum.set_busiest_reactor(std::max(sum.busiest_reactor(), more.busiest_reactor()));
  sum.set_connections_lost(sum.connections_lost() + more.connections_lost());
  AddCounts(more.connect_errors(), *sum.mutable_connect_errors());
  sum.set_last_completion_ns(std::max(sum.last_completion_ns(), more.last_completion_ns()));
  sum.set_aborted_clients(sum.aborted_clients() + more.aborted_clients());
  sum.mutable_log()->MergeFrom(more.log());
  sum.set_log_dropped(sum.log_dropped() + more.log_dropped());
  if (more.has_machine()) MergeMachine(more.machine(), *sum.mutable_machine());
}

}  // namespace trunkload
