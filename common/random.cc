#include "common/random.h"

#include <bit>
#include <cmath>

namespace trunkload {
namespace {

uint64_t SplitMix(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t MixSeed(uint64_t seed, uint64_t number) {
  uint64_t state = seed;
  uint64_t mixed = SplitMix(state) ^ number;
  return SplitMix(mixed);
}

Random::Random(uint64_t seed) {
  s0_ = SplitMix(seed);
  s1_ = SplitMix(seed);
  // The generator stays at zero for ever when both halves are.
  if (s0_ == 0 && s1_ == 0) s1_ = 1;
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(s0_ * 5, 7) * 9;
  const uint64_t mixed = s1_ ^ s0_;
  s0_ = std::rotl(s0_, 24) ^ mixed ^ (mixed << 16);
  s1_ = std::rotl(mixed, 37);
  return result;
}

double Random::Uniform() {
  return std::ldexp(static_cast<double>(Next() >> 12), -52);
}

uint64_t Random::Between(uint64_t low, uint64_t high) {
  const uint64_t range = high - low;
  if (range == 0) return low;
  const int shift = std::countl_zero(range);
  uint64_t value;
  do {
    value = Next() >> shift;
  } while (value > range);
  return low + value;
}

double Random::Exponential() {
  return -std::log(1 - Uniform());
}

uint64_t Random::Zipfian(uint64_t count, double exponent) {
  if (count <= 1) return 1;
  const double b = std::exp2(exponent - 1);
  while (true) {
    // Where it is 0, x is infinite and tried again.
    const double u = Uniform();
    const double v = Uniform();
    const double x = std::floor(std::pow(u, -1 / (exponent - 1)));
    const double t = std::pow(1 + 1 / x, exponent - 1);
    if (v * x * (t - 1) / (b - 1) <= t / b && x <= static_cast<double>(count))
      return static_cast<uint64_t>(x);
  }
}

}  // namespace trunkload
