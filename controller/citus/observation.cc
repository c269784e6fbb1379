#include "controller/citus/observation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/citus/node_label.h"
#include "controller/citus/table_spread.h"
#include "controller/citus/tracked_work.h"

namespace trunkload {
namespace {

uint64_t RowsWritten(const v1::NodeSample& sample) {
  return sample.rows_inserted() + sample.rows_updated() + sample.rows_deleted();
}

uint64_t RowsWritten(const v1::RelationSample& sample) {
  return sample.rows_inserted() + sample.rows_updated() + sample.rows_deleted();
}

// A server that was started anew, or after a crash, counts from zero.
bool CountsOn(const v1::NodeSample& before, const v1::NodeSample& now) {
  return now.committed() >= before.committed() && RowsWritten(now) >= RowsWritten(before) &&
         now.wal_bytes() >= before.wal_bytes();
}

bool CitusCountsOn(const v1::NodeSample& before, const v1::NodeSample& now) {
  return before.has_citus() && now.has_citus() &&
         now.citus().single_shard() >= before.citus().single_shard() &&
         now.citus().multi_shard() >= before.citus().multi_shard() &&
         now.citus().connections_made() >= before.citus().connections_made();
}

v1::CitusCounters Difference(const v1::CitusCounters& before, const v1::CitusCounters& now) {
  v1::CitusCounters difference;
  difference.set_single_shard(now.single_shard() - before.single_shard());
  difference.set_multi_shard(now.multi_shard() - before.multi_shard());
  difference.set_connections_made(now.connections_made() - before.connections_made());
  difference.set_connections_reused(now.connections_reused() - before.connections_reused());
  difference.set_connections_failed(now.connections_failed() - before.connections_failed());
  return difference;
}

// Of connections, and of statements that wait, are told apart.
constexpr size_t kMostGroups = 100;
constexpr size_t kMostWaits = 10;

double PerSecond(uint64_t before, uint64_t now, double seconds) {
  return now < before || seconds <= 0 ? 0 : static_cast<double>(now - before) / seconds;
}

}  // namespace

void Observation::Ask(bool last) {
  last_asked_ = last;
  if (failed_) return;
  asked_before_nodes_ = nodes_.empty();
  for (uint32_t i = 0; i < nodes_.size(); ++i) awaited_.insert(i);
}

void Observation::Add(const v1::Observed& observed) {
  new_.push_back(observed);
  switch (observed.kind_case()) {
    case v1::Observed::kNodes:
      AddNodes(observed);
      break;
    case v1::Observed::kSettings:
      if (observed.settings().node() >= nodes_.size()) break;
      nodes_[observed.settings().node()].about.set_direct(observed.settings().direct());
      *nodes_[observed.settings().node()].about.mutable_settings() = observed.settings().settings();
      break;
    case v1::Observed::kSample:
      if (observed.sample().node() < nodes_.size()) AddSample(observed);
      break;
    case v1::Observed::kUnreachable: {
      const uint32_t number = observed.unreachable().node();
      if (number >= nodes_.size()) break;
      Node& node = nodes_[number];
      awaited_.erase(number);
      node.phases[observed.phase()].out_of_reach = true;
      if (std::exchange(node.out_of_reach, true)) break;
      AddEvent(observed, number, absl::StrCat("does not answer: ", observed.unreachable().reason()));
      break;
    }
    case v1::Observed::kRows:
      awaited_.erase(observed.rows().node());
      for (const auto& [relation, rows] : observed.rows().rows()) rows_[relation] = rows;
      if (!observed.rows().failure().empty() && observed.rows().node() < nodes_.size()) {
        AddEvent(observed, observed.rows().node(),
                 absl::StrCat("its rows could not be counted: ", observed.rows().failure()));
      }
      break;
    case v1::Observed::kKeys:
      for (const v1::Observed::Keys::Place& place : observed.keys().places())
        shard_of_key_[{place.table(), place.key()}] = place.shard();
      break;
    case v1::Observed::kTracked:
      if (observed.tracked().node() < nodes_.size()) AddTracked(observed);
      break;
    case v1::Observed::kWaits: {
      if (observed.waits().node() >= nodes_.size()) break;
      auto& waits = nodes_[observed.waits().node()].phases[observed.phase()].lock_waits;
      for (const v1::LockWait& wait : observed.waits().waits()) {
        const std::pair key(wait.waiting(), wait.blocking());
        if (waits.size() < kMostGroups || waits.contains(key)) waits[key] += wait.seen();
      }
      break;
    }
    case v1::Observed::kPlacement:
      AddPlacement(observed);
      break;
    case v1::Observed::kMoves:
      if (observed.moves().failure().empty()) {
        *rebalance_.emplace().mutable_moves() = observed.moves().moves();
      } else {
        lacking_.push_back(absl::StrCat("what the rebalancer would do: ", observed.moves().failure()));
      }
      break;
    case v1::Observed::kFailure:
      failed_ = true;
      awaited_.clear();
      lacking_.push_back(observed.failure());
      break;
    case v1::Observed::KIND_NOT_SET:
      break;
  }
}

void Observation::AddNodes(const v1::Observed& observed) {
  const v1::Observed::Nodes& nodes = observed.nodes();
  // Another controller asks anew: what it finds is what there is, as long as nodes are the same.
  const bool first = nodes_.empty();
  nodes_.resize(static_cast<size_t>(nodes.nodes_size()));
  google::protobuf::RepeatedPtrField<v1::DatabaseNode> labelled = nodes.nodes();
  LabelNodes(labelled);
  for (size_t i = 0; i < nodes_.size(); ++i) nodes_[i].about = labelled.Get(static_cast<int>(i));
  relations_.assign(nodes.relations().begin(), nodes.relations().end());
  if (first) lacking_.insert(lacking_.end(), nodes.lacking().begin(), nodes.lacking().end());
  for (const v1::Observed::Fault& fault : nodes.faults()) {
    if (first && fault.node() < nodes_.size()) AddEvent(observed, fault.node(), fault.text());
  }
  if (!std::exchange(asked_before_nodes_, false)) return;
  for (uint32_t i = 0; i < nodes_.size(); ++i) awaited_.insert(i);
}

void Observation::AddEvent(const v1::Observed& observed, uint32_t node, std::string text) {
  Event& added = events_.emplace_back();
  added.phase = observed.phase();
  added.event.set_second(observed.second());
  added.event.set_node(node);
  added.event.set_text(std::move(text));
}

void Observation::AddSample(const v1::Observed& observed) {
  const v1::Observed::Sample& sample = observed.sample();
  Node& node = nodes_[sample.node()];
  if (std::exchange(node.out_of_reach, false)) AddEvent(observed, sample.node(), "answers again");
  if (node.newest && !CountsOn(*node.newest, sample.sample())) {
    node.started_anew = true;
    AddEvent(observed, sample.node(),
             "has lost its counters: it was started anew, or its statistics were reset");
    node.phases[observed.phase()].out_of_reach = true;
    node.newest.reset();
  }
  node.took_us += sample.took_us();
  ++node.samples;
  if (observed.under_load()) {
    Work& work = node.phases[observed.phase()];
    if (!work.first) {
      work.first = sample.sample();
      work.first_s = observed.second();
    }
    work.last = sample.sample();
    work.last_s = observed.second();
    AddGauges(sample.sample(), work);
  } else if (sample.reading()) {
    if (!last_asked_ || awaited_.contains(sample.node())) AddReading(observed, node);
    if (!last_asked_) awaited_.erase(sample.node());
  }
  AddPoint(observed, node);
  node.newest = sample.sample();
  node.newest_s = observed.at_s();
}

void Observation::AddReading(const v1::Observed& observed, Node& node) {
  const v1::Observed::Sample& sample = observed.sample();
  uint64_t bytes = 0;
  for (const v1::RelationSample& relation : sample.relations()) bytes += relation.bytes();
  node.phases[observed.phase()].before = sample.sample();
  node.phases[observed.phase()].bytes_before = bytes;
  // Phases that were passed over were not read.
  for (uint32_t phase = observed.phase(); phase-- > 0;) {
    const auto before = node.phases.find(phase);
    if (before == node.phases.end() || !before->second.before) continue;
    before->second.after = sample.sample();
    before->second.bytes_after = bytes;
    break;
  }
  auto& reading = node.first_reading.empty() ? node.first_reading : node.last_reading;
  reading.clear();
  for (const v1::RelationSample& relation : sample.relations()) reading[relation.relation()] = relation;
}

void Observation::AddTracked(const v1::Observed& observed) {
  const v1::Observed::Tracked& tracked = observed.tracked();
  Node& node = nodes_[tracked.node()];
  for (const std::string& lacking : tracked.lacking()) {
    const std::string text = absl::StrCat("of ", node.about.label(), ": ", lacking);
    if (std::find(lacking_.begin(), lacking_.end(), text) == lacking_.end()) lacking_.push_back(text);
  }
  for (uint32_t phase = observed.phase(); phase-- > 0;) {
    const auto before = node.phases.find(phase);
    if (before == node.phases.end() || !before->second.before) continue;
    if (before->second.tracked_before) before->second.tracked_after = tracked;
    break;
  }
  if (tracked.on()) node.phases[observed.phase()].tracked_before = tracked;
}

void Observation::AddPlacement(const v1::Observed& observed) {
  // Citus may keep several copies of a shard: what counts is the nodes that it is on.
  const auto places = [](const auto& relations) {
    std::map<std::pair<std::string, uint64_t>, std::set<uint32_t>> of;
    for (const v1::Relation& relation : relations) {
      if (relation.shard() != 0) of[{relation.table(), relation.shard()}].insert(relation.node());
    }
    return of;
  };
  const auto before = places(relations_);
  for (const auto& [shard, nodes] : places(observed.placement().relations())) {
    const auto was = before.find(shard);
    if (was == before.end() || was->second == nodes) continue;
    moved_.insert(shard.first);
    for (const uint32_t node : nodes) {
      if (was->second.contains(node) || node >= nodes_.size()) continue;
      AddEvent(observed, node,
               absl::StrCat("holds shard ", shard.second, " of ", shard.first,
                            ", which was elsewhere when the run began"));
    }
  }
}

void Observation::AddGauges(const v1::NodeSample& sample, Work& work) const {
  v1::NodeWork& gauges = work.gauges;
  gauges.set_samples(gauges.samples() + 1);
  gauges.set_connections_mean(gauges.connections_mean() + sample.connections());
  gauges.set_active_mean(gauges.active_mean() + sample.active());
  gauges.set_connections_max(std::max(gauges.connections_max(), sample.connections()));
  gauges.set_from_agents_max(std::max(gauges.from_agents_max(), sample.from_agents()));
  gauges.set_from_nodes_max(std::max(gauges.from_nodes_max(), sample.from_nodes()));
  gauges.set_waiting_for_locks_max(std::max(gauges.waiting_for_locks_max(), sample.waiting_for_locks()));
  gauges.set_prepared_transactions_max(
      std::max(gauges.prepared_transactions_max(), sample.prepared_transactions()));
  gauges.set_replication_lag_bytes_max(
      std::max(gauges.replication_lag_bytes_max(), sample.replication_lag_bytes()));
  for (const v1::ConnectionGroup& group : sample.groups()) {
    const std::pair key(group.application(), group.state());
    if (work.groups.size() >= kMostGroups && !work.groups.contains(key)) continue;
    v1::ConnectionUse& use = work.groups[key];
    use.set_mean(use.mean() + group.count());
    use.set_max(std::max(use.max(), group.count()));
  }
}

void Observation::AddPoint(const v1::Observed& observed, const Node& node) {
  Point& added = points_.emplace_back();
  added.phase = observed.phase();
  v1::NodePoint& point = added.point;
  const v1::NodeSample& now = observed.sample().sample();
  point.set_second(observed.second());
  point.set_node(observed.sample().node());
  point.set_connections(now.connections());
  point.set_active(now.active());
  point.set_waiting_for_locks(now.waiting_for_locks());
  point.set_from_nodes(now.from_nodes());
  point.set_prepared_transactions(now.prepared_transactions());
  point.set_replication_lag_bytes(now.replication_lag_bytes());
  if (!node.newest) return;
  const v1::NodeSample& before = *node.newest;
  const double seconds = observed.at_s() - node.newest_s;
  point.set_committed_per_s(PerSecond(before.committed(), now.committed(), seconds));
  point.set_rows_written_per_s(PerSecond(RowsWritten(before), RowsWritten(now), seconds));
  point.set_wal_bytes_per_s(PerSecond(before.wal_bytes(), now.wal_bytes(), seconds));
  if (!CitusCountsOn(before, now)) return;
  point.set_single_shard_per_s(PerSecond(before.citus().single_shard(), now.citus().single_shard(), seconds));
  point.set_multi_shard_per_s(PerSecond(before.citus().multi_shard(), now.citus().multi_shard(), seconds));
}

v1::NodeWork Observation::WorkOf(uint32_t node, const Work& work, double seconds) const {
  v1::NodeWork result = work.gauges;
  result.set_node(node);
  if (result.samples() > 0) {
    result.set_connections_mean(result.connections_mean() / result.samples());
    result.set_active_mean(result.active_mean() / result.samples());
  }
  for (const auto& [key, use] : work.groups) {
    v1::ConnectionUse& added = *result.add_groups();
    added = use;
    added.set_application(key.first);
    added.set_state(key.second);
    added.set_mean(use.mean() / result.samples());
  }
  AddLockWaits(work.lock_waits, result);
  if (work.tracked_before && work.tracked_after)
    AddTrackedWork(*work.tracked_before, *work.tracked_after, result);
  const bool whole = work.before && work.after && CountsOn(*work.before, *work.after) && !work.out_of_reach;
  result.set_partial(!whole);
  const std::optional<v1::NodeSample>& from = whole ? work.before : work.first;
  if (!from) return result;
  const v1::NodeSample& to = whole ? *work.after : work.last;
  if (!whole) seconds = work.last_s - work.first_s;
  result.set_committed_per_s(PerSecond(from->committed(), to.committed(), seconds));
  result.set_rolled_back_per_s(PerSecond(from->rolled_back(), to.rolled_back(), seconds));
  result.set_rows_written_per_s(PerSecond(RowsWritten(*from), RowsWritten(to), seconds));
  result.set_rows_read_per_s(PerSecond(from->rows_read(), to.rows_read(), seconds));
  result.set_blocks_read_per_s(PerSecond(from->blocks_read(), to.blocks_read(), seconds));
  result.set_blocks_hit_per_s(PerSecond(from->blocks_hit(), to.blocks_hit(), seconds));
  result.set_temporary_bytes_per_s(PerSecond(from->temporary_bytes(), to.temporary_bytes(), seconds));
  result.set_wal_bytes_per_s(PerSecond(from->wal_bytes(), to.wal_bytes(), seconds));
  if (whole && seconds > 0 && work.bytes_before && work.bytes_after) {
    result.set_stored_bytes_per_s(
        (static_cast<double>(*work.bytes_after) - static_cast<double>(*work.bytes_before)) / seconds);
  }
  result.set_deadlocks(to.deadlocks() >= from->deadlocks() ? to.deadlocks() - from->deadlocks() : 0);
  if (CitusCountsOn(*from, to)) *result.mutable_citus() = Difference(from->citus(), to.citus());
  return result;
}

void Observation::AddLockWaits(const std::map<std::pair<std::string, std::string>, uint32_t>& waits,
                               v1::NodeWork& result) {
  std::vector<v1::LockWait> sorted;
  for (const auto& [statements, seen] : waits) {
    v1::LockWait& wait = sorted.emplace_back();
    wait.set_waiting(statements.first);
    wait.set_blocking(statements.second);
    wait.set_seen(seen);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const v1::LockWait& a, const v1::LockWait& b) { return a.seen() > b.seen(); });
  for (size_t i = 0; i < sorted.size() && i < kMostWaits; ++i)
    *result.add_lock_waits() = std::move(sorted[i]);
}

