// record_bench: what it costs to record one latency, and what came of one operation, in nanoseconds: medians
// of several rounds.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/clock.h"
#include "common/histogram.h"
#include "common/ledger.h"

namespace trunkload {
namespace {

constexpr int kRecorded = 1 << 16;
// As many as an agent's reactor may well have.
constexpr uint64_t kWriters = 256;

// Of each of those that a round records.
double MedianNanos(absl::FunctionRef<void()> round) {
  const SystemClock clock;
  std::vector<double> rounds(21);
  for (double& nanos : rounds) {
    const int64_t start = clock.MonotonicNanos();
    round();
    nanos = static_cast<double>(clock.MonotonicNanos() - start) / kRecorded;
  }
  std::nth_element(rounds.begin(), rounds.begin() + rounds.size() / 2, rounds.end());
  return rounds[rounds.size() / 2];
}

}  // namespace
}  // namespace trunkload

int main() {
  using namespace trunkload;
  // Spread like a database's latencies, so that buckets are touched as they are in a run.
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> micros(7, 0.7);
  std::vector<int64_t> latencies(kRecorded);
  for (int64_t& latency : latencies) latency = static_cast<int64_t>(1000 * micros(random));

  Histogram histogram;
  const double record_ns = MedianNanos([&] {
    for (const int64_t latency : latencies) histogram.Record(latency);
  });
  Ledger ledger;
  uint64_t operation = 0;
  const double operation_ns = MedianNanos([&] {
    for (int i = 0; i < kRecorded / static_cast<int>(kWriters); ++i) {
      ++operation;
      for (uint64_t writer = 0; writer < kWriters; ++writer)
        ledger.Record(writer, operation, Ledger::Outcome::kAcknowledged);
    }
  });
  // The counts are printed so that recording can't be optimised away.
  std::printf("{\"record_ns\": %.2f, \"recorded\": %llu, \"operation_ns\": %.2f, \"operations\": %llu}\n",
              record_ns, static_cast<unsigned long long>(histogram.count()), operation_ns,
              static_cast<unsigned long long>(ledger.acknowledged()));
  return 0;
}
