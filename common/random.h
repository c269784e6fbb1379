#pragma once

#include <cstdint>

namespace trunkload {

// Mixes a seed and a number into another seed, so that streams numbered 0, 1, 2 … have nothing in common
// (splitmix64).
uint64_t MixSeed(uint64_t seed, uint64_t number);

// xoroshiro128** seeded through splitmix64 (Blackman and Vigna, prng.di.unimi.it), the generator that pgbench
// uses. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t Next();
  // In [0, 1), with 52 bits.
  double Uniform();
  // In [low, high], without bias: bits beyond the range's mask are drawn again.
  uint64_t Between(uint64_t low, uint64_t high);
  // Mean 1.
  double Exponential();
  // In [1, count]: k as often as 1 / k^exponent. `exponent` is above 1. By rejection (Devroye, Non-Uniform
  // Random Variate Generation, 1986, page 550).
  uint64_t Zipfian(uint64_t count, double exponent);

 private:
  uint64_t s0_;
  uint64_t s1_;
};

}  // namespace trunkload