void Observation::AddWork(uint32_t phase, v1::PhaseResult& result) const {
  double written = 0;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const auto work = nodes_[i].phases.find(phase);
    const Work none;
    const Work& of_phase = work == nodes_[i].phases.end() ? none : work->second;
    *result.add_nodes() = WorkOf(i, of_phase, result.duration_s());
    if (of_phase.tracked_before) result.set_observed(true);
    if (nodes_[i].about.holds_shards()) written += result.nodes().rbegin()->rows_written_per_s();
  }
  if (written <= 0) return;
  for (v1::NodeWork& node : *result.mutable_nodes()) {
    if (nodes_[node.node()].about.holds_shards()) node.set_share(node.rows_written_per_s() / written);
  }
}

std::vector<v1::TableSpread> Observation::Spreads(const std::vector<v1::KeyFrequency>& hot_keys) const {
  std::vector<v1::DatabaseNode> about;
  for (const Node& node : nodes_) about.push_back(node.about);
  std::map<std::string, std::vector<RelationWork>> tables;
  for (uint32_t i = 0; i < relations_.size(); ++i) {
    const v1::Relation& relation = relations_[i];
    if (relation.shard() == 0 || relation.reference() || relation.node() >= nodes_.size()) continue;
    RelationWork work{.relation = relation};
    const Node& node = nodes_[relation.node()];
    const auto first = node.first_reading.find(i);
    const auto last = node.last_reading.find(i);
    if (first != node.first_reading.end() && last != node.last_reading.end() && !node.started_anew) {
      work.known = RowsWritten(last->second) >= RowsWritten(first->second) &&
                   last->second.scans() >= first->second.scans();
      work.rows_written = RowsWritten(last->second) - RowsWritten(first->second);
      work.scans = last->second.scans() - first->second.scans();
      work.bytes = last->second.bytes();
    }
    if (const auto rows = rows_.find(i); rows != rows_.end()) work.rows = rows->second;
    tables[relation.table()].push_back(std::move(work));
  }
  std::vector<v1::TableSpread> spreads;
  for (const auto& [table, works] : tables) {
    const bool used = std::any_of(works.begin(), works.end(), [](const RelationWork& work) {
      return !work.known || work.rows_written > 0 || work.scans > 0 || work.rows.value_or(0) > 0;
    });
    if (!used) continue;
    std::vector<v1::KeyFrequency> keys;
    for (v1::KeyFrequency key : hot_keys) {
      const auto shard = shard_of_key_.find({table, key.key()});
      if (shard == shard_of_key_.end()) continue;
      key.set_shard(shard->second);
      keys.push_back(std::move(key));
    }
    std::vector<RelationWork> known = works;
    // What it did elsewhere went with it.
    for (RelationWork& work : known) work.known = work.known && !moved_.contains(table);
    spreads.push_back(MeasureSpread(known, about, keys));
  }
  return spreads;
}

