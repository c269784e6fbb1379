#pragma once

#include <cstdint>
#include <string>

namespace trunkload {

// How reports show figures to people: three digits that matter, in the unit that suits their size.

// From microseconds: 87 us, 1.23 ms, 12.3 s.
std::string LatencyText(double us);
// 16,000.
std::string CountText(uint64_t count);
// Per second, without the unit: 0.25, 12.5, 2,000.
std::string RateText(double per_s);
// 512 B, 1.50 KiB, 23.4 MiB.
std::string BytesText(double bytes);
// Of a share of 1: 33.3 %.
std::string ShareText(double share);

}  // namespace trunkload
