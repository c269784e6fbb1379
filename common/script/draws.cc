#include "common/script/draws.h"

#include <cmath>
#include <numbers>

#include "absl/strings/str_format.h"

namespace trunkload {
namespace {

// One less than how many numbers there are.
absl::StatusOr<uint64_t> Span(int64_t low, int64_t high) {
  if (low > high) return absl::InvalidArgumentError("empty range given to random");
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (span >= static_cast<uint64_t>(INT64_MAX))
    return absl::InvalidArgumentError("random range is too large");
  return span;
}

// `share` of the way through the range, at least 0 and below 1.
int64_t At(int64_t low, uint64_t span, double share) {
  return low + static_cast<int64_t>(static_cast<double>(static_cast<int64_t>(span) + 1) * share);
}

}  // namespace

absl::StatusOr<int64_t> DrawUniform(Random& random, int64_t low, int64_t high) {
  const absl::StatusOr<uint64_t> span = Span(low, high);
  if (!span.ok()) return span.status();
  return static_cast<int64_t>(static_cast<uint64_t>(low) + random.Between(0, *span));
}

absl::StatusOr<int64_t> DrawExponential(Random& random, int64_t low, int64_t high, double parameter) {
  const absl::StatusOr<uint64_t> span = Span(low, high);
  if (!span.ok()) return span.status();
  if (!(parameter > 0)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("exponential parameter must be greater than zero (not %f)", parameter));
  }
  const double cut = std::exp(-parameter);
  // Above 0, so that its logarithm can be taken.
  const double uniform = 1.0 - random.Uniform();
  return At(low, *span, -std::log(cut + (1.0 - cut) * uniform) / parameter);
}

absl::StatusOr<int64_t> DrawGaussian(Random& random, int64_t low, int64_t high, double parameter) {
  const absl::StatusOr<uint64_t> span = Span(low, high);
  if (!span.ok()) return span.status();
  constexpr double kLeast = 2;
  if (!(parameter >= kLeast)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("gaussian parameter must be at least %f (not %f)", kLeast, parameter));
  }
  double deviations;
  do {
    // One half of Box and Muller's pair.
    const double radius = std::sqrt(-2.0 * std::log(1.0 - random.Uniform()));
    deviations = radius * std::sin(2.0 * std::numbers::pi * (1.0 - random.Uniform()));
  } while (deviations < -parameter || deviations >= parameter);
  return At(low, *span, (deviations + parameter) / (parameter * 2.0));
}

absl::StatusOr<int64_t> DrawZipfian(Random& random, int64_t low, int64_t high, double parameter) {
  const absl::StatusOr<uint64_t> span = Span(low, high);
  if (!span.ok()) return span.status();
  constexpr double kLeast = 1.001;
  constexpr double kMost = 1000;
  if (!(parameter >= kLeast && parameter <= kMost)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "zipfian parameter must be in range [%.3f, %.0f] (not %f)", kLeast, kMost, parameter));
  }
  return low - 1 + static_cast<int64_t>(random.Zipfian(*span + 1, parameter));
}

}  // namespace trunkload
