// record_bench: what it costs to record one latency, in nanoseconds: the median of several rounds.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "common/clock.h"
#include "common/histogram.h"

int main() {
  // Spread like a database's latencies, so that buckets are touched as they are in a run.
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> micros(7, 0.7);
  std::vector<int64_t> latencies(1 << 16);
  for (int64_t& latency : latencies) latency = static_cast<int64_t>(1000 * micros(random));

  const trunkload::SystemClock clock;
  trunkload::Histogram histogram;
  std::vector<double> rounds(21);
  for (double& nanos : rounds) {
    const int64_t start = clock.MonotonicNanos();
    for (int64_t latency : latencies) histogram.Record(latency);
    nanos = static_cast<double>(clock.MonotonicNanos() - start) / static_cast<double>(latencies.size());
  }
  std::nth_element(rounds.begin(), rounds.begin() + rounds.size() / 2, rounds.end());
  // The count is printed so that recording can't be optimised away.
  std::printf("{\"record_ns\": %.2f, \"recorded\": %llu}\n", rounds[rounds.size() / 2],
              static_cast<unsigned long long>(histogram.count()));
  return 0;
}
