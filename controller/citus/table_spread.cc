#include "controller/citus/table_spread.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/citus/evenness.h"

namespace trunkload {
namespace {

// Chance alone does as much in fewer of the runs; a table is judged by up to three such figures.
constexpr double kSignificant = 0.001 / 3;
// More rows than these show any difference, however small: what is below this does not matter to anybody.
constexpr double kNegligible = 1.02;
// A shard that gets this much more than its share is named.
constexpr double kHotShard = 1.5;
// So is a key that has this share of all, and of its shard at least half.
constexpr double kHotKey = 0.01;
constexpr double kHashValues = 4294967296.0;

double RangeShare(const v1::ShardSpread& shard) {
  if (!shard.has_hash_min() || !shard.has_hash_max()) return 0;
  return (static_cast<double>(shard.hash_max()) - shard.hash_min() + 1) / kHashValues;
}

std::string Percent(double share) {
  return absl::StrFormat("%.*f %%", share < 0.1 ? 1 : 0, 100 * share);
}

// One thing that is spread, by shard.
struct Measure {
  const char* name;
  std::vector<double> counts;
  double sum() const {
    double sum = 0;
    for (const double count : counts) sum += count;
    return sum;
  }
};

// "worker 2 (10.0.0.3:5432)"
std::string NodeText(const std::vector<v1::DatabaseNode>& nodes, uint32_t node) {
  if (node >= nodes.size()) return absl::StrCat("node ", node);
  const v1::DatabaseNode& about = nodes[node];
  return absl::StrCat(about.label(), about.name().empty() ? "" : absl::StrCat(" (", about.name(), ")"));
}

class Judge {
 public:
  Judge(v1::TableSpread& spread, const std::vector<v1::DatabaseNode>& nodes)
      : spread_(spread), nodes_(nodes) {
    for (const v1::ShardSpread& shard : spread.shards()) {
      shares_.push_back(RangeShare(shard));
      range_[shard.node()] += shares_.back();
      ++shards_[shard.node()];
    }
  }

  // The sentence on a measure that is not even; empty where it is.
  std::string Unevenness(const Measure& measure, const v1::Evenness& evenness) const {
    std::map<uint32_t, double> of_node;
    for (size_t i = 0; i < measure.counts.size(); ++i)
      of_node[spread_.shards(static_cast<int>(i)).node()] += measure.counts[i];
    uint32_t busiest = of_node.begin()->first;
    for (const auto& [node, count] : of_node) {
      if (count > of_node.at(busiest)) busiest = node;
    }
    const double share = of_node.at(busiest) / measure.sum();
    const double even_share = 1.0 / static_cast<double>(Holders());
    const bool follows_range = evenness.p_value() >= kSignificant || evenness.max_over_mean() < kNegligible;
    if (follows_range && PlacedEvenly()) return "";
    const size_t hottest = HottestShard(measure);
    // Where the hot shard is on a node that has no more than others, it alone is worth a sentence.
    const bool on_the_busiest =
        spread_.shards(static_cast<int>(hottest)).node() == busiest && share >= even_share * kNegligible;
    if (!follows_range && PlacedEvenly() && IsHot(measure, hottest) && !on_the_busiest)
      return ShardText(measure, hottest);
    std::string text = absl::StrCat(NodeText(nodes_, busiest), " has ", Percent(share), " of the ",
                                    measure.name, ", where ", Percent(even_share), " would be even");
    if (follows_range || !PlacedEvenly()) {
      absl::StrAppend(&text, ": it holds ", shards_.at(busiest), " of the ", spread_.shards_size(),
                      " shards");
    }
    if (follows_range) return text;
    return absl::StrCat(text, "; ",
                        IsHot(measure, hottest)
                            ? ShardText(measure, hottest)
                            : "shards differ by more than chance, by a few keys or by their number");
  }

 private:
  size_t Holders() const {
    const auto holds = std::count_if(nodes_.begin(), nodes_.end(),
                                     [](const v1::DatabaseNode& node) { return node.holds_shards(); });
    return std::max(static_cast<size_t>(holds), range_.size());
  }

  // As evenly as so many shards can be.
  bool PlacedEvenly() const {
    if (range_.size() < Holders()) return false;
    double least = 1;
    double most = 0;
    for (const auto& [node, share] : range_) {
      least = std::min(least, share);
      most = std::max(most, share);
    }
    const double largest = *std::max_element(shares_.begin(), shares_.end());
    return most - least <= largest * 1.001 || most * static_cast<double>(Holders()) < kNegligible;
  }

  // By what it has above its share.
  size_t HottestShard(const Measure& measure) const {
    size_t hottest = 0;
    const auto excess = [&](size_t i) { return measure.counts[i] / measure.sum() - shares_[i]; };
    for (size_t i = 1; i < measure.counts.size(); ++i) {
      if (excess(i) > excess(hottest)) hottest = i;
    }
    return hottest;
  }

  bool IsHot(const Measure& measure, size_t shard) const {
    return measure.counts[shard] / measure.sum() >= kHotShard * shares_[shard];
  }

  std::string ShardText(const Measure& measure, size_t hot) const {
    const double share = measure.counts[hot] / measure.sum();
    const v1::ShardSpread& shard = spread_.shards(static_cast<int>(hot));
    std::string text = absl::StrCat("shard ", shard.shard(), " on ", NodeText(nodes_, shard.node()),
                                    " alone has ", Percent(share), " of the ", measure.name,
                                    ", its range of the hash being ", Percent(shares_[hot]));
    for (const v1::KeyFrequency& key : spread_.hot_keys()) {
      if (key.shard() != shard.shard() || key.share_high() < kHotKey || key.share_high() < share / 2)
        continue;
      absl::StrAppend(&text, ": ", spread_.distribution_column(), " ", key.key(), " is hot, with ",
                      Percent(key.share_high()), " of the keys that agents wrote");
      break;
    }
    return text;
  }

