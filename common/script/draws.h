#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/random.h"

namespace trunkload {

// pgbench's random functions: a whole number from `low` to `high`. INVALID_ARGUMENT where high is below low,
// where there are more than 2^63 - 1 numbers to choose from, or where the parameter is out of range.
absl::StatusOr<int64_t> DrawUniform(Random& random, int64_t low, int64_t high);
// An exponential distribution cut off at `parameter` (above 0), laid over the range.
absl::StatusOr<int64_t> DrawExponential(Random& random, int64_t low, int64_t high, double parameter);
// A normal distribution cut off at `parameter` (2 or more) standard deviations on either side, laid over the
// range.
absl::StatusOr<int64_t> DrawGaussian(Random& random, int64_t low, int64_t high, double parameter);
// Zipf's law with this exponent (1.001 to 1000): `low` comes most often.
absl::StatusOr<int64_t> DrawZipfian(Random& random, int64_t low, int64_t high, double parameter);

}  // namespace trunkload
