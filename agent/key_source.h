#pragma once

#include <cstdint>

#include "common/random.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// Keys of one application server. Sequential keys are never drawn twice in the whole fleet, over all scripts
// and phases: application server n of m takes n + 1, n + 1 + m, n + 1 + 2m … above the loaded rows. One that
// was taken over from a lost agent goes on far above what that one can have reached, which nobody knows. Not
// thread-safe.
class KeySource {
 public:
  KeySource(const v1::Assignment& assignment, const v1::ApplicationServer& server)
      : next_(assignment.loaded_rows() + uint64_t{server.generation()} * kKeysOfGeneration + server.number() +
              1),
        step_(assignment.fleet_application_servers()),
        random_(MixSeed(server.seed(), kStream)) {}

  int64_t Next(const v1::Keys& keys) {
    switch (keys.distribution()) {
      case v1::KEY_DISTRIBUTION_UNIFORM:
        return static_cast<int64_t>(random_.Between(1, keys.range()));
      case v1::KEY_DISTRIBUTION_ZIPFIAN:
        return static_cast<int64_t>(random_.Zipfian(keys.range(), keys.exponent()));
      default: {
        const uint64_t key = next_;
        next_ += step_;
        return static_cast<int64_t>(key);
      }
    }
  }

 private:
  static constexpr uint64_t kStream = 0x6b657973;
  // More than any run writes; and half a million generations of them fit into 63 bits.
  static constexpr uint64_t kKeysOfGeneration = uint64_t{1} << 44;

  uint64_t next_;
  uint64_t step_;
  Random random_;
};

}  // namespace trunkload
