#pragma once

#include <cstdint>
#include <vector>

#include "agent/rate_profile.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// When the transactions of one application server come due in one phase of open load: a function of their
// index, of the plan and of the seed alone. Delays of earlier transactions change nothing.
//
// Constant arrivals of all application servers interleave evenly. Poisson arrivals are uniform in blocks of
// at most 1,024, each with exactly its share of the arrivals, so that gaps are exponential but the total is
// exact. Not thread-safe: the block last asked for is kept.
class Pacer {
 public:
  static constexpr uint64_t kBlock = 1024;

  struct Share {
    uint32_t number = 0;        // of the application server
    uint32_t of = 1;            // in the fleet
    uint64_t transactions = 0;  // where the phase is limited by them
    uint64_t seed = 0;
  };

  Pacer(const v1::Phase& phase, const Share& share);

  // How many transactions come due.
  uint64_t count() const { return count_; }
  // From the start of the phase; ascending in `index`, which is below count().
  int64_t DueNanos(uint64_t index);
  // The index of the first that is due then or later, from the start of the phase; count(): none is.
  uint64_t FirstFrom(int64_t nanos);

 private:
  void DrawBlock(uint64_t block);

  RateProfile profile_;
  Share share_;
  bool poisson_;
  uint64_t count_;
  // The fleet's arrivals for each of this application server's.
  double scale_;
  uint64_t drawn_block_ = UINT64_MAX;
  std::vector<int64_t> drawn_;
};

}  // namespace trunkload
