#include <cstdint>

#include "common/histogram.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  trunkload::v1::Histogram proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;
  const absl::StatusOr<trunkload::Histogram> histogram = trunkload::Histogram::FromProto(proto);
  if (!histogram.ok()) return 0;
  FUZZ_CHECK(histogram->stddev_ns() >= 0, histogram->stddev_ns());
  uint64_t last = 0;
  for (const double percent : {0.0, 50.0, 99.0, 100.0}) {
    const uint64_t nanos = histogram->PercentileNanos(percent);
    FUZZ_CHECK(nanos >= last && nanos <= histogram->max_ns(), percent);
    last = nanos;
  }
  FUZZ_CHECK(histogram->CountAbove(-1) <= histogram->count(), histogram->count());
  const absl::StatusOr<trunkload::Histogram> again = trunkload::Histogram::FromProto(histogram->ToProto());
  FUZZ_CHECK(again.ok() && *again == *histogram, again.status());
  trunkload::Histogram merged;
  merged.MergeChecked(proto);
  merged.Merge(*histogram);
  FUZZ_CHECK(merged.count() == 2 * histogram->count(), merged.count());
  return 0;
}
