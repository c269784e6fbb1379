#include "controller/report/database_text.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

// Further ones are left to the JSON.
constexpr int kTablesShown = 20;
constexpr int kEventsShown = 10;

std::string NodeLabel(const v1::Observation& observation, uint32_t node) {
  int worker = 0;
  for (uint32_t i = 0; i < static_cast<uint32_t>(observation.nodes_size()); ++i) {
    const v1::DatabaseNode::Role role = observation.nodes(static_cast<int>(i)).role();
    if (role == v1::DatabaseNode::ROLE_WORKER) ++worker;
    if (i != node) continue;
    if (role == v1::DatabaseNode::ROLE_WORKER) return absl::StrCat("worker ", worker);
    return role == v1::DatabaseNode::ROLE_COORDINATOR ? "coordinator" : "server";
  }
  return absl::StrCat("node ", node);
}

void AddTable(const v1::Observation& observation, const v1::TableSpread& table, Page& page) {
  page.Folded(absl::StrCat(table.table(), ", by ", table.distribution_column(), ", ", table.shards_size(),
                           " shards: ", table.verdict()),
              "  ");
  std::vector<std::string> heads = {"shards", "rows", "size", "written", "scans", "work"};
  page.Row("", heads);
  for (const v1::NodeSpread& node : table.nodes()) {
    page.Row(NodeLabel(observation, node.node()),
             {CountText(node.shards()), node.has_rows() ? CountText(node.rows()) : "?",
              BytesText(static_cast<double>(node.bytes())), CountText(node.rows_written()),
              CountText(node.scans()), ShareText(node.work_share())});
  }
  const auto measure = [&page](const std::string& name, const v1::Evenness& evenness) {
    page.Line(absl::StrFormat(
        "    %s over shards: max/mean %.2f, CV %.3f, Gini %.3f, chi-square %.1f of %u (p = %.2g)", name,
        evenness.max_over_mean(), evenness.coefficient_of_variation(), evenness.gini(), evenness.chi_square(),
        evenness.degrees_of_freedom(), evenness.p_value()));
  };
  if (table.has_rows()) measure("rows", table.rows());
  if (table.has_rows_written()) measure("rows written", table.rows_written());
  if (table.has_scans()) measure("scans", table.scans());
}

}  // namespace

void AddNodeWork(const v1::Observation& observation, const v1::PhaseResult& phase, Page& page) {
  if (phase.nodes().empty()) return;
  page.Line();
  page.Row("", {"commits/s", "rows/s", "read/s", "WAL/s", "conns", "max", "active", "locks"});
  v1::CitusCounters citus;
  bool counted = false;
  bool partial = false;
  for (const v1::NodeWork& node : phase.nodes()) {
    page.Row(absl::StrCat(NodeLabel(observation, node.node()), node.partial() ? " *" : ""),
             {RateText(node.committed_per_s()), RateText(node.rows_written_per_s()),
              RateText(node.rows_read_per_s()), BytesText(node.wal_bytes_per_s()),
              absl::StrFormat("%.1f", node.connections_mean()), CountText(node.connections_max()),
              absl::StrFormat("%.1f", node.active_mean()), CountText(node.waiting_for_locks_max())});
    partial = partial || node.partial();
    if (!node.has_citus()) continue;
    counted = true;
    citus.set_single_shard(citus.single_shard() + node.citus().single_shard());
    citus.set_multi_shard(citus.multi_shard() + node.citus().multi_shard());
    citus.set_connections_made(citus.connections_made() + node.citus().connections_made());
    citus.set_connections_reused(citus.connections_reused() + node.citus().connections_reused());
    citus.set_connections_failed(citus.connections_failed() + node.citus().connections_failed());
  }
  if (partial)
    page.Line("  * partial: it was not read before or after the phase, or was out of reach on the way",
              Paint::kBad);
  if (!counted) return;
  page.Line(absl::StrCat("  queries: ", CountText(citus.single_shard()), " to one shard, ",
                         CountText(citus.multi_shard()),
                         " to several; between nodes: ", CountText(citus.connections_made()),
                         " connections opened, ", CountText(citus.connections_reused()), " used again, ",
                         CountText(citus.connections_failed()), " failed"));
}

void AddObservation(const v1::Observation& observation, Page& page) {
  if (observation.tables().empty() && observation.events().empty() && observation.lacking().empty()) return;
  page.Line();
  page.Line("Database", Paint::kHeading);
  for (const std::string& lacking : observation.lacking())
    page.Folded(absl::StrCat("not observed: ", lacking), "  ");
  for (int i = 0; i < observation.events_size() && i < kEventsShown; ++i) {
    const v1::NodeEvent& event = observation.events(i);
    const std::string when = event.phase().empty()
                                 ? "after the last phase"
                                 : absl::StrFormat("%s, second %.0f", event.phase(), event.second());
    page.Folded(absl::StrCat(when, ": ", NodeLabel(observation, event.node()), " ", event.text()), "  ");
  }
  if (observation.events_size() > kEventsShown)
    page.Line(absl::StrCat("  and ", observation.events_size() - kEventsShown, " more: --json has them all"));
  for (int i = 0; i < observation.tables_size() && i < kTablesShown; ++i)
    AddTable(observation, observation.tables(i), page);
  if (observation.tables_size() > kTablesShown)
    page.Line(absl::StrCat("  and ", observation.tables_size() - kTablesShown,
                           " more tables: --json has them all"));
}

}  // namespace trunkload
