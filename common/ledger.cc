#include "common/ledger.h"

#include <algorithm>
#include <cstdlib>

namespace trunkload {
namespace {

// A year of CPU time.
constexpr int64_t kHighestCostNanos = int64_t{1} << 55;

absl::Status Wrong(const char* what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

Ledger::Writer& Ledger::Find(uint64_t writer) {
  const auto [found, is_new] = index_.try_emplace(writer, writers_.size());
  if (is_new) writers_.emplace_back();
  return writers_[found->second];
}

void Ledger::Record(uint64_t writer, uint64_t operation, Outcome outcome) {
  Writer& of = Find(writer);
  of.ended.Add(operation);
  if (outcome == Outcome::kAcknowledged) [[likely]]
    return;
  (outcome == Outcome::kRefused ? of.refused : of.lost).Add(operation);
}

void Ledger::Clear() {
  for (Writer& writer : writers_) {
    writer.ended.Clear();
    writer.refused.Clear();
    writer.lost.Clear();
  }
  cost_ns_ = 0;
}

void Ledger::Merge(const Ledger& other) {
  for (const auto& [number, writer] : other.writers()) {
    Writer& of = Find(number);
    of.ended.Merge(writer->ended);
    of.refused.Merge(writer->refused);
    of.lost.Merge(writer->lost);
  }
  cost_ns_ = std::min(cost_ns_ + other.cost_ns_, kHighestCostNanos);
}

void Ledger::Merge(const v1::Ledger& ledger) {
  for (const v1::WriterOperations& operations : ledger.writers()) {
    Writer& of = Find(operations.writer());
    of.ended.Merge(RangeSet::From(operations.ended()));
    of.refused.Merge(RangeSet::From(operations.refused()));
    of.lost.Merge(RangeSet::From(operations.lost()));
  }
  cost_ns_ = std::min(cost_ns_ + static_cast<int64_t>(ledger.cost_ns()), kHighestCostNanos);
}

bool Ledger::empty() const {
  for (const Writer& writer : writers_) {
    if (!writer.ended.empty()) return false;
  }
  return true;
}

std::map<uint64_t, const Ledger::Writer*> Ledger::writers() const {
  std::map<uint64_t, const Writer*> sorted;
  for (const auto& [number, at] : index_) {
    if (!writers_[at].ended.empty()) sorted.emplace(number, &writers_[at]);
  }
  return sorted;
}

uint64_t Ledger::refused() const {
  uint64_t sum = 0;
  for (const Writer& writer : writers_) sum += writer.refused.size();
  return sum;
}

uint64_t Ledger::lost() const {
  uint64_t sum = 0;
  for (const Writer& writer : writers_) sum += writer.lost.size();
  return sum;
}

uint64_t Ledger::acknowledged() const {
  uint64_t sum = 0;
  for (const Writer& writer : writers_) sum += writer.ended.size();
  return sum - refused() - lost();
}

bool Ledger::IsLost(uint64_t writer, uint64_t operation) const {
  const auto found = index_.find(writer);
  if (found == index_.end()) return false;
  RangeSet one;
  one.Add(operation);
  return writers_[found->second].lost.Contains(one);
}

v1::Ledger Ledger::ToProto() const {
  v1::Ledger ledger;
  for (const auto& [number, writer] : writers()) {
    v1::WriterOperations& operations = *ledger.add_writers();
    operations.set_writer(number);
    writer->ended.AddTo(*operations.mutable_ended());
    writer->refused.AddTo(*operations.mutable_refused());
    writer->lost.AddTo(*operations.mutable_lost());
  }
  ledger.set_cost_ns(cost_ns());
  return ledger;
}

absl::Status Ledger::Check(const v1::Ledger& ledger) {
  if (ledger.cost_ns() > uint64_t{kHighestCostNanos}) return Wrong("a ledger that took longer than can be");
  const v1::WriterOperations* before = nullptr;
  for (const v1::WriterOperations& operations : ledger.writers()) {
    if (before != nullptr && before->writer() >= operations.writer())
      return Wrong("a ledger whose writers are not in order");
    before = &operations;
    for (const RangeSet::Pairs* const pairs :
         {&operations.ended(), &operations.refused(), &operations.lost()}) {
      if (absl::Status status = RangeSet::Check(*pairs); !status.ok()) return status;
    }
    const RangeSet refused = RangeSet::From(operations.refused());
    const RangeSet lost = RangeSet::From(operations.lost());
    RangeSet both = refused;
    both.Merge(lost);
    const bool apart = both.size() == refused.size() + lost.size();
    if (!apart || !RangeSet::From(operations.ended()).Contains(both))
      return Wrong("a ledger whose operations have two outcomes, or none");
  }
  return absl::OkStatus();
}

void MergeFindings(const v1::Findings& more, v1::Findings& sum) {
  sum.set_looks(sum.looks() + more.looks());
  sum.set_deviating(sum.deviating() + more.deviating());
  if (std::abs(more.largest()) > std::abs(sum.largest())) sum.set_largest(more.largest());
  for (const v1::Finding& finding : more.first()) {
    if (sum.first_size() < kMostFindings) *sum.add_first() = finding;
  }
}

absl::Status CheckFindings(const v1::Findings& findings) {
  constexpr int64_t kHighest = int64_t{1} << 53;
  const bool possible = findings.deviating() <= findings.looks() && findings.looks() <= uint64_t{kHighest} &&
                        findings.largest() != INT64_MIN && findings.first_size() <= kMostFindings &&
                        static_cast<uint64_t>(findings.first_size()) <= findings.deviating();
  return possible ? absl::OkStatus() : Wrong("findings that cannot be");
}

}  // namespace trunkload
