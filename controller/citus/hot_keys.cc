#include "controller/citus/hot_keys.h"

namespace trunkload {
namespace {

constexpr size_t kMostKeys = 10;
constexpr double kLeastShare = 0.005;

}  // namespace

std::vector<v1::KeyFrequency> HotKeys(const FrequentKeys& keys) {
  std::vector<v1::KeyFrequency> hot;
  const auto all = static_cast<double>(keys.counted());
  for (const FrequentKeys::Key& key : keys.Keys()) {
    const double share = static_cast<double>(key.count) / all;
    if (hot.size() == kMostKeys || share < kLeastShare) break;
    v1::KeyFrequency& frequency = hot.emplace_back();
    frequency.set_key(key.key);
    frequency.set_share_low(share);
    frequency.set_share_high(static_cast<double>(key.count + keys.undercount()) / all);
  }
  return hot;
}

}  // namespace trunkload