void Observation::AddTo(const v1::Plan& plan, const std::vector<v1::KeyFrequency>& hot_keys,
                        v1::RunResult& result) const {
  if (nodes_.empty() && lacking_.empty()) return;
  const auto name_of = [&plan](uint32_t phase) {
    return phase < static_cast<uint32_t>(plan.phases_size()) ? plan.phases(static_cast<int>(phase)).name()
                                                             : "";
  };
  for (v1::PhaseResult& phase : *result.mutable_phases()) {
    for (int i = 0; i < plan.phases_size(); ++i) {
      if (plan.phases(i).name() == phase.name()) AddWork(static_cast<uint32_t>(i), phase);
    }
  }
  v1::Observation& observation = *result.mutable_observation();
  for (const Node& node : nodes_) {
    v1::DatabaseNode& about = *observation.add_nodes();
    about = node.about;
    about.set_samples(node.samples);
    if (node.samples > 0) about.set_sample_us(node.took_us / node.samples);
  }
  for (const auto& [phase, event] : events_) {
    *observation.add_events() = event;
    observation.mutable_events()->rbegin()->set_phase(name_of(phase));
  }
  for (v1::TableSpread& spread : Spreads(hot_keys)) *observation.add_tables() = std::move(spread);
  for (const auto& [phase, point] : points_) {
    *observation.add_timeline() = point;
    observation.mutable_timeline()->rbegin()->set_phase(name_of(phase));
  }
  for (const std::string& lacking : lacking_) observation.add_lacking(lacking);
  if (rebalance_) *observation.mutable_rebalance() = *rebalance_;
  for (const v1::PhaseResult& phase : result.phases()) {
    if (!phase.observed()) continue;
    result.mutable_verdict()->add_notes(
        absl::StrCat("servers counted statements in ", phase.name(),
                     ", as the plan asks: that slows them down, and its figures are not to be compared"));
  }
}

}  // namespace trunkload
