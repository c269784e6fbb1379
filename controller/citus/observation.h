#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "trunkload/v1/observation.pb.h"
#include "trunkload/v1/plan.pb.h"
#include "trunkload/v1/result.pb.h"

namespace trunkload {

// What the database said of itself during one run, put on the timeline of its load. Not thread-safe.
class Observation {
 public:
  // In the order in which it came, with its place on the timeline.
  void Add(const v1::Observed& observed);

  // Every node is asked for a reading now; with `last`, for its rows too.
  void Ask(bool last);
  // Some node has not answered yet, for better or worse.
  bool awaits() const { return !awaited_.empty() || (asked_before_nodes_ && !failed_); }

  // What was added since the last call, to be written down; adding it all again gives the same observation.
  std::vector<v1::Observed> TakeNew() { return std::exchange(new_, {}); }

  // Into a result that holds its phases: what became of nodes in each, and the rest of it.
  // `hot_keys`: the most frequent of those that agents wrote, without their shards.
  void AddTo(const v1::Plan& plan, const std::vector<v1::KeyFrequency>& hot_keys,
             v1::RunResult& result) const;

 private:
  // One node in one phase.
  struct Work {
    // Read while no load was on.
    std::optional<v1::NodeSample> before;
    std::optional<v1::NodeSample> after;
    // The first and the last sample of the phase.
    std::optional<v1::NodeSample> first;
    double first_s = 0;
    v1::NodeSample last;
    double last_s = 0;
    // Of all relations, where they were read.
    std::optional<uint64_t> bytes_before;
    std::optional<uint64_t> bytes_after;
    // Of the gauges; means are sums until they are told.
    v1::NodeWork gauges;
    // By application and state; the means are sums, too.
    std::map<std::pair<std::string, std::string>, v1::ConnectionUse> groups;
    // By what waits and what blocks.
    std::map<std::pair<std::string, std::string>, uint32_t> lock_waits;
    // What the server had counted, where it was made to.
    std::optional<v1::Observed::Tracked> tracked_before;
    std::optional<v1::Observed::Tracked> tracked_after;
    bool out_of_reach = false;
  };
  struct Node {
    v1::DatabaseNode about;
    std::map<uint32_t, Work> phases;
    std::optional<v1::NodeSample> newest;
    double newest_s = 0;
    bool out_of_reach = false;
    uint32_t samples = 0;
    double took_us = 0;
    // By relation.
    std::map<uint32_t, v1::RelationSample> first_reading;
    std::map<uint32_t, v1::RelationSample> last_reading;
    bool started_anew = false;
  };
  struct Point {
    uint32_t phase;
    v1::NodePoint point;
  };
  struct Event {
    uint32_t phase;
    v1::NodeEvent event;
  };

  void AddNodes(const v1::Observed& observed);
  void AddSample(const v1::Observed& observed);
  void AddReading(const v1::Observed& observed, Node& node);
  void AddTracked(const v1::Observed& observed);
  void AddPlacement(const v1::Observed& observed);
  void AddGauges(const v1::NodeSample& sample, Work& work) const;
  void AddPoint(const v1::Observed& observed, const Node& node);
  void AddEvent(const v1::Observed& observed, uint32_t node, std::string text);
  v1::NodeWork WorkOf(uint32_t node, const Work& work, double seconds) const;
  static void AddLockWaits(const std::map<std::pair<std::string, std::string>, uint32_t>& waits,
                           v1::NodeWork& result);
  void AddWork(uint32_t phase, v1::PhaseResult& result) const;
  std::vector<v1::TableSpread> Spreads(const std::vector<v1::KeyFrequency>& hot_keys) const;

  std::vector<Node> nodes_;
  std::vector<v1::Relation> relations_;
  std::vector<std::string> lacking_;
  std::optional<v1::Rebalance> rebalance_;
  // Tables of which shards are elsewhere than they were.
  std::set<std::string> moved_;
  std::map<uint32_t, uint64_t> rows_;
  // By table and key.
  std::map<std::pair<std::string, int64_t>, uint64_t> shard_of_key_;
  std::vector<Point> points_;
  std::vector<Event> events_;
  bool failed_ = false;
  bool asked_before_nodes_ = false;
  bool last_asked_ = false;
  std::set<uint32_t> awaited_;
  std::vector<v1::Observed> new_;
};

}  // namespace trunkload
