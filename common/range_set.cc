#include "common/range_set.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace trunkload {

void RangeSet::Add(Range range) {
  // Nearly always it goes on where the last one ends.
  if (!ranges_.empty() && range.first == ranges_.back().last + 1) [[likely]] {
    ranges_.back().last = range.last;
    return;
  }
  // The first that it touches, and the first after it that it does not.
  const auto begin =
      std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                       [](const Range& before, uint64_t first) { return before.last + 1 < first; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= range.last + 1; ++end) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
  }
  if (begin == end) {
    ranges_.insert(begin, range);
    return;
  }
  *begin = range;
  ranges_.erase(begin + 1, end);
}

void RangeSet::Append(Range range) {
  if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
    ranges_.back().last = std::max(ranges_.back().last, range.last);
  } else {
    ranges_.push_back(range);
  }
}

void RangeSet::Merge(const RangeSet& other) {
  // What comes from an agent nearly always goes on where it ended.
  if (ranges_.empty() || other.ranges_.empty() || other.ranges_.front().first > ranges_.back().last) {
    for (const Range& range : other.ranges_) Append(range);
    return;
  }
  const std::vector<Range> own = std::exchange(ranges_, {});
  auto next = other.ranges_.begin();
  for (const Range& range : own) {
    for (; next != other.ranges_.end() && next->first < range.first; ++next) Append(*next);
    Append(range);
  }
  for (; next != other.ranges_.end(); ++next) Append(*next);
}

bool RangeSet::Contains(const RangeSet& part) const {
  auto whole = ranges_.begin();
  for (const Range& range : part.ranges_) {
    while (whole != ranges_.end() && whole->last < range.first) ++whole;
    if (whole == ranges_.end() || whole->first > range.first || whole->last < range.last) return false;
  }
  return true;
}

bool RangeSet::contains(uint64_t number) const {
  const auto found = std::lower_bound(ranges_.begin(), ranges_.end(), number,
                                      [](const Range& before, uint64_t of) { return before.last < of; });
  return found != ranges_.end() && found->first <= number;
}

uint64_t RangeSet::size() const {
  uint64_t size = 0;
  for (const Range& range : ranges_) size += range.last - range.first + 1;
  return size;
}

void RangeSet::AddBlock(uint64_t block, uint64_t bits) {
  uint64_t at = block * 64;
  while (bits != 0) {
    const int skipped = std::countr_zero(bits);
    bits >>= skipped;
    at += static_cast<uint64_t>(skipped);
    const int run = std::countr_one(bits);
    Add(Range{at, at + static_cast<uint64_t>(run) - 1});
    at += static_cast<uint64_t>(run);
    bits = run == 64 ? 0 : bits >> run;
  }
}

RangeSet RangeSet::Minus(const RangeSet& other) const {
  RangeSet left;
  auto next = other.ranges_.begin();
  for (Range range : ranges_) {
    while (next != other.ranges_.end() && next->last < range.first) ++next;
    for (auto hole = next; hole != other.ranges_.end() && hole->first <= range.last; ++hole) {
      if (hole->first > range.first) left.ranges_.push_back({range.first, hole->first - 1});
      range.first = hole->last + 1;
      if (range.first > range.last) break;
    }
    if (range.first <= range.last) left.ranges_.push_back(range);
  }
  return left;
}

void RangeSet::AddTo(Pairs& pairs) const {
  uint64_t before = 0;
  for (const Range& range : ranges_) {
    pairs.Add(range.first - before);
    pairs.Add(range.last - range.first + 1);
    before = range.last;
  }
}

absl::Status RangeSet::Check(const Pairs& pairs) {
  if (pairs.size() % 2 != 0) return absl::InvalidArgumentError("half a range of operations");
  uint64_t last = 0;
  for (int i = 0; i < pairs.size(); i += 2) {
    const uint64_t gap = pairs[i];
    const uint64_t count = pairs[i + 1];
    // The first begins at 1 at the earliest, others with a gap.
    if (gap < (i == 0 ? 1u : 2u) || count == 0 || gap > kHighest || count > kHighest ||
        last + gap + count - 1 > kHighest) {
      return absl::InvalidArgumentError("a range of operations that cannot be");
    }
    last += gap + count - 1;
  }
  return absl::OkStatus();
}

RangeSet RangeSet::From(const Pairs& pairs) {
  RangeSet set;
  uint64_t last = 0;
  for (int i = 0; i < pairs.size(); i += 2) {
    const uint64_t first = last + pairs[i];
    last = first + pairs[i + 1] - 1;
    set.ranges_.push_back({first, last});
  }
  return set;
}

}  // namespace trunkload
