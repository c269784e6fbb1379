#include "controller/report/database_text.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/report/faults_text.h"
#include "controller/report/units.h"

namespace trunkload {
namespace {

// Further ones are left to the JSON.
constexpr int kTablesShown = 20;
constexpr int kEventsShown = 10;
constexpr int kWaitsShown = 3;
constexpr int kStatementsShown = 3;
constexpr int kMovesShown = 3;

std::string NodeLabel(const v1::Observation& observation, uint32_t node) {
  const auto nodes = static_cast<uint32_t>(observation.nodes_size());
  return node < nodes ? observation.nodes(static_cast<int>(node)).label() : absl::StrCat("node ", node);
}

// Of all nodes together.
void AddStored(const v1::PhaseResult& phase, Page& page) {
  double wal = 0;
  double stored = 0;
  bool whole = true;
  for (const v1::NodeWork& node : phase.nodes()) {
    wal += node.wal_bytes_per_s();
    stored += node.stored_bytes_per_s();
    whole = whole && !node.partial();
  }
  if (phase.nodes_size() < 2 || !whole) return;
  page.Line(
      absl::StrCat("  in all ", BytesText(wal), "/s of WAL, and tables grew by ", BytesText(stored), "/s"));
}

void AddQueries(const v1::CitusCounters& citus, Page& page) {
  page.Folded(absl::StrCat("queries: ", CountText(citus.single_shard()), " to one shard, ",
                           CountText(citus.multi_shard()),
                           " to several; between nodes: ", CountText(citus.connections_made()),
                           " connections opened, ", CountText(citus.connections_reused()), " used again, ",
                           CountText(citus.connections_failed()), " failed"),
              "  ");
}

// Who holds them, and what they do.
void AddConnections(const std::string& label, const v1::NodeWork& node, Page& page) {
  std::string text;
  std::string application;
  for (const v1::ConnectionUse& use : node.groups()) {
    if (use.mean() < 0.05) continue;
    absl::StrAppend(&text, text.empty() ? "" : use.application() == application ? ", " : "; ");
    if (text.empty() || use.application() != application)
      absl::StrAppend(&text, use.application().empty() ? "(no name)" : use.application(), " ");
    application = use.application();
    absl::StrAppendFormat(&text, "%.1f %s", use.mean(), use.state());
  }
  if (!text.empty()) page.Folded(absl::StrCat("connections of ", label, ", on average: ", text), "  ");
}

void AddLockWaits(const std::string& label, const v1::NodeWork& node, Page& page) {
  for (int i = 0; i < node.lock_waits_size() && i < kWaitsShown; ++i) {
    const v1::LockWait& wait = node.lock_waits(i);
    page.Folded(absl::StrCat("locks on ", label, ": \"", wait.waiting(), "\" waited for \"", wait.blocking(),
                             "\" (seen ", wait.seen(), wait.seen() == 1 ? " time)" : " times)"),
                "  ");
  }
}

// What the server counted in an observed phase.
void AddTracked(const std::string& label, const v1::NodeWork& node, Page& page) {
  for (int i = 0; i < node.statements_size() && i < kStatementsShown; ++i) {
    const v1::StatementTime& statement = node.statements(i);
    page.Folded(absl::StrCat("statements of ", label, ": ", LatencyText(statement.total_us()), " in ",
                             CountText(statement.calls()), " calls of \"", statement.query(), "\""),
                "  ");
  }
  for (int i = 0; i < node.routes_size() && i < kStatementsShown; ++i) {
    const v1::StatementRoute& route = node.routes(i);
    page.Folded(
        absl::StrCat("routes of ", label, ": ", CountText(route.calls()), " calls by ", route.executor(),
                     route.keys() > 0 ? absl::StrCat(", each with one of ", CountText(route.keys()), " keys")
                                      : ", without a key",
                     ", of \"", route.query(), "\""),
        "  ");
  }
  double cpu_s = 0;
  for (const v1::TenantUse& tenant : node.tenants()) cpu_s += tenant.cpu_s();
  for (int i = 0; i < node.tenants_size() && i < kStatementsShown && cpu_s > 0; ++i) {
    const v1::TenantUse& tenant = node.tenants(i);
    page.Folded(
        absl::StrCat("tenants of ", label, ": ", tenant.tenant(), " used ", ShareText(tenant.cpu_s() / cpu_s),
                     " of the CPU of those it knows, in ", CountText(tenant.queries()), " queries"),
        "  ");
  }
}

void AddRebalance(const v1::Observation& observation, Page& page) {
  if (!observation.has_rebalance()) return;
  const auto& moves = observation.rebalance().moves();
  if (moves.empty()) {
    page.Line("  the rebalancer would move nothing");
    return;
  }
  double bytes = 0;
  for (const v1::ShardMove& move : moves) bytes += static_cast<double>(move.bytes());
  std::string text = absl::StrCat("the rebalancer would move ", moves.size(),
                                  moves.size() == 1 ? " shard" : " shards", ", ", BytesText(bytes), ": ");
  for (int i = 0; i < moves.size() && i < kMovesShown; ++i) {
    const v1::ShardMove& move = moves.Get(i);
    absl::StrAppend(&text, i > 0 ? "; " : "", move.shard(), " of ", move.table(), " from ", move.from(),
                    " to ", move.to());
  }
  page.Folded(absl::StrCat(text, moves.size() > kMovesShown ? "; …" : ""), "  ");
}

// How often the observer asked, and how long that took the servers.
void AddOwnCost(const v1::Observation& observation, Page& page) {
  std::string text;
  for (const v1::DatabaseNode& node : observation.nodes()) {
    if (node.samples() == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", node.label(), " ", CountText(node.samples()), " of ",
                    LatencyText(node.sample_us()));
  }
  if (!text.empty()) page.Folded(absl::StrCat("samples of the observer: ", text), "  ");
}

struct Happened {
  int phase;  // index; as many as there are: after the last one
  double second;
  std::string when;
  std::string text;
};

Happened HappenedAt(const std::string& phase, double second, std::string text, const v1::RunResult& result) {
  Happened happened{
      .phase = 0,
      .second = second,
      .when = phase.empty() ? "after the last phase" : absl::StrFormat("%s, second %.0f", phase, second),
      .text = std::move(text)};
  while (happened.phase < result.phases_size() && result.phases(happened.phase).name() != phase)
    ++happened.phase;
  return happened;
}

// What became of nodes, and what was broken on purpose meanwhile.
void AddTimeline(const v1::RunResult& result, Page& page) {
  std::vector<Happened> timeline;
  for (const v1::FaultResult& fault : result.faults()) {
    if (!fault.has_ended_s()) continue;
    timeline.push_back(
        HappenedAt(fault.phase(), fault.began_s(), absl::StrCat("on purpose: ", fault.what()), result));
    if (!Lasted(fault)) continue;
    timeline.push_back(
        HappenedAt(fault.phase(), fault.ended_s(), absl::StrCat("over: ", fault.what()), result));
  }
  for (const v1::NodeEvent& event : result.observation().events()) {
    timeline.push_back(
        HappenedAt(event.phase(), event.second(),
                   absl::StrCat(NodeLabel(result.observation(), event.node()), " ", event.text()), result));
  }
  std::stable_sort(timeline.begin(), timeline.end(), [](const Happened& a, const Happened& b) {
    return std::pair(a.phase, a.second) < std::pair(b.phase, b.second);
  });
  for (size_t i = 0; i < timeline.size() && i < kEventsShown; ++i)
    page.Folded(absl::StrCat(timeline[i].when, ": ", timeline[i].text), "  ");
  if (timeline.size() > kEventsShown)
    page.Line(absl::StrCat("  and ", timeline.size() - kEventsShown, " more: --json has them all"));
}

}  // namespace

void AddSpread(const v1::Observation& observation, const v1::TableSpread& table, Page& page) {
  page.Folded(absl::StrCat(table.table(), ", by ", table.distribution_column(), ", ", table.shards_size(),
                           " shards: ", table.verdict()),
              "  ");
  page.Row("", {"shards", "rows", "size", "written", "scans", "work"});
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

void AddNodeWork(const v1::Observation& observation, const v1::PhaseResult& phase, Page& page) {
  if (phase.nodes().empty()) return;
  page.Line();
  page.Row("", {"commits/s", "rows/s", "read/s", "WAL/s", "stored/s", "conns", "active", "locks"});
  v1::CitusCounters citus;
  bool counted = false;
  bool partial = false;
  for (const v1::NodeWork& node : phase.nodes()) {
    page.Row(absl::StrCat(NodeLabel(observation, node.node()), node.partial() ? " *" : ""),
             {RateText(node.committed_per_s()), RateText(node.rows_written_per_s()),
              RateText(node.rows_read_per_s()), BytesText(node.wal_bytes_per_s()),
              node.partial() ? "?" : BytesText(node.stored_bytes_per_s()),
              absl::StrFormat("%.0f/%d", node.connections_mean(), node.connections_max()),
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
  AddStored(phase, page);
  if (partial)
    page.Line("  * partial: it was not read before or after the phase, or was out of reach on the way",
              Paint::kBad);
  if (counted) AddQueries(citus, page);
  for (const v1::NodeWork& node : phase.nodes()) {
    const std::string label = NodeLabel(observation, node.node());
    AddConnections(label, node, page);
    AddLockWaits(label, node, page);
    AddTracked(label, node, page);
  }
}

std::string ServerText(const v1::ServerInfo& server) {
  if (server.postgresql_version().empty()) return "";
  std::string text = absl::StrCat("PostgreSQL ", server.postgresql_version());
  if (server.citus_version().empty()) return absl::StrCat(text, " without Citus");
  absl::StrAppend(&text, ", Citus ", server.citus_version(), " with ", server.citus_workers(),
                  server.citus_workers() == 1 ? " worker" : " workers");
  return server.distributed() ? absl::StrCat(text, ", table distributed") : text;
}

bool IsWithoutCitus(const v1::Observation& observation) {
  return observation.nodes_size() == 1 && observation.nodes(0).role() == v1::DatabaseNode::ROLE_SERVER;
}

void AddObservation(const v1::RunResult& result, Page& page) {
  const v1::Observation& observation = result.observation();
  if (observation.nodes().empty() && observation.lacking().empty()) return;
  page.Line();
  page.Line("Database", Paint::kHeading);
  if (IsWithoutCitus(observation)) page.Folded(kWithoutCitus, "  ");
  for (const std::string& lacking : observation.lacking())
    page.Folded(absl::StrCat("not observed: ", lacking), "  ");
  AddTimeline(result, page);
  for (int i = 0; i < observation.tables_size() && i < kTablesShown; ++i)
    AddSpread(observation, observation.tables(i), page);
  if (observation.tables_size() > kTablesShown)
    page.Line(absl::StrCat("  and ", observation.tables_size() - kTablesShown,
                           " more tables: --json has them all"));
  AddRebalance(observation, page);
  AddOwnCost(observation, page);
}

}  // namespace trunkload
