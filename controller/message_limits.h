#pragma once

namespace trunkload {

// The largest message that a controller takes or sends: a result with a time series of a day, or an
// assignment of some ten thousand application servers, with room to spare.
inline constexpr int kMaxMessageBytes = 64 << 20;

}  // namespace trunkload
