#include "common/frequent_keys.h"

#include <algorithm>

namespace trunkload {
namespace {

constexpr size_t kSlots = 2 * FrequentKeys::kCounters;
// What is rarer is not worth its bytes: it hardly stands out.
constexpr uint64_t kRare = 512;
constexpr uint64_t kHighestCount = uint64_t{1} << 53;

size_t Home(int64_t key) {
  return (static_cast<uint64_t>(key) * 0x9e3779b97f4a7c15) >> (64 - 9);
}
static_assert(kSlots == size_t{1} << 9);

}  // namespace

size_t FrequentKeys::Find(int64_t key) const {
  size_t slot = Home(key);
  while (slots_[slot].count != 0 && slots_[slot].key != key) slot = (slot + 1) % kSlots;
  return slot;
}

void FrequentKeys::Add(int64_t key, uint64_t count) {
  if (slots_.empty()) {
    slots_.resize(kSlots);
    kept_.reserve(kCounters);
  }
  size_t slot = Find(key);
  while (slots_[slot].count == 0 && used_ == kCounters) {
    // The new key is among those that lose as much.
    const uint64_t lost = std::min(count, Decrement());
    count -= lost;
    if (count == 0) return;
    slot = Find(key);
  }
  if (slots_[slot].count == 0) {
    slots_[slot].key = key;
    ++used_;
  }
  slots_[slot].count += count;
}

uint64_t FrequentKeys::Decrement() {
  kept_.clear();
  uint64_t lowest = UINT64_MAX;
  for (const Key& slot : slots_) {
    if (slot.count > 0) lowest = std::min(lowest, slot.count);
  }
  for (Key& slot : slots_) {
    if (slot.count > lowest) kept_.push_back({slot.key, slot.count - lowest});
    slot.count = 0;
  }
  used_ = kept_.size();
  for (const Key& one : kept_) slots_[Find(one.key)] = one;
  undercount_ += lowest;
  return lowest;
}

void FrequentKeys::Merge(const FrequentKeys& other) {
  counted_ += other.counted_;
  undercount_ += other.undercount_;
  for (const Key& slot : other.slots_) {
    if (slot.count > 0) Add(slot.key, slot.count);
  }
}

void FrequentKeys::Merge(const v1::KeyCounts& counts) {
  counted_ += counts.counted();
  undercount_ += counts.undercount();
  for (int i = 0; i < counts.key_size(); ++i) Add(counts.key(i), counts.count(i));
}

void FrequentKeys::Clear() {
  for (Key& slot : slots_) slot.count = 0;
  used_ = 0;
  counted_ = undercount_ = 0;
}

std::vector<FrequentKeys::Key> FrequentKeys::Keys() const {
  std::vector<Key> keys;
  for (const Key& slot : slots_) {
    if (slot.count > 0) keys.push_back(slot);
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
  });
  return keys;
}

v1::KeyCounts FrequentKeys::ToProto() const {
  v1::KeyCounts counts;
  counts.set_counted(counted_);
  uint64_t left_out = 0;
  for (const Key& one : Keys()) {
    if (one.count < counted_ / kRare) {
      // The first of them is the most frequent.
      left_out = std::max(left_out, one.count);
      continue;
    }
    counts.add_key(one.key);
    counts.add_count(one.count);
  }
  counts.set_undercount(undercount_ + left_out);
  return counts;
}

absl::Status FrequentKeys::Check(const v1::KeyCounts& counts) {
  const absl::Status wrong = absl::InvalidArgumentError("counts of keys that cannot be");
  if (counts.counted() > kHighestCount || counts.undercount() > counts.counted()) return wrong;
  if (counts.key_size() != counts.count_size() || counts.key_size() > static_cast<int>(kCounters))
    return wrong;
  uint64_t sum = 0;
  for (const uint64_t count : counts.count()) {
    if (count == 0 || count > counts.counted()) return wrong;
    sum += count;
  }
  std::vector<int64_t> keys(counts.key().begin(), counts.key().end());
  std::sort(keys.begin(), keys.end());
  const bool twice = std::adjacent_find(keys.begin(), keys.end()) != keys.end();
  return sum > counts.counted() || twice ? wrong : absl::OkStatus();
}

}  // namespace trunkload