  const v1::TableSpread& spread_;
  const std::vector<v1::DatabaseNode>& nodes_;
  std::vector<double> shares_;
  std::map<uint32_t, double> range_;
  std::map<uint32_t, uint32_t> shards_;
};

// Whether anything can be said of the range that each shard takes in.
bool HasRanges(const v1::TableSpread& spread) {
  return spread.shards_size() > 0 &&
         std::all_of(spread.shards().begin(), spread.shards().end(),
                     [](const v1::ShardSpread& shard) { return RangeShare(shard) > 0; });
}

std::vector<double> RangeShares(const v1::TableSpread& spread) {
  std::vector<double> shares;
  for (const v1::ShardSpread& shard : spread.shards()) shares.push_back(RangeShare(shard));
  return shares;
}

void AddNodes(v1::TableSpread& spread) {
  std::map<uint32_t, v1::NodeSpread> by_node;
  double written = 0;
  double scans = 0;
  std::set<uint32_t> not_counted;
  for (const v1::ShardSpread& shard : spread.shards()) {
    v1::NodeSpread& node = by_node[shard.node()];
    node.set_node(shard.node());
    node.set_shards(node.shards() + 1);
    node.set_range_share(node.range_share() + RangeShare(shard));
    node.set_rows(node.rows() + shard.rows());
    if (!shard.has_rows()) not_counted.insert(shard.node());
    node.set_bytes(node.bytes() + shard.bytes());
    node.set_rows_written(node.rows_written() + shard.rows_written());
    node.set_scans(node.scans() + shard.scans());
    written += static_cast<double>(shard.rows_written());
    scans += static_cast<double>(shard.scans());
  }
  for (auto& [number, node] : by_node) {
    if (not_counted.contains(number)) node.clear_rows();
    if (written > 0) {
      node.set_work_share(static_cast<double>(node.rows_written()) / written);
    } else if (scans > 0) {
      node.set_work_share(static_cast<double>(node.scans()) / scans);
    }
    *spread.add_nodes() = std::move(node);
  }
}

std::vector<Measure> MeasuresOf(const v1::TableSpread& spread) {
  Measure rows{"rows", {}};
  Measure written{"rows written", {}};
  Measure scans{"scans", {}};
  bool counted = true;
  for (const v1::ShardSpread& shard : spread.shards()) {
    counted = counted && shard.has_rows();
    rows.counts.push_back(static_cast<double>(shard.rows()));
    written.counts.push_back(static_cast<double>(shard.rows_written()));
    scans.counts.push_back(static_cast<double>(shard.scans()));
  }
  std::vector<Measure> measures;
  for (Measure* measure : {&written, &scans, &rows}) {
    if (measure->sum() > 0 && (measure != &rows || counted)) measures.push_back(std::move(*measure));
  }
  return measures;
}

}  // namespace

v1::TableSpread MeasureSpread(const std::vector<RelationWork>& works,
                              const std::vector<v1::DatabaseNode>& nodes,
                              const std::vector<v1::KeyFrequency>& hot_keys) {
  v1::TableSpread spread;
  spread.set_table(works.front().relation.table());
  spread.set_distribution_column(works.front().relation.distribution_column());
  for (const RelationWork& work : works) {
    if (!work.known) {
      spread.set_partial(true);
      continue;
    }
    v1::ShardSpread& shard = *spread.add_shards();
    shard.set_shard(work.relation.shard());
    shard.set_node(work.relation.node());
    if (work.relation.has_hash_min()) shard.set_hash_min(work.relation.hash_min());
    if (work.relation.has_hash_max()) shard.set_hash_max(work.relation.hash_max());
    if (work.rows) shard.set_rows(*work.rows);
    shard.set_bytes(work.bytes);
    shard.set_rows_written(work.rows_written);
    shard.set_scans(work.scans);
  }
  *spread.mutable_hot_keys() = {hot_keys.begin(), hot_keys.end()};
  AddNodes(spread);
  const std::vector<Measure> measures = MeasuresOf(spread);
  if (spread.partial()) {
    spread.set_verdict("not judged: not all of its nodes could be read");
    return spread;
  }
  if (!HasRanges(spread)) {
    spread.set_verdict("not distributed by hash: there is nothing to judge");
    return spread;
  }
  if (measures.empty()) {
    spread.set_verdict("empty and unused");
    return spread;
  }
  const Judge judge(spread, nodes);
  std::string verdict;
  double lowest_p = 1;
  for (const Measure& measure : measures) {
    const v1::Evenness evenness = MeasureEvenness(measure.counts, RangeShares(spread));
    lowest_p = std::min(lowest_p, evenness.p_value());
    // The first that is uneven has the sentence: work goes before what lies there.
    if (verdict.empty()) verdict = judge.Unevenness(measure, evenness);
    if (measure.name == std::string("rows")) *spread.mutable_rows() = evenness;
    if (measure.name == std::string("rows written")) *spread.mutable_rows_written() = evenness;
    if (measure.name == std::string("scans")) *spread.mutable_scans() = evenness;
  }
  spread.set_even(verdict.empty());
  if (!spread.even()) {
    spread.set_verdict(absl::StrCat("uneven: ", verdict));
  } else if (lowest_p >= kSignificant) {
    spread.set_verdict("even within sampling noise");
  } else {
    spread.set_verdict(
        absl::StrFormat("even: no shard has more than %.0f %% over its share", 100 * (kNegligible - 1)));
  }
  return spread;
}

}  // namespace trunkload
