#include "agent/pacer.h"

#include <algorithm>
#include <cmath>

#include "common/random.h"

namespace trunkload {
namespace {

// How many of the fleet's arrivals 0 … total-1 are this application server's.
uint64_t CountOf(double total, const Pacer::Share& share) {
  // Products and sums of decimal rates and durations miss whole numbers by a hair.
  const double whole = std::ceil(total - 1e-6);
  if (whole <= share.number) return 0;
  return (static_cast<uint64_t>(whole) - share.number - 1) / share.of + 1;
}

}  // namespace

Pacer::Pacer(const v1::Phase& phase, const Share& share)
    : profile_(phase), share_(share), poisson_(phase.load().open().arrivals() == v1::ARRIVALS_POISSON) {
  const bool by_number = std::isinf(profile_.total());
  count_ = by_number ? share.transactions : CountOf(profile_.total(), share);
  scale_ = by_number || count_ == 0 ? share.of : profile_.total() / static_cast<double>(count_);
  if (poisson_) drawn_.reserve(kBlock);
}

int64_t Pacer::DueNanos(uint64_t index) {
  if (!poisson_) {
    const double arrival = static_cast<double>(share_.number) + static_cast<double>(index) * share_.of;
    return std::llround(profile_.SecondsUntil(arrival) * 1e9);
  }
  const uint64_t block = index / kBlock;
  if (block != drawn_block_) DrawBlock(block);
  return drawn_[index % kBlock];
}

uint64_t Pacer::FirstFrom(int64_t nanos) {
  uint64_t low = 0;
  uint64_t high = count_;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (DueNanos(middle) < nanos) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void Pacer::DrawBlock(uint64_t block) {
  drawn_block_ = block;
  const uint64_t first = block * kBlock;
  const uint64_t size = std::min(kBlock, count_ - first);
  // Sums of size + 1 exponential gaps, divided by the last sum, are `size` uniform draws in ascending order
  // (Devroye, Non-Uniform Random Variate Generation, 1986, page 213).
  Random random(MixSeed(share_.seed, block));
  double sums[kBlock];
  double sum = 0;
  for (uint64_t i = 0; i < size; ++i) sums[i] = sum += random.Exponential();
  sum += random.Exponential();
  drawn_.resize(size);
  for (uint64_t i = 0; i < size; ++i) {
    const double position = static_cast<double>(first) + static_cast<double>(size) * (sums[i] / sum);
    drawn_[i] = static_cast<int64_t>(profile_.SecondsUntil(position * scale_) * 1e9);
  }
}

}  // namespace trunkload
